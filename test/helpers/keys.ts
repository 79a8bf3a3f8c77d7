/** Keys for a server under test. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { newSecret } from "../../dist/src/server/auth/secrets.js";

export interface TestKey {
  readonly tenant?: string;
  readonly role: "read" | "run" | "admin";
}

/** @returns a file with a key of each kind, the keys by name, and what removes the folder of the file */
export function keyFileOf<N extends string>(kinds: Record<N, TestKey>): { file: string; keys: Record<N, string>; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "warren-server-keys-"));
  const file = join(folder, "keys.json");
  const made = (Object.entries(kinds) as [N, TestKey][]).map(([name, kind]) => ({ name, kind, ...newSecret() }));
  const keys = made.map(({ kind, id, hash }) => ({ id, hash, ...kind, createdAt: Date.now() }));
  writeFileSync(file, JSON.stringify({ format: "warren-keys/1", keys }), { mode: 0o600 });
  return {
    file,
    keys: Object.fromEntries(made.map(({ name, token }) => [name, token])) as Record<N, string>,
    remove: () => rmSync(folder, { recursive: true }),
  };
}
