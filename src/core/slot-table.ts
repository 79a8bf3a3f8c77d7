/**
 * The shared table of session slots: one per session, seen by main and by every lane, grown by segments so that growing copies
 * nothing. Main adds segments; a lane is handed each one ahead of the first frame that names a slot in it.
 *
 * Owns the words STATE, GENERATION and SUBSCRIBERS; the lock protocol is in turn-lock.ts, the summary in slot-summary.ts.
 */
import { GENERATION, SEGMENT_BITS, SEGMENT_BYTES, SEGMENT_SLOTS, SLOT_INTS, STATE, STATE_RUNNING, SUBSCRIBERS } from "./slot-layout.ts";

const SLOT_MASK = SEGMENT_SLOTS - 1;

export class SlotTable {
  readonly #segments: Int32Array[] = [];

  /** @param segments - segments that exist already, in order */
  constructor(segments: readonly SharedArrayBuffer[] = []) {
    for (const segment of segments) this.addSegment(segment);
  }

  get segments(): readonly SharedArrayBuffer[] {
    return this.#segments.map((words) => words.buffer as SharedArrayBuffer);
  }

  /** Slots the table holds. */
  get capacity(): number {
    return this.#segments.length * SEGMENT_SLOTS;
  }

  /** Append a segment, a new one unless given. @returns its memory, to be handed to every lane */
  addSegment(segment: SharedArrayBuffer = new SharedArrayBuffer(SEGMENT_BYTES)): SharedArrayBuffer {
    this.#segments.push(new Int32Array(segment));
    return segment;
  }

  /** @returns the words of the segment that holds `slot`; index them from `base(slot)` */
  words(slot: number): Int32Array {
    const words = this.#segments[slot >>> SEGMENT_BITS];
    if (words === undefined) throw new RangeError(`slot ${slot} is beyond the table's ${this.capacity}`);
    return words;
  }

  /** @returns index of the slot's first word in `words(slot)` */
  base(slot: number): number {
    return (slot & SLOT_MASK) * SLOT_INTS;
  }

  /** Clear a slot for a new owner. Main only, while no lane knows the slot. @returns the new generation, 1 or more */
  claim(slot: number): number {
    const words = this.words(slot);
    const base = this.base(slot);
    const generation = (Atomics.load(words, base + GENERATION) % 0x7fffffff) + 1;
    for (let word = 0; word < SLOT_INTS; word++) Atomics.store(words, base + word, 0);
    Atomics.store(words, base + GENERATION, generation);
    return generation;
  }

  setState(slot: number, state: number): void {
    Atomics.store(this.words(slot), this.base(slot) + STATE, state);
  }

  isRunning(slot: number): boolean {
    return Atomics.load(this.words(slot), this.base(slot) + STATE) === STATE_RUNNING;
  }

  setSubscribers(slot: number, count: number): void {
    Atomics.store(this.words(slot), this.base(slot) + SUBSCRIBERS, count);
  }

  hasSubscribers(slot: number): boolean {
    return Atomics.load(this.words(slot), this.base(slot) + SUBSCRIBERS) > 0;
  }
}
