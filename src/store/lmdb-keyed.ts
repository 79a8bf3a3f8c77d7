/**
 * Turns that are remembered by their idempotency keys, and answers of a server: rows that are good for a while.
 *
 * | row    | members behind the version                          |
 * | ------ | --------------------------------------------------- |
 * | order  | key                                                 |
 * | keyed  | number among the session's, at, fingerprint, key, turn |
 * | answer | key, expiresAt, value                               |
 *
 * Of a remembered turn there are three rows: one by its key, one by its number, so that the oldest of a session is found, and one by the time
 * when it may go. The last is passed over when what it speaks of is gone, or is another's by now.
 *
 *   L6. A call that writes here removes at most PRUNED_AT_ONCE rows whose time is over, so what is kept does not grow with what has expired.
 */
import type { Answer } from "../protocol/answers.ts";
import type { SessionId } from "../protocol/ids.ts";
import { isCount, isText, isTime } from "../protocol/shapes.ts";
import { StoreError } from "../protocol/store-error.ts";
import type { PackedKey } from "../protocol/store-calls.ts";
import { KEYED_TURNS_MAX, KEYED_TURN_KEPT_MS } from "../protocol/stored-session.ts";
import type { KeyedTurn } from "../protocol/stored-session.ts";
import { encodeValue } from "../transport/codec.ts";
import { keyedOf } from "../transport/packed-write.ts";
import { decodeTurn } from "../transport/packed-session.ts";
import { decodeRow, misshapen } from "../transport/stored-row.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import {
  SEQ_MAX,
  answerKey,
  behindKeyed,
  behindTurns,
  expiringOf,
  expiringTurn,
  expiryKey,
  keyedKey,
  turnKey,
  turnSeqOf,
} from "./lmdb-keys.ts";
import { ROW_SCHEMA } from "./lmdb-rows.ts";
import { checkAnswer } from "./session-rules.ts";

/** Rows that one call removes because their time is over. */
const PRUNED_AT_ONCE = 8;

interface KeyedRow {
  readonly seq: number;
  readonly key: string;
  readonly fingerprint: string;
  readonly at: number;
  /** As packTurn gives it. */
  readonly turn: Uint8Array;
}

/** @param number - of the session. @param packed - of its write, which has been checked. @throws StoreError invalid, corrupt */
export function rememberTurn(env: LmdbEnv, number: number, id: SessionId, packed: PackedKey, turn: Uint8Array): void {
  const keyed = keyedOf(packed);
  if (keyed === undefined) throw new StoreError("invalid", `a write of session ${id} has a key that is none`, { session: id });
  const { key, fingerprint, at } = keyed;
  const seq = lastSeq(env, number, id) + 1;
  const before = known(env, number, id, key);
  if (before !== undefined) env.remove("keyed", turnKey(number, before.seq));
  env.put("keyed", keyedKey(number, key), encodeKeyed({ seq, at, fingerprint, key, turn }));
  env.put("keyed", turnKey(number, seq), encodeValue([ROW_SCHEMA, key]));
  env.put("expiries", expiryKey(at + KEYED_TURN_KEPT_MS, expiringTurn(number, seq)), NOTHING);
  const first = firstSeq(env, number);
  if (first <= seq - KEYED_TURNS_MAX) forgetTurn(env, number, first);
  prune(env, at);
}
const NOTHING = new Uint8Array(0);

/** @throws StoreError corrupt, schema */
export function findTurn(env: LmdbEnv, number: number, id: SessionId, key: string, now: number): KeyedTurn | undefined {
  const bytes = env.get("keyed", keyedKey(number, key));
  if (bytes === undefined) return undefined;
  const row = decodeKeyed(bytes, id);
  if (row.key !== key || row.at + KEYED_TURN_KEPT_MS <= now) return undefined;
  const { lastTurn } = decodeTurn(row.turn, id);
  if (lastTurn === undefined) throw misshapen({ session: id, row: "keyed" });
  return { key, fingerprint: row.fingerprint, at: row.at, ticket: lastTurn.ticket, result: lastTurn.result };
}

/** @throws StoreError corrupt, schema */
export function turnKeys(env: LmdbEnv, number: number, id: SessionId): string[] {
  const keys: string[] = [];
  for (const { key, value } of env.entries("keyed", byNumber(number))) if (turnSeqOf(key) >= 0) keys.push(decodeOrder(value, id));
  return keys;
}

/** Remove rows of a session's number. @returns how many */
export function eraseKeyed(env: LmdbEnv, number: number, limit: number): number {
  const keys = [...env.keys("keyed", { start: turnKey(number, 0), end: behindKeyed(number), limit })];
  for (const key of keys) env.remove("keyed", key);
  return keys.length;
}

export function getAnswer(env: LmdbEnv, key: string, now: number): Uint8Array | undefined {
  checkAnswer(key);
  const bytes = env.get("answers", answerKey(key));
  const row = bytes && decodeAnswer(bytes);
  return row === undefined || row.key !== key || row.expiresAt <= now ? undefined : row.value;
}

