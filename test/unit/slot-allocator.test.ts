import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { SlotAllocator } from "../../src/core/slot-allocator.ts";
import { SEGMENT_SLOTS } from "../../src/core/slot-layout.ts";
import { SlotTable } from "../../src/core/slot-table.ts";

function newAllocator(): { allocator: SlotAllocator; table: SlotTable; segments: SharedArrayBuffer[] } {
  const table = new SlotTable();
  const segments: SharedArrayBuffer[] = [];
  return { table, segments, allocator: new SlotAllocator(table, (segment) => segments.push(segment)) };
}

describe("SlotAllocator", () => {
  test("no slot has two owners, and an owner's generation is not that of any earlier one", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant("claim" as const), fc.nat(50)), { maxLength: 100 }), (sequence) => {
        const { allocator } = newAllocator();
        const owned: number[] = [];
        const used = new Set<string>();
        for (const step of sequence) {
          if (step === "claim") {
            const { slot, generation } = allocator.claim();
            expect(owned).not.toContain(slot);
            expect(used.has(`${slot}/${generation}`)).toBe(false);
            used.add(`${slot}/${generation}`);
            owned.push(slot);
          } else if (owned.length > 0) allocator.release(owned.splice(step % owned.length, 1)[0] as number);
          expect(allocator.allocated).toBe(owned.length);
        }
      }),
    );
  });

  test("freed slots are used again before new ones, last freed first", () => {
    const { allocator } = newAllocator();
    for (let i = 0; i < 3; i++) allocator.claim();
    allocator.release(0);
    allocator.release(2);
    expect(allocator.free).toBe(2);
    expect([allocator.claim().slot, allocator.claim().slot, allocator.claim().slot]).toEqual([2, 0, 3]);
  });

  test("the table grows by one segment when there is no slot left, and says so before the slot is named", () => {
    const { allocator, table, segments } = newAllocator();
    for (let i = 0; i < SEGMENT_SLOTS; i++) allocator.claim();
    expect(segments).toHaveLength(1);
    expect(allocator.claim()).toEqual({ slot: SEGMENT_SLOTS, generation: 1 });
    expect(segments).toEqual(table.segments);
    expect(segments).toHaveLength(2);
  });
});
