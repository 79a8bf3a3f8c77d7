/**
 * Keys of the tables, whose order is the order of their bytes: numbers are big-endian.
 *
 * | table    | key                                                              |
 * | -------- | ---------------------------------------------------------------- |
 * | heads    | id in UTF-8; sessions that are not archived                      |
 * | archived | id in UTF-8; the others                                          |
 * | parts    | session number (5 bytes), kind (1)                               |
 * | log      | session number (5), index of the row's first message (4)         |
 * | events   | session number (5), number of the row's first event (6)          |
 * | updated  | archived? (1), updatedAt as a double (8), id                     |
 * | labels   | archived? (1), digest of a pair (16), id                         |
 * | doomed   | number of a session that was removed (5), whose rows are left    |
 * | runtimes | session number (5): its runtime; and, number of an input (6)     |
 * | keyed    | session number (5), 0, number of a turn (6); or 1, digest (16)   |
 * | answers  | digest of a key (16)                                             |
 * | expiries | epoch milliseconds (6), then what expires, as below              |
 *
 * What expires is a turn: session number (5), its number (6); or an answer: its digest (16).
 *
 * Session numbers are drawn from a counter and never used again, so a new session of an old id does not see the old one's rows.
 */
import { createHash } from "node:crypto";

const NUMBER_BYTES = 5;
const INDEX_BYTES = 4;
const SEQ_BYTES = 6;
const DIGEST_BYTES = 16;
/** Largest number of a session. */
export const NUMBER_MAX = 2 ** 40 - 1;
/** Largest index of a message. */
export const INDEX_MAX = 2 ** 32 - 1;
/** Largest number of an event or an input. */
export const SEQ_MAX = 2 ** 48 - 1;
/** What a key says that is none of the table's: it names nothing. */
const NOTHING = -1;

/** Rows of a session in `parts`. */
export const PART = { origin: 1, state: 2, turn: 3, context: 4 } as const;
export type Part = (typeof PART)[keyof typeof PART];

/** The last one that was asked for: a call asks for it when it reads, and again when it writes. */
let lastId = "";
let lastKey = Buffer.from(lastId);

/** @returns a key that nobody may write into */
export function idKey(id: string): Uint8Array {
  if (id !== lastId) {
    lastKey = Buffer.from(id);
    lastId = id;
  }
  return lastKey;
}

export function numberKey(number: number): Buffer {
  return withNumber(NUMBER_BYTES, number);
}

/** @returns the number a key of `doomed` is, -1 for a key that is none */
export function numberOf(key: Uint8Array): number {
  return numberAt(key, 0, NUMBER_BYTES);
}

/** Behind the keys of all session numbers. */
export const END_OF_NUMBERS = Buffer.alloc(NUMBER_BYTES + SEQ_BYTES + 1, 0xff);

export function partKey(number: number, part: Part): Buffer {
  const key = withNumber(NUMBER_BYTES + 1, number);
  key[NUMBER_BYTES] = part;
  return key;
}

export function logKey(number: number, index: number): Buffer {
  const key = withNumber(NUMBER_BYTES + INDEX_BYTES, number);
  key.writeUInt32BE(index, NUMBER_BYTES);
  return key;
}

/** @returns the index of the first message of a row of the log, -1 for a key that is none */
export function indexOf(key: Uint8Array): number {
  return numberAt(key, NUMBER_BYTES, INDEX_BYTES);
}

export function eventKey(number: number, seq: number): Buffer {
  const key = withNumber(NUMBER_BYTES + SEQ_BYTES, number);
  key.writeUIntBE(Math.min(seq, SEQ_MAX), NUMBER_BYTES, SEQ_BYTES);
  return key;
}

/** @returns the number of the first event of a row of the event log, -1 for a key that is none */
export function seqOf(key: Uint8Array): number {
  return numberAt(key, NUMBER_BYTES, SEQ_BYTES);
}

/** @param id - empty: where the sessions of that time begin */
export function updatedKey(isArchived: boolean, updatedAt: number, id: string): Buffer {
  const key = Buffer.allocUnsafe(9 + Buffer.byteLength(id));
  key[0] = isArchived ? 1 : 0;
  // The bytes of doubles that are not negative sort as the numbers do; adding 0 makes 0 of -0, which would stand last.
  key.writeDoubleBE(updatedAt + 0, 1);
  key.write(id, 9);
  return key;
}
/** @returns "" for a key that is none */
export const idOfUpdated = (key: Uint8Array): string => textFrom(key, 9);