/** @throws StoreError invalid */
export function putAnswer(env: LmdbEnv, key: string, answer: Answer, now: number): void {
  checkAnswer(key, answer);
  const { expiresAt } = answer;
  const digest = answerKey(key);
  env.put("answers", digest, encodeAnswer(key, answer));
  env.put("expiries", expiryKey(expiresAt, digest), NOTHING);
  prune(env, now);
}

/** @returns the one that is there. @throws StoreError invalid, corrupt */
export function claimAnswer(env: LmdbEnv, key: string, answer: Answer, now: number): Uint8Array | undefined {
  checkAnswer(key, answer);
  const known = getAnswer(env, key, now);
  if (known === undefined) putAnswer(env, key, answer, now);
  return known;
}

/** @returns whether there was one */
export function removeAnswer(env: LmdbEnv, key: string): boolean {
  checkAnswer(key);
  const digest = answerKey(key);
  if (!env.has("answers", digest)) return false;
  env.remove("answers", digest);
  return true;
}

/** L6. What cannot be read goes as well when its time is over. */
function prune(env: LmdbEnv, now: number): void {
  const due = [
    ...env.keys("expiries", { start: expiryKey(0, NOTHING), end: expiryKey(Math.floor(now) + 1, NOTHING), limit: PRUNED_AT_ONCE }),
  ];
  for (const key of due) {
    const what = expiringOf(key);
    if (what !== undefined && "turn" in what) forgetTurn(env, what.turn.number, what.turn.seq, now);
    else if (what !== undefined) forgetAnswer(env, what.answer, now);
    env.remove("expiries", key);
  }
}

/** @param now - only if its time is over then: a session whose turns are all forgotten begins with their numbers again */
function forgetTurn(env: LmdbEnv, number: number, seq: number, now = Number.POSITIVE_INFINITY): void {
  const order = env.get("keyed", turnKey(number, seq));
  if (order === undefined) return; // it was asked for anew, or its session is gone
  const key = readable(() => decodeOrder(order, ""));
  const bytes = key === undefined ? undefined : env.get("keyed", keyedKey(number, key));
  const row = bytes && readable(() => decodeKeyed(bytes, ""));
  if (row?.seq === seq && row.at + KEYED_TURN_KEPT_MS > now) return;
  env.remove("keyed", turnKey(number, seq));
  if (key !== undefined && (row === undefined || row.seq === seq)) env.remove("keyed", keyedKey(number, key));
}

/** One that was laid down again is good for longer. */
function forgetAnswer(env: LmdbEnv, digest: Uint8Array, now: number): void {
  const bytes = env.get("answers", digest);
  const row = bytes && readable(() => decodeAnswer(bytes));
  if (row === undefined || row.expiresAt <= now) env.remove("answers", digest);
}

/** The row under a key; one that cannot be read will be written over. */
function known(env: LmdbEnv, number: number, id: SessionId, key: string): KeyedRow | undefined {
  const bytes = env.get("keyed", keyedKey(number, key));
  return bytes && readable(() => decodeKeyed(bytes, id));
}

const byNumber = (number: number) => ({ start: turnKey(number, 0), end: behindTurns(number) });

/** @throws StoreError corrupt, when there can be no further one */
function lastSeq(env: LmdbEnv, number: number, session: SessionId): number {
  for (const key of env.keys("keyed", { start: behindTurns(number), end: turnKey(number, 0), reverse: true })) {
    const seq = turnSeqOf(key);
    if (seq >= SEQ_MAX) throw misshapen({ session, row: `order ${seq}` });
    if (seq >= 0) return seq;
  }
  return 0;
}

function firstSeq(env: LmdbEnv, number: number): number {
  for (const key of env.keys("keyed", byNumber(number))) if (turnSeqOf(key) >= 0) return turnSeqOf(key);
  return 0;
}

export const encodeKeyed = ({ seq, at, fingerprint, key, turn }: KeyedRow): Uint8Array =>
  encodeValue([ROW_SCHEMA, seq, at, fingerprint, key, turn]);
export function decodeKeyed(bytes: Uint8Array, session: SessionId): KeyedRow {
  const where = { session, row: "keyed" };
  const [, seq, at, fingerprint, key, turn] = decodeRow(bytes, where, 6);
  if (!isCount(seq) || !isTime(at) || !isText(fingerprint) || !isText(key) || !(turn instanceof Uint8Array)) throw misshapen(where);
  return { seq, at, fingerprint, key, turn };
}

function decodeOrder(bytes: Uint8Array, session: SessionId): string {
  const where = { session, row: "order" };
  const [, key] = decodeRow(bytes, where, 2);
  if (!isText(key)) throw misshapen(where);
  return key;
}

export const encodeAnswer = (key: string, { expiresAt, value }: Answer): Uint8Array => encodeValue([ROW_SCHEMA, key, expiresAt, value]);
export function decodeAnswer(bytes: Uint8Array): Answer & { readonly key: string } {
  const where = { session: "", row: "answer" };
  const [, key, expiresAt, value] = decodeRow(bytes, where, 4);
  if (!isText(key) || !isCount(expiresAt) || !(value instanceof Uint8Array)) throw misshapen(where);
  return { key, expiresAt, value };
}

/** @returns what cannot be read as undefined */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return undefined;
  }
}
