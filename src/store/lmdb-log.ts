/**
 * The logs: a session's messages in rows, keyed by the index of the first one.
 *
 * An append adds a row. Small rows fill pages badly, so those at the end of a log, its tail, are merged once they would fill ROW_BYTES:
 * that is what four pages hold that belong to one value, so a merged row leaves little of its pages empty. The head knows where the tail
 * begins and how large it is, so an append reads nothing of the log unless it merges, and then its tail only.
 *
 *   L1. A row is [1, [message, …]], its message list with a 32-bit length, so rows are merged as bytes, without decoding them.
 *   L2. The rows of a log follow one another without a gap, up to the head's logLength.
 */
import type { SessionId } from "../protocol/ids.ts";
import type { Message } from "../protocol/session-model.ts";
import { decodeValues, encodeValue } from "../transport/codec.ts";
import { packMessages } from "../transport/packed-write.ts";
import { indexOf, logKey } from "./lmdb-keys.ts";
import { copyOf } from "./lmdb-env.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { isRecord, isText } from "../protocol/shapes.ts";
import { corrupt, decodeRow, misshapen } from "../transport/stored-row.ts";
import type { Where } from "../transport/stored-row.ts";
import { ROW_SCHEMA } from "./lmdb-rows.ts";
import type { HeadRow } from "./lmdb-rows.ts";

/** Four pages of 4,096 bytes, less the header of the first. */
const ROW_BYTES = 4 * 4096 - 16;
/** Of a row: array of two, version, array with a 32-bit length. */
const PREFIX = 7;
const BODY_BYTES = ROW_BYTES - PREFIX;

/** Messages that belong into one row. */
interface Piece {
  readonly index: number;
  readonly count: number;
  /** Their msgpack, one behind the other. */
  readonly body: Uint8Array;
  readonly isStored: boolean;
}

export type Log = Pick<HeadRow, "number" | "logLength" | "tailFrom" | "tailBytes">;

/** @param messages - packed, one behind the other. @returns the log as the head has to remember it. @throws StoreError corrupt */
export function appendLog(env: LmdbEnv, session: SessionId, log: Log, messages: Uint8Array, count: number): Log {
  const { number, tailFrom } = log;
  const pieces = piecesOf(messages, count, log.logLength);
  const logLength = log.logLength + count;
  const bytes = log.tailBytes + sum(pieces);
  if (bytes <= BODY_BYTES) {
    for (const piece of pieces) putPiece(env, number, piece);
    return { number, logLength, tailFrom, tailBytes: bytes };
  }
  const tail = log.tailBytes === 0 ? [] : readTail(env, session, log);
  const groups = grouped([...tail, ...pieces]);
  const last = groups.pop() ?? [];
  for (const group of groups) putMerged(env, number, group);
  for (const piece of last) if (!piece.isStored) putPiece(env, number, piece);
  const tailBytes = sum(last);
  // What fills a row by itself will not be merged.
  return tailBytes > BODY_BYTES
    ? { number, logLength, tailFrom: logLength, tailBytes: 0 }
    : { number, logLength, tailFrom: last[0]?.index ?? logLength, tailBytes };
}

/**
 * Messages from `offset` on, `limit` of them or as many as there are.
 *
 * @throws StoreError corrupt, schema
 */
export function readLog(env: LmdbEnv, session: SessionId, log: Log, offset: number, limit: number): Message[] {
  const end = Math.min(offset + limit, log.logLength);
  const messages: Message[] = [];
  if (offset >= end) return messages;
  let expected = startOf(env, log.number, offset);
  if (expected < 0) throw corrupt({ session, row: `log of ${offset}` }, "has another key");
  for (const { key, value } of env.entries("log", { start: logKey(log.number, expected), end: logKey(log.number, end) })) {
    const where = { session, row: `log ${indexOf(key)}` };
    if (indexOf(key) !== expected) throw corrupt({ session, row: `log ${expected}` }, "is missing");
    const held = messagesOf(value, where);
    const from = Math.max(offset - expected, 0);
    for (const message of held.slice(from, end - expected)) messages.push(message);
    expected += held.length;
  }
  if (messages.length !== end - offset) throw corrupt({ session, row: `log ${expected}` }, "is missing");
  return messages;
}

/**
 * The whole log as messages one behind the other. They are not looked into: that is done where they are needed.
 *
 * @throws StoreError corrupt, schema
 */
export function readPackedLog(env: LmdbEnv, session: SessionId, log: Log): Uint8Array {
  const { number, logLength } = log;
  const bodies: Uint8Array[] = [];
  let next = 0;
  while (next < logLength) {
    const row = env.peek("log", logKey(number, next));
    const count = row === undefined || !isPiece(row) ? 0 : countOf(row);
    if (row === undefined || count === 0) break;
    bodies.push(copyOf(row, PREFIX));
    next += count;
  }
  // What is wrong is found, and told, by whoever looks closely.
  if (next !== logLength) return packMessages(readLog(env, session, log, 0, logLength));
  return bodies.length === 1 ? (bodies[0] as Uint8Array) : Buffer.concat(bodies);
}

