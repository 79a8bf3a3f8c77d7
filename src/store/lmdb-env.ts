/**
 * An LMDB environment with the tables of a store, keys and values as bytes. The only file that names the package.
 *
 * A commit with durability "fsync" writes the pages, waits for fdatasync, then writes the root through a descriptor that is opened for
 * synchronous writes: when `transaction` returns, it is on the disk. With "commit" the pages stay with the operating system, which
 * survives the death of the process, not that of the machine.
 *
 * The package grows its map by itself. A limit is kept by opening with a map of just that size: a transaction that made it grow is taken
 * back, and the environment is opened anew, since a map cannot shrink.
 */
import { statSync } from "node:fs";
import { join } from "node:path";

import { open } from "lmdb";
import type { Database, RootDatabase } from "lmdb";

import { StoreError } from "../protocol/store-error.ts";
import { IssuedEpochs } from "./issued-epochs.ts";
import { checkLength, isNearlyFull } from "./lmdb-file.ts";

export const TABLES = [
  "meta",
  "heads",
  "archived",
  "parts",
  "log",
  "events",
  "updated",
  "labels",
  "doomed",
  "runtimes",
  "keyed",
  "answers",
  "expiries",
] as const;
export type Table = (typeof TABLES)[number];
type Bytes = Uint8Array;

export interface EnvOptions {
  /** The folder. */
  readonly path: string;
  readonly readOnly: boolean;
  readonly durability: "fsync" | "commit";
  /** What the file may grow to; undefined: as large as the disk. */
  readonly mapSizeBytes?: number | undefined;
}

/** Keys from `start` on, up to before `end`; reversed: from `start` down, to behind `end`. */
export interface Range {
  readonly start: Bytes;
  readonly end: Bytes;
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly offset?: number;
}

/** Members of the package's flags, which it declares but does not export as values. */
const ABORTABLE_SYNCHRONOUS = 3;
const NO_SYNC_FLUSH = 0x10000;
const SETTLED = Buffer.from("settled");
const BYTES = { encoding: "binary", keyEncoding: "binary" } as const;

export class LmdbEnv {
  /** Of the store that is open: what its rows do not say yet. */
  epochs = new IssuedEpochs();
  readonly #options: EnvOptions;
  #root: RootDatabase<Bytes, Bytes>;
  #tables: Record<Table, Database<Bytes, Bytes>>;
  /** To be opened anew before the next transaction: a commit failed, or the map has outgrown its limit. */
  #isStale = false;
  #isBroken = false;
  /** They read the environment in a thread of the package's, so it must stay open. */
  readonly #backups = new Set<Promise<void>>();
  #writes = 0;
  #pendingBytes = 0;

  constructor(options: EnvOptions) {
    this.#options = options;
    this.#root = openRoot(options);
    this.#tables = this.#openTables();
  }

  get writes(): number {
    return this.#writes;
  }
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get(table: Table, key: Bytes): Bytes | undefined {
    const found = this.peek(table, key);
    return found && copyOf(found);
  }

  /** As `get`, without a copy: good until the next call, for reading by index up to its `length`, which is not that of its buffer. */
  peek(table: Table, key: Bytes): Bytes | undefined {
    return this.#tables[table].getBinaryFast(key);
  }

  has(table: Table, key: Bytes): boolean {
    return this.#tables[table].doesExist(key);
  }

  put(table: Table, key: Bytes, value: Bytes): void {
    this.#writes++;
    this.#pendingBytes += key.length + value.length;
    this.#tables[table].putSync(key, value);
  }

  remove(table: Table, key: Bytes): void {
    this.#writes++;
    this.#tables[table].removeSync(key);
  }

  entries(table: Table, range: Range): Iterable<{ key: Bytes; value: Bytes }> {
    // A store of an older version that is opened for reading has not all tables.
    const known = this.#tables[table] as Database<Bytes, Bytes> | undefined;
    return known?.getRange({ ...range }) ?? [];
  }

  keys(table: Table, range: Range): Iterable<Bytes> {
    return this.#tables[table].getKeys({ ...range });
  }

  /**
   * Run and commit. When it throws, nothing was written, and the environment goes on.
   *
   * @param run - may run again
   * @param isFreeing - it may exceed the limit: to free pages takes some, and a full map must not stay full
   */
  transaction<T>(run: () => T, isFreeing = false): T {
    try {
      return this.#attempt(run, isFreeing);
    } catch (error) {
      if (!(error instanceof StoreError && error.reason === "full")) throw error;
    }
    // Pages that a transaction frees can be used by the next but one: so one in between, and then once more.
    this.#attempt(() => this.put("meta", SETTLED, Buffer.of(1)), true);
    return this.#attempt(run, isFreeing);
  }

