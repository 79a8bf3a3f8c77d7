/**
 * What main has sent to a lane and the lane has not taken yet. A port has no bound of its own: this is where its queue is seen, and what
 * admission goes by.
 *
 *   B1. The lane is behind from the moment more than RECORDS_MAX records or BYTES_MAX bytes wait for it, until half of that is left.
 *   B2. Counted in frames, of which the lane says how many it has taken (TAKEN): one that it cannot read is taken all the same, so what
 *       waits never seems more than it is.
 */
import type { LaneWords } from "../core/lane-words.ts";

/** Some 50 ms of turns that do nothing; 20 MB of small records. */
export const RECORDS_MAX = 65_536;
export const BYTES_MAX = 64 * 1024 * 1024;
/** Bounds of the advice when to try again, in milliseconds. */
const RETRY_MIN_MS = 10;
const RETRY_MAX_MS = 10_000;
/** Milliseconds over which the lane's pace is measured, at least. */
const PACE_MS = 50;
/** Frames taken before the list is moved to the front of its array. */
const COMPACT_AT = 1024;

interface SentFrame {
  readonly records: number;
  readonly bytes: number;
  readonly sentMs: number;
}

export class LaneBacklog {
  readonly #words: Pick<LaneWords, "taken">;
  readonly #nowMs: () => number;
  #frames: (SentFrame | undefined)[] = [];
  #head = 0;
  /** TAKEN when it was looked at last. */
  #seen = 0;
  #records = 0;
  #bytes = 0;
  #isBehind = false;
  /** Of the time since `#paceFromMs`. */
  #paceRecords = 0;
  #paceFromMs = 0;
  /** Records a millisecond. */
  #pace = 0;

  /** @param nowMs - a monotonic clock */
  constructor(words: Pick<LaneWords, "taken">, nowMs: () => number = () => performance.now()) {
    this.#words = words;
    this.#nowMs = nowMs;
  }

  /** A frame leaves main. */
  sent(records: number, bytes: number): void {
    const nowMs = this.#nowMs();
    this.#settle(nowMs);
    if (this.#records === 0) this.#startPace(nowMs);
    this.#frames.push({ records, bytes, sentMs: nowMs });
    this.#records += records;
    this.#bytes += bytes;
    if (this.#records > RECORDS_MAX || this.#bytes > BYTES_MAX) this.#isBehind = true;
  }

  /** B1. Looks at the lane's word only when the lane was behind. */
  get isBehind(): boolean {
    if (!this.#isBehind) return false;
    this.#settle(this.#nowMs());
    if (this.#records <= RECORDS_MAX / 2 && this.#bytes <= BYTES_MAX / 2) this.#isBehind = false;
    return this.#isBehind;
  }

  /** Frames the lane has not taken. */
  look(): number {
    this.#settle(this.#nowMs());
    return this.#frames.length - this.#head;
  }

  inspect(): { queuedRecords: number; queuedBytes: number } {
    this.#settle(this.#nowMs());
    return { queuedRecords: this.#records, queuedBytes: this.#bytes };
  }

  /** In how many milliseconds half of the bound may be left, by the lane's pace; for one that takes nothing, as long as it has done so. */
  get retryAfterMs(): number {
    const nowMs = this.#nowMs();
    this.#settle(nowMs);
    const stoodMs = nowMs - (this.#frames[this.#head]?.sentMs ?? nowMs);
    const excess = Math.max(this.#records - RECORDS_MAX / 2, (this.#records * (this.#bytes - BYTES_MAX / 2)) / Math.max(1, this.#bytes));
    const ms = this.#pace > 0 ? excess / this.#pace : stoodMs;
    return Math.ceil(Math.min(Math.max(ms, RETRY_MIN_MS), RETRY_MAX_MS));
  }

  #settle(nowMs: number): void {
    const taken = this.#words.taken();
    let frames = (taken - this.#seen) | 0;
    this.#seen = taken;
    for (; frames > 0 && this.#head < this.#frames.length; frames--) {
      const { records, bytes } = this.#frames[this.#head] as SentFrame;
      this.#frames[this.#head++] = undefined;
      this.#records -= records;
      this.#bytes -= bytes;
      this.#paceRecords += records;
    }
    if (this.#head === this.#frames.length || this.#head >= COMPACT_AT) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
    const forMs = nowMs - this.#paceFromMs;
    if (forMs < PACE_MS) return;
    this.#pace = this.#paceRecords / forMs;
    this.#startPace(nowMs);
  }

  #startPace(nowMs: number): void {
    this.#paceRecords = 0;
    this.#paceFromMs = nowMs;
  }
}