/** Whether it begins as rows of ours do (L1). */
const isPiece = (row: Uint8Array): boolean => row.length >= PREFIX && row[0] === 0x92 && row[1] === ROW_SCHEMA && row[2] === 0xdd;
/** By hand: a view to read a number by costs more than the rest of a small log. */
const countOf = (row: Uint8Array): number =>
  (((row[3] as number) << 24) | ((row[4] as number) << 16) | ((row[5] as number) << 8) | (row[6] as number)) >>> 0;

/** Remove rows of a log, `limit` at most. @returns how many */
export function eraseLog(env: LmdbEnv, number: number, limit: number): number {
  const keys = [...env.keys("log", { start: logKey(number, 0), end: logKey(number + 1, 0), limit })];
  for (const key of keys) env.remove("log", key);
  return keys.length;
}

/** @returns where the row begins that holds the message, -1 when its key does not say */
function startOf(env: LmdbEnv, number: number, index: number): number {
  if (index === 0) return 0;
  // The end is not among those that are given, so it lies below all rows of the session.
  const end = number === 0 ? new Uint8Array(1) : logKey(number - 1, 0xffffffff);
  for (const key of env.keys("log", { start: logKey(number, index), end, reverse: true, limit: 1 })) return indexOf(key);
  return 0;
}

function piecesOf(messages: Uint8Array, count: number, firstIndex: number): Piece[] {
  if (count === 0) return [];
  if (count === 1 || messages.length <= BODY_BYTES) return [{ index: firstIndex, count, body: messages, isStored: false }];
  const bodies = decodeValues(messages).map(encodeValue);
  return grouped(bodies.map((body, at) => ({ index: firstIndex + at, count: 1, body, isStored: false }))).map(joined);
}

/** Pieces in groups, each as large as a row takes, or of one piece that is larger. */
function grouped(pieces: readonly Piece[]): Piece[][] {
  const groups: Piece[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const piece of pieces) {
    bytes += piece.body.length;
    if (bytes > BODY_BYTES) {
      groups.push([]);
      bytes = piece.body.length;
    }
    groups.at(-1)?.push(piece);
  }
  return groups;
}

function joined(group: readonly Piece[]): Piece {
  const first = group[0] as Piece;
  if (group.length === 1) return first;
  const count = group.reduce((total, piece) => total + piece.count, 0);
  return { index: first.index, count, body: Buffer.concat(group.map(({ body }) => body)), isStored: false };
}

function putMerged(env: LmdbEnv, number: number, group: readonly Piece[]): void {
  const piece = joined(group);
  if (piece.isStored) return;
  for (const { index, isStored } of group.slice(1)) if (isStored) env.remove("log", logKey(number, index));
  putPiece(env, number, piece);
}

function putPiece(env: LmdbEnv, number: number, { index, count, body }: Piece): void {
  const row = Buffer.allocUnsafe(PREFIX + body.length);
  row[0] = 0x92;
  row[1] = ROW_SCHEMA;
  row[2] = 0xdd;
  row.writeUInt32BE(count, 3);
  row.set(body, PREFIX);
  env.put("log", logKey(number, index), row);
}

/** The rows behind `tailFrom`, as they are: they are merged without a look inside. */
function readTail(env: LmdbEnv, session: SessionId, { number, tailFrom, logLength }: Log): Piece[] {
  const pieces: Piece[] = [];
  let expected = tailFrom;
  for (const { key, value } of env.entries("log", { start: logKey(number, tailFrom), end: logKey(number, logLength) })) {
    const index = indexOf(key);
    if (index !== expected || !isPiece(value)) throw misshapen({ session, row: `log ${expected}` });
    pieces.push({ index, count: countOf(value), body: value.subarray(PREFIX), isStored: true });
    expected += countOf(value);
  }
  if (expected !== logLength) throw corrupt({ session, row: `log ${expected}` }, "is missing");
  return pieces;
}

function messagesOf(value: Uint8Array, where: Where): Message[] {
  const [, messages] = decodeRow(value, where, 2);
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isMessage)) throw misshapen(where);
  return messages as Message[];
}

/** Whether the members are there that tell the kinds of messages apart: what is inside was checked before it was stored. */
function isMessage(value: unknown): boolean {
  if (!isRecord(value)) return false;
  switch (value["role"]) {
    case "system":
    case "user":
    case "assistant":
      return isText(value["content"]);
    case "block_assistant":
      return Array.isArray(value["blocks"]);
    case "tool_results":
      return Array.isArray(value["results"]);
    default:
      return false;
  }
}

const sum = (pieces: readonly Piece[]): number => pieces.reduce((bytes, { body }) => bytes + body.length, 0);
