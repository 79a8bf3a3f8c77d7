/**
 * Runs of a store: from its opening for writing to its close. A row of `meta` has the number of the last one and whether it goes on; a run
 * that finds another that goes on knows that it crashed, with epochs that are not in the rows, and takes the next number (E1).
 */
import { isCount } from "../protocol/shapes.ts";
import { StoreError } from "../protocol/store-error.ts";
import { encodeValue } from "../transport/codec.ts";
import { IssuedEpochs, RUNS_MAX } from "./issued-epochs.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { findHead, putHead } from "./lmdb-heads.ts";
import { damagedMeta, decodedMeta } from "./lmdb-meta.ts";

const RUN = Buffer.from("run");

/** In the transaction that opens the store. @throws StoreError corrupt */
export function beginRun(env: LmdbEnv, path: string): void {
  const { run, isOpen } = readRun(env, path);
  const next = isOpen ? Math.min(run + 1, RUNS_MAX) : run;
  env.put("meta", RUN, encodeValue([next, true]));
  env.epochs = new IssuedEpochs(next);
}

/** In the transaction that closes it: what is only remembered is written. @throws StoreError corrupt */
export function endRun(env: LmdbEnv, path: string): void {
  const { run } = readRun(env, path);
  for (const id of env.epochs.sessions()) {
    try {
      const head = findHead(env, id);
      if (head !== undefined) putHead(env, id, head);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error; // of a session that cannot be read nobody can write the next turn
    }
  }
  env.put("meta", RUN, encodeValue([run, false]));
}

/** A store from before there were runs has all epochs in its rows, as one that was closed. */
function readRun(env: LmdbEnv, path: string): { run: number; isOpen: boolean } {
  const bytes = env.get("meta", RUN);
  if (bytes === undefined) return { run: 0, isOpen: false };
  const row = decodedMeta(bytes, path, "run");
  const [run, isOpen] = Array.isArray(row) ? (row as unknown[]) : [];
  if (!isCount(run) || typeof isOpen !== "boolean") throw damagedMeta(path, "run");
  return { run, isOpen };
}
