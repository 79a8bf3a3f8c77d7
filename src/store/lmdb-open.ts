/**
 * Opening a store in a folder. Runs in a thread that is never terminated: LMDB holds locks and memory of the whole process.
 *
 * In `meta` stand the format and the schema of the store as a whole, the owner, and the counter of session numbers.
 */
import { decodeValue, encodeValue } from "../transport/codec.ts";
import { LmdbEnv, damaged, isDamage, probe } from "./lmdb-env.ts";
import type { EnvOptions } from "./lmdb-env.ts";
import { own } from "./lmdb-owner.ts";
import { foreign, inspectPath, unwritable } from "./lmdb-path.ts";
import { LmdbStore } from "./lmdb-store.ts";
import type { SessionStore } from "./session-store.ts";
import type { CommitCounts } from "./store-counts.ts";
import { StoreError } from "../protocol/store-error.ts";

export interface LmdbStoreOptions {
  /** Folder of the database; made when it is not there. */
  readonly path: string;
  /**
   * What an acknowledged call survives. "fsync" (default): the loss of power. "commit": the death of the process; the machine's may
   * cost the last calls, and on a file system that writes out of order the database.
   */
  readonly durability?: "fsync" | "commit" | undefined;
  /** Bytes the database may grow to; a call that would need more fails ("full"). Default: as large as the disk. */
  readonly mapSizeBytes?: number | undefined;
  /** Read while another process may write. Every writing call fails ("unwritable"). Default false. */
  readonly readOnly?: boolean | undefined;
  /** Take the store from another one of this process, which did not close it; what that one still tries to write is refused. Default false. */
  readonly takeOver?: boolean | undefined;
  /** Told of sessions that a listing leaves out because their rows cannot be read. */
  readonly onUnreadable?: ((error: StoreError) => void) | undefined;
  /** @internal Where its commits are counted. */
  readonly commits?: CommitCounts | undefined;
}

const FORMAT = "warren-session-store";
/** Of the tables and keys as a whole; rows have versions of their own. */
export const STORE_SCHEMA = 1;
const STORE = Buffer.from("store");
/** Below this LMDB cannot hold the tables. */
const MAP_BYTES_MIN = 256 * 1024;

/** @throws StoreError unwritable, foreign, schema, in_use, corrupt, full, io, invalid */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<SessionStore> {
  const { path, durability = "fsync", mapSizeBytes, readOnly = false, takeOver = false, onUnreadable = () => {}, commits } = options;
  if (mapSizeBytes !== undefined && !(Number.isSafeInteger(mapSizeBytes) && mapSizeBytes >= MAP_BYTES_MIN)) {
    throw new StoreError("invalid", `mapSizeBytes must be a whole number of at least ${MAP_BYTES_MIN}`, { path, mapSizeBytes });
  }
  const envOptions: EnvOptions = { path, durability, mapSizeBytes, readOnly };
  const isMade = inspectPath(path, readOnly) && (await checkContent(path, readOnly));
  if (readOnly && !isMade) throw new StoreError("unwritable", `there is no store in ${path}`, { path });
  const env = openEnv(envOptions);
  try {
    if (readOnly) return new LmdbStore(env, { path, readOnly: true, token: undefined, onUnreadable, commits });
    // First of all, so that a store whose making was cut short is known by what it has not.
    env.transaction(() => {
      if (env.get("meta", STORE) === undefined) env.put("meta", STORE, encodeValue([FORMAT, STORE_SCHEMA]));
    });
    const token = own(env, path, takeOver);
    return new LmdbStore(env, { path, readOnly: false, token, onUnreadable, commits });
  } catch (error) {
    await env.close();
    throw env.describe(error);
  }
}

/** Look at an existing database through an environment that cannot write. @returns false when it has nothing yet. @throws StoreError foreign, schema */
async function checkContent(path: string, readOnly: boolean): Promise<boolean> {
  let content: { meta: Uint8Array | undefined; isEmpty: boolean };
  try {
    content = await probe(path, STORE, !readOnly);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    if (isDamage(error)) throw damaged(path, error);
    throw foreign(path, `LMDB cannot open it: ${String(error)}`);
  }
  // A store whose making was cut short has nothing yet.
  if (content.meta === undefined && content.isEmpty) return false;
  if (content.meta === undefined) throw foreign(path, "it is an LMDB database of something else");
  let format: unknown;
  let schema: unknown;
  try {
    [format, schema] = decodeValue(content.meta) as unknown[];
  } catch {
    // Then it is not what we write there.
  }
  if (format !== FORMAT || typeof schema !== "number") throw foreign(path, "it is an LMDB database of something else");
  if (schema !== STORE_SCHEMA) {
    throw new StoreError("schema", `the store in ${path} has schema ${schema}, known is ${STORE_SCHEMA}`, {
      path,
      found: schema,
      known: STORE_SCHEMA,
    });
  }
  return true;
}

function openEnv(options: EnvOptions): LmdbEnv {
  try {
    return new LmdbEnv(options);
  } catch (error) {
    throw error instanceof StoreError ? error : unwritable(options.path, error);
  }
}
