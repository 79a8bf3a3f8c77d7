/** Which slots of the table are free. Freed slots are used again, last freed first; the table grows when there are none. */
import { SLOTS_MAX } from "./slot-layout.ts";
import type { SlotTable } from "./slot-table.ts";

export class SlotAllocator {
  readonly #table: SlotTable;
  readonly #onGrow: (segment: SharedArrayBuffer) => void;
  readonly #free: number[] = [];
  #next = 0;

  /** @param onGrow - hands a new segment to every lane, before any slot in it is named */
  constructor(table: SlotTable, onGrow: (segment: SharedArrayBuffer) => void) {
    this.#table = table;
    this.#onGrow = onGrow;
  }

  /** Slots in use. */
  get allocated(): number {
    return this.#next - this.#free.length;
  }

  /** Slots that were used and are free again. */
  get free(): number {
    return this.#free.length;
  }

  /** @returns a slot, cleared, and the generation of its new owner */
  claim(): { slot: number; generation: number } {
    const slot = this.#free.pop() ?? this.#next++;
    if (slot >= SLOTS_MAX) throw new RangeError(`more than ${SLOTS_MAX} slots`);
    if (slot >= this.#table.capacity) this.#onGrow(this.#table.addSegment());
    return { slot, generation: this.#table.claim(slot) };
  }

  /** The slot's lane has forgotten it, or is gone. */
  release(slot: number): void {
    this.#free.push(slot);
  }
}
