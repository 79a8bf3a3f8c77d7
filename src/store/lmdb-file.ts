/** The file of a database as the file system has it: whether it is whole, and whether it can grow. */
import { appendFileSync, readFileSync, statSync, statfsSync } from "node:fs";

import { StoreError } from "../protocol/store-error.ts";

/** LMDB does not write pages at the end that one transaction took and gave back. */
const UNWRITTEN_PAGES_MAX = 64;

/**
 * A file that ends before its last page is cut off, and reading behind its end would kill the process (SIGBUS). What may never have been
 * written is made up by zeros, which LMDB does not take for a page; appended, so that nothing is overwritten whoever else has it open.
 *
 * @param mayGrow - the file may be written to
 * @throws StoreError corrupt
 */
export function checkLength(
  file: string,
  { lastPageNumber, pageSize }: { lastPageNumber: number; pageSize: number },
  mayGrow: boolean,
): void {
  const { size } = statSync(file);
  const missing = (lastPageNumber + 1) * pageSize - size;
  if (missing <= 0) return;
  const details = { path: file, bytes: size, missing };
  const problem = `${file} is cut off: it has ${size} bytes, and ${missing} more belong to it`;
  if (!mayGrow || missing > UNWRITTEN_PAGES_MAX * pageSize) throw new StoreError("corrupt", problem, details);
  try {
    appendFileSync(file, new Uint8Array(missing));
  } catch (cause) {
    throw new StoreError("corrupt", problem, details, cause);
  }
}

/** LMDB says EIO when a write ends early, as the last one does that a full disk or a limit on file sizes takes. */
const NEARLY_FULL_BYTES = 16 * 1024 * 1024;

export function isNearlyFull(path: string, file: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path);
    if (bavail * bsize < NEARLY_FULL_BYTES) return true;
    const limit = /^Max file size\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit !== undefined && statSync(file).size + NEARLY_FULL_BYTES > Number(limit);
  } catch {
    // A system that does not tell: then it is what it says it is.
    return false;
  }
}