/** Where the turns of a session that are remembered stand by number. */
export function turnKey(number: number, seq: number): Buffer {
  const key = withNumber(NUMBER_BYTES + 1 + SEQ_BYTES, number);
  key[NUMBER_BYTES] = 0;
  key.writeUIntBE(Math.min(seq, SEQ_MAX), NUMBER_BYTES + 1, SEQ_BYTES);
  return key;
}
/** @returns the number of a turn, -1 for a key that is none of such a row */
export const turnSeqOf = (key: Uint8Array): number => numberAt(key, NUMBER_BYTES + 1, SEQ_BYTES);

/** Where the turn stands that is remembered under an idempotency key. */
export function keyedKey(number: number, idempotencyKey: string): Buffer {
  const key = withNumber(NUMBER_BYTES + 1 + DIGEST_BYTES, number);
  key[NUMBER_BYTES] = 1;
  digestOf(idempotencyKey).copy(key, NUMBER_BYTES + 1);
  return key;
}
/** @returns behind the rows of `keyed` of a session that stand by number; ahead of those that stand by key */
export const behindTurns = (number: number): Buffer => keyedPrefix(number, 1);
/** @returns behind all rows of `keyed` of a session */
export const behindKeyed = (number: number): Buffer => keyedPrefix(number, 2);
function keyedPrefix(number: number, kind: number): Buffer {
  const key = withNumber(NUMBER_BYTES + 1, number);
  key[NUMBER_BYTES] = kind;
  return key;
}

export const answerKey = (key: string): Buffer => digestOf(key);

/** @param what - the rest of the key; empty: where what expires then begins */
export function expiryKey(atMs: number, what: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(SEQ_BYTES + what.length);
  key.writeUIntBE(Math.min(Math.max(0, Math.ceil(atMs)), SEQ_MAX), 0, SEQ_BYTES);
  key.set(what, SEQ_BYTES);
  return key;
}
/** A turn as `expiryKey` takes it. */
export const expiringTurn = (number: number, seq: number): Buffer => eventKey(number, seq);
/** @returns what expires, undefined for a key that says nothing of it */
export function expiringOf(key: Uint8Array): { turn: { number: number; seq: number } } | { answer: Buffer } | undefined {
  const what = Buffer.from(key.buffer, key.byteOffset, key.length).subarray(SEQ_BYTES);
  if (what.length === DIGEST_BYTES) return { answer: what };
  const seq = seqOf(what);
  return seq < 0 ? undefined : { turn: { number: what.readUIntBE(0, NUMBER_BYTES), seq } };
}

const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest().subarray(0, DIGEST_BYTES);

/** @returns what the keys of all sessions with the pair begin with */
export function labelPrefix(isArchived: boolean, label: string, value: string): Buffer {
  // The length keeps pairs apart whose texts run together alike.
  const digest = createHash("sha256").update(`${label.length}:${label}${value}`).digest();
  const key = Buffer.allocUnsafe(17);
  key[0] = isArchived ? 1 : 0;
  digest.copy(key, 1, 0, 16);
  return key;
}
/** @returns "" for a key that is none */
export const idOfLabel = (key: Uint8Array): string => textFrom(key, 17);

/** @returns the first key behind all that begin with `prefix`, which is not all 0xff */
export function behind(prefix: Uint8Array): Buffer {
  const key = Buffer.from(prefix);
  let last = key.length - 1;
  while (last > 0 && key[last] === 0xff) last--;
  key[last] = (key[last] as number) + 1;
  return key.subarray(0, last + 1);
}

/** @returns the first key behind `key` */
export function next(key: Uint8Array): Buffer {
  return Buffer.concat([key, ZERO]);
}
const ZERO = Buffer.of(0);

export function concat(a: Uint8Array, b: Uint8Array): Buffer {
  return Buffer.concat([a, b]);
}

function withNumber(length: number, number: number): Buffer {
  const key = Buffer.allocUnsafe(length);
  key.writeUIntBE(number, 0, NUMBER_BYTES);
  return key;
}

/** @returns the number that stands at the end of a key, from `start` on */
function numberAt(key: Uint8Array, start: number, bytes: number): number {
  if (key.length !== start + bytes) return NOTHING;
  return Buffer.from(key.buffer, key.byteOffset, key.length).readUIntBE(start, bytes);
}

function textFrom(key: Uint8Array, start: number): string {
  return key.length <= start ? "" : Buffer.from(key.buffer, key.byteOffset + start, key.length - start).toString();
}
