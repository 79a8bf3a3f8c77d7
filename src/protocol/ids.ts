/**
 * Identifiers: UUID version 7 (RFC 9562 §5.7) for sessions, and the id of an event envelope, which follows from its session,
 * number and time, so that every place that holds the event can name it alike without sending the id.
 */
import { randomFillSync } from "node:crypto";

/** UUIDv7 text of a session, unless its builder chose another id. */
export type SessionId = string;
/** UUIDv7 text of one runtime run. */
export type RunId = string;
/** UUIDv7 text of one runtime input. */
export type InputId = string;

/** Characters of a session's id. */
export const SESSION_ID_MAX = 256;

/** @returns whether it is an id as Warren makes them for sessions: the text of a UUIDv7, in lower case */
export function isNewSessionId(id: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const HEX4_LIMIT = 0x10000;

/** @returns four lower-case hex digits of the low 16 bits of `value` */
function hex4(value: number): string {
  return (HEX[(value >>> 8) & 255] as string) + (HEX[value & 255] as string);
}

let lastPrefixMs = -1;
let lastPrefix = "";

/** @returns the twelve digits and the dash of a 48-bit time, as a UUID starts; asked for the same millisecond many times over */
function timePrefix(timestampMs: number): string {
  if (timestampMs !== lastPrefixMs) {
    lastPrefix = makePrefix(timestampMs);
    lastPrefixMs = timestampMs;
  }
  return lastPrefix;
}

function makePrefix(timestampMs: number): string {
  const high = Math.floor(timestampMs / 0x100000000);
  const low = timestampMs >>> 0;
  return `${hex4(high)}${hex4(low >>> 16)}-${hex4(low)}-`;
}

/**
 * A source of UUIDv7 texts that grow: within a millisecond (or when the clock steps back) a 26-bit counter goes on from a random
 * start (RFC 9562 §6.2, method 1), so ids made by one source sort in the order they were made.
 */
export class IdSource {
  readonly #random = new Uint8Array(512);
  #used = this.#random.length;
  #lastMs = -1;
  #counter = 0;
  #prefix = "";

  /** @param nowMs - epoch milliseconds */
  next(nowMs: number): string {
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      this.#prefix = timePrefix(nowMs);
      this.#counter = (this.#take16() << 8) & 0xffffff;
    } else if (++this.#counter > 0x3ffffff) {
      return this.next(this.#lastMs + 1);
    }
    // 12 counter bits behind the version, 14 behind the variant, 48 random bits.
    const high = 0x7000 | (this.#counter >>> 14);
    const low = 0x8000 | (this.#counter & 0x3fff);
    return `${this.#prefix}${hex4(high)}-${hex4(low)}-${hex4(this.#take16())}${hex4(this.#take16())}${hex4(this.#take16())}`;
  }

  #take16(): number {
    if (this.#used + 2 > this.#random.length) {
      randomFillSync(this.#random);
      this.#used = 0;
    }
    const value = ((this.#random[this.#used] as number) << 8) | (this.#random[this.#used + 1] as number);
    this.#used += 2;
    return value;
  }
}

/**
 * The last twelve digits of every event id of a session: 48 bits that tell sessions apart.
 * For a UUIDv7 session these are its own random bits; for another id, a hash (FNV-1a over UTF-16 units, twice).
 */
export function eventIdTail(sessionId: SessionId): string {
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(sessionId)) return sessionId.slice(24);
  let first = 0x811c9dc5;
  let second = 0x01000193;
  for (let i = 0; i < sessionId.length; i++) {
    first = Math.imul(first ^ sessionId.charCodeAt(i), 0x01000193);
    second = Math.imul(second ^ sessionId.charCodeAt(sessionId.length - 1 - i), 0x01000193);
  }
  return hex4(first >>> 16) + hex4(first) + hex4(second);
}

/**
 * The id of an event: UUIDv7 of its time, with its number (26 bits) in place of random bits and the session's tail behind them.
 * Two events of a session never share it; those of two sessions only if time, number and 48 random bits agree.
 *
 * @param seq - 1-based number of the event in its session
 */
export function eventIdOf(timestampMs: number, seq: number, tail: string): string {
  const number = seq % (HEX4_LIMIT * 1024);
  return `${timePrefix(timestampMs)}${hex4(0x7000 | (number >>> 14))}-${hex4(0x8000 | (number & 0x3fff))}-${tail}`;
}

/** A position in the event log of a session: its tail, the fencing number under which the event was made, and the event's number. */
export function cursorOf(tail: string, epoch: number, seq: number): string {
  return `${tail}.${epoch}.${seq}`;
}

/** @returns what a cursor says, undefined when it is not one */
export function parseCursor(cursor: string): { tail: string; epoch: number; seq: number } | undefined {
  const parts = /^([0-9a-f]{12})\.(\d{1,15})\.(\d{1,15})$/.exec(cursor);
  return parts === null ? undefined : { tail: parts[1] as string, epoch: Number(parts[2]), seq: Number(parts[3]) };
}
