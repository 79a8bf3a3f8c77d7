/** What lies at the path of a store, found out without changing anything. */
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, readSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

import { StoreError } from "../protocol/store-error.ts";

/** In an LMDB file, behind the header of its first page, which has 16 bytes or, by newer versions, 24. */
const LMDB_MAGIC = 0xbeefc0de;
const MAGIC_AT = [16, 24];
/** Behind the magic number. */
const PAGE_SIZE_AT = 24;
const PAGE_BYTES_MIN = 4096;

/**
 * @returns whether there is a database; without one the folder is there, and empty
 * @throws StoreError unwritable, foreign, corrupt
 */
export function inspectPath(path: string, readOnly: boolean): boolean {
  try {
    if (!readOnly) makeFolder(path);
    if (!statSync(path).isDirectory()) throw new StoreError("unwritable", `${path} is not a folder`, { path });
    accessSync(path, readOnly ? constants.R_OK : constants.R_OK | constants.W_OK);
  } catch (error) {
    throw error instanceof StoreError ? error : unwritable(path, error);
  }
  const file = join(path, "data.mdb");
  const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes === 0) {
    if (readOnly) throw new StoreError("unwritable", `there is no store in ${path}`, { path });
    // Folders that a file system or version control keep are no one's content.
    const others = readdirSync(path).filter((name) => !name.startsWith(".") && !OURS.has(name));
    if (others.length > 0) throw foreign(path, `it holds ${others[0]}`);
    return false;
  }
  const pageSize = pageSizeOf(file, path);
  if (pageSize === undefined) throw foreign(path, "data.mdb is not an LMDB file");
  // LMDB reads the first two without asking whether they are there, which kills the process.
  if (bytes < 2 * pageSize) {
    throw new StoreError("corrupt", `${file} is cut off: it has ${bytes} bytes, and at least ${2 * pageSize - bytes} more belong to it`, {
      path: file,
      bytes,
    });
  }
  return true;
}
const OURS = new Set(["data.mdb", "lock.mdb", "lost+found"]);

export function foreign(path: string, why: string): StoreError {
  return new StoreError("foreign", `${path} is not a store of Warren's: ${why}`, { path });
}

export function unwritable(path: string, cause: unknown): StoreError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StoreError("unwritable", `${path} cannot be used: ${why}`, { path }, cause);
}

/** Not by mkdirSync's own `recursive`, which never returns where the system denies a folder that its parent could hold, as /proc does. */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  mkdirSync(path);
}

/** @returns bytes; undefined when the file is none of LMDB's */
function pageSizeOf(file: string, path: string): number | undefined {
  const bytes = Buffer.alloc(Math.max(...MAGIC_AT) + PAGE_SIZE_AT + 4);
  try {
    const descriptor = openSync(file, "r");
    try {
      readSync(descriptor, bytes, 0, bytes.length, 0);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw unwritable(path, error);
  }
  const at = MAGIC_AT.find((offset) => bytes.readUInt32LE(offset) === LMDB_MAGIC);
  // Of a file that ends before it, any.
  return at === undefined ? undefined : bytes.readUInt32LE(at + PAGE_SIZE_AT) || PAGE_BYTES_MIN;
}
