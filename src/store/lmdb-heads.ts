/** Heads of sessions: the row that every call begins with, and what stands beside it. */
import type { SessionId } from "../protocol/ids.ts";
import type { SessionHead } from "../protocol/stored-session.ts";
import { headOf } from "../transport/packed-session.ts";
import { corrupt } from "../transport/stored-row.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { PART, idKey, partKey } from "./lmdb-keys.ts";
import * as rows from "./lmdb-rows.ts";
import type { HeadRow } from "./lmdb-rows.ts";

/** The head, with the epoch the session has. @throws StoreError corrupt, schema */
export function findHead(env: LmdbEnv, id: SessionId): HeadRow | undefined {
  const key = idKey(id);
  const live = env.peek("heads", key);
  const bytes = live ?? env.peek("archived", key);
  if (bytes === undefined) return undefined;
  const row: { -readonly [M in keyof HeadRow]: HeadRow[M] } = rows.decodeHead(bytes, id, live === undefined);
  row.epoch = env.epochs.of(id, row.epoch);
  return row;
}

/** @returns the table the head is in, readable or not */
export function tableOf(env: LmdbEnv, id: SessionId): "heads" | "archived" | undefined {
  return (["heads", "archived"] as const).find((table) => env.has(table, idKey(id)));
}

export function putHead(env: LmdbEnv, id: SessionId, head: HeadRow): void {
  env.put(head.isArchived ? "archived" : "heads", idKey(id), rows.encodeHead(head));
}

/** A row that stands beside the head, as it is. @throws StoreError corrupt, when there is none */
export function partOf(env: LmdbEnv, id: SessionId, number: number, name: keyof typeof PART): Uint8Array {
  const bytes = env.get("parts", partKey(number, PART[name]));
  if (bytes === undefined) throw corrupt({ session: id, row: name }, "is missing");
  return bytes;
}

/** The head with all its parts. @throws StoreError corrupt, schema */
export function wholeHead(env: LmdbEnv, id: SessionId, head: HeadRow): SessionHead {
  const { epoch, version, createdAt, updatedAt, logLength, usage, labels, lastSeq, contextTaken, isArchived } = head;
  const numbers = { epoch, version, createdAt, updatedAt, logLength, usage, labels, lastSeq, contextTaken, isArchived };
  return headOf(id, numbers, {
    origin: partOf(env, id, head.number, "origin"),
    state: partOf(env, id, head.number, "state"),
    turn: head.turn ?? partOf(env, id, head.number, "turn"),
  });
}
