/** Folders for stores. They lie where the system keeps temporary files: set TMPDIR to measure another disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TemporaryFolder {
  readonly path: string;
  remove(): Promise<void>;
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), "warren-bench-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
