/** The shared words of one lane: is its loop moving, whose agent runs, has somebody rung. Layout in slot-layout.ts. */
import {
  ATTRIBUTE,
  DOORBELL,
  EXTERNAL,
  HEAP_LIMIT,
  HEAP_USED,
  HEARTBEAT,
  LANE_INTS,
  MAY_POLL,
  RUNNING_SLOT,
  TAKEN,
} from "./slot-layout.ts";

const BEAT_RANGE = 2 ** 31;
const KIB = 1024;

/** What a lane's thread holds, in bytes; kept in whole KiB. */
export interface LaneMemory {
  /** In its heap's old generation, garbage included: what outgrows the limit ends the thread. */
  readonly heapUsed: number;
  readonly heapLimit: number;
  /** Outside the heap. */
  readonly external: number;
}

const toKib = (bytes: number): number => Math.min(Math.ceil(bytes / KIB), BEAT_RANGE - 1);

export class LaneWords {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(LANE_INTS * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  /** Lane: the loop moved. @param nowMs - epoch milliseconds */
  beat(nowMs: number): void {
    Atomics.store(this.#words, HEARTBEAT, nowMs % BEAT_RANGE || 1);
  }

  /** @returns what the last beat wrote: the same as before means that there was none since */
  lastBeat(): number {
    return Atomics.load(this.#words, HEARTBEAT);
  }

  /** @returns milliseconds since the last beat, undefined before the first. @param nowMs - epoch milliseconds */
  beatAge(nowMs: number): number | undefined {
    const beat = Atomics.load(this.#words, HEARTBEAT);
    if (beat === 0) return undefined;
    const age = ((nowMs % BEAT_RANGE) - beat + BEAT_RANGE) % BEAT_RANGE;
    return age > BEAT_RANGE / 2 ? 0 : age; // it beat after the caller read its clock
  }

  /** Lane: code of the session in this slot is entered; undefined: it has returned. What it awaits is not in it. */
  setRunning(slot: number | undefined): void {
    Atomics.store(this.#words, RUNNING_SLOT, slot === undefined ? 0 : slot + 1);
  }

  /** @returns the slot of the session whose code runs now */
  runningSlot(): number | undefined {
    const value = Atomics.load(this.#words, RUNNING_SLOT);
    return value === 0 ? undefined : value - 1;
  }

  /** Main: an interrupt or boundary cancel was asked. */
  ring(): void {
    Atomics.add(this.#words, DOORBELL, 1);
  }

  /** Main: let the lane's loop poll, or have it sleep. */
  allowPolling(isAllowed: boolean): void {
    Atomics.store(this.#words, MAY_POLL, isAllowed ? 1 : 0);
  }

  /** Lane: whether its loop may poll. */
  mayPoll(): boolean {
    return Atomics.load(this.#words, MAY_POLL) === 1;
  }

  /** Lane: it is done with one more frame of main's. */
  take(): void {
    Atomics.add(this.#words, TAKEN, 1);
  }

  /** @returns how many frames the lane is done with, modulo 2^32, as a signed word */
  taken(): number {
    return Atomics.load(this.#words, TAKEN);
  }

  /** Main: have RUNNING_SLOT be right after an await too, or leave that. */
  attribute(isOn: boolean): void {
    Atomics.store(this.#words, ATTRIBUTE, isOn ? 1 : 0);
  }

  /** Lane: whether main wants that. */
  isAttributing(): boolean {
    return Atomics.load(this.#words, ATTRIBUTE) === 1;
  }

  /** Lane: what its thread holds now. */
  setMemory({ heapUsed, heapLimit, external }: LaneMemory): void {
    Atomics.store(this.#words, HEAP_USED, toKib(heapUsed));
    Atomics.store(this.#words, EXTERNAL, toKib(external));
    Atomics.store(this.#words, HEAP_LIMIT, toKib(heapLimit));
  }

  /** @returns what the lane said last; undefined before the first time */
  held(): LaneMemory | undefined {
    const heapLimit = Atomics.load(this.#words, HEAP_LIMIT) * KIB;
    if (heapLimit === 0) return undefined;
    return { heapUsed: Atomics.load(this.#words, HEAP_USED) * KIB, heapLimit, external: Atomics.load(this.#words, EXTERNAL) * KIB };
  }

  /** @returns how often the bell has been rung; a change means: look at the running turns */
  rings(): number {
    return Atomics.load(this.#words, DOORBELL);
  }
}