  #attempt<T>(run: () => T, isFreeing: boolean): T {
    const { path, mapSizeBytes: limit } = this.#options;
    if (this.#isStale && this.#backups.size === 0) this.#reopen();
    if (this.#isBroken) throw new StoreError("io", `the database in ${path} failed and could not be opened anew`, { path });
    this.#pendingBytes = 0;
    const before = limit === undefined ? 0 : this.#mapBytes();
    const hasOutgrown = (): boolean => limit !== undefined && this.#mapBytes() > Math.max(before, limit);
    let isCommitting = false;
    try {
      const result = this.#commit(() => {
        const value = run();
        if (!isFreeing && hasOutgrown()) {
          throw new StoreError("full", `the database in ${path} may not grow beyond ${limit} bytes`, { path, mapSizeBytes: limit ?? 0 });
        }
        isCommitting = true;
        return value;
      });
      this.#isStale ||= hasOutgrown();
      return result;
    } catch (error) {
      this.#isStale ||= isCommitting || hasOutgrown() || !(error instanceof StoreError);
      throw error;
    }
  }

  /** Run and commit, and wait for the disk, for everything that was committed before as well, whatever the durability. */
  finish(run: () => void): void {
    this.#commit(run, true);
  }

  /** Write a compacted copy. @param path - a folder that is there and empty */
  async backup(path: string): Promise<void> {
    const copied = this.#root.backup(path, true);
    this.#backups.add(copied);
    try {
      await copied;
    } finally {
      this.#backups.delete(copied);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#backups);
    await this.#root.close();
  }

  /** @returns the error as the store's caller gets it */
  describe(error: unknown): StoreError {
    if (error instanceof StoreError) return error;
    const { path } = this.#options;
    const code = (error as { code?: unknown } | undefined)?.code;
    const message = error instanceof Error ? error.message : String(error);
    if (isDamage(error)) return damaged(path, error);
    const file = join(path, "data.mdb");
    if (code === ENOSPC || code === EFBIG || code === EDQUOT || (code === EIO && isNearlyFull(path, file))) {
      const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
      return new StoreError("full", `no room for ${file}, which has ${bytes} bytes: ${message}`, { path, bytes }, error);
    }
    return new StoreError("io", `the database in ${path} failed: ${message}`, { path }, error);
  }

  #commit<T>(run: () => T, isFlushed = this.#options.durability === "fsync"): T {
    return this.#root.transactionSync(run, isFlushed ? ABORTABLE_SYNCHRONOUS : ABORTABLE_SYNCHRONOUS | NO_SYNC_FLUSH);
  }

  #openTables(): Record<Table, Database<Bytes, Bytes>> {
    return Object.fromEntries(TABLES.map((name) => [name, this.#root.openDB<Bytes, Bytes>({ name, ...BYTES })])) as Record<
      Table,
      Database<Bytes, Bytes>
    >;
  }

  #reopen(): void {
    this.#isStale = false;
    try {
      // Without pending reads and asynchronous writes, of which there are none here, it is closed when the call returns.
      void this.#root.close();
      this.#root = openRoot(this.#options);
      this.#tables = this.#openTables();
    } catch {
      // Its cause is in the error that made us come here.
      this.#isBroken = true;
    }
  }

  #mapBytes(): number {
    return (this.#root.getStats() as { mapSize: number }).mapSize;
  }
}

function openRoot({ path, readOnly, mapSizeBytes }: EnvOptions, mayGrow = !readOnly): RootDatabase<Bytes, Bytes> {
  const root = open<Bytes, Bytes>({
    path,
    ...BYTES,
    readOnly,
    noSubdir: false,
    maxDbs: TABLES.length,
    overlappingSync: false,
    remapChunks: false,
    ...(mapSizeBytes !== undefined && !readOnly && { mapSize: mapSizeBytes }),
  });
  try {
    checkLength(join(path, "data.mdb"), root.getStats() as { lastPageNumber: number; pageSize: number }, mayGrow);
  } catch (error) {
    void root.close();
    throw error;
  }
  return root;
}

const MDB_CORRUPTED = -30796;
const MDB_PAGE_NOTFOUND = -30797;

/** Whether the package says that a page is not what it should be. */
export function isDamage(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  return code === MDB_CORRUPTED || code === MDB_PAGE_NOTFOUND;
}

export function damaged(path: string, error: unknown): StoreError {
  const message = error instanceof Error ? error.message : String(error);
  return new StoreError("corrupt", `the database in ${path} is damaged: ${message}`, { path }, error);
}

/** @param bytes - as `peek` gives them. @returns them from `start` on, in memory that small ones share: half the cost of one's own */
export function copyOf(bytes: Bytes, start = 0): Bytes {
  const length = bytes.length - start;
  const copy = Buffer.allocUnsafe(length);
  copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length)); // their own methods go by the length of their buffer
  return copy;
}

const EIO = 5;
const EFBIG = 27;
const ENOSPC = 28;
const EDQUOT = 122;
/**
 * Read one row of the `meta` table without changing anything.
 *
 * @param mayGrow - see checkLength
 * @returns also whether there is no table at all
 */
export async function probe(path: string, key: Bytes, mayGrow: boolean): Promise<{ meta: Bytes | undefined; isEmpty: boolean }> {
  const root = openRoot({ path, readOnly: true, durability: "fsync" }, mayGrow);
  try {
    const meta = root.openDB<Bytes, Bytes>({ name: "meta" satisfies Table, ...BYTES }) as Database<Bytes, Bytes> | undefined;
    const names = [...root.getKeys({ limit: TABLES.length + 1 })].map((name) => Buffer.from(name).toString().replace("\0", ""));
    const isOurs = names.every((name) => (TABLES as readonly string[]).includes(name));
    return {
      meta: meta?.getBinary(key),
      isEmpty: names.length === 0 || (isOurs && meta !== undefined && meta.getKeysCount({ limit: 1 }) === 0),
    };
  } finally {
    await root.close();
  }
}
