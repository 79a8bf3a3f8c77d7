import { describe, expect, test } from "vitest";

import * as layout from "../../src/core/slot-layout.ts";
import { SlotTable } from "../../src/core/slot-table.ts";

const { SEGMENT_BYTES, SEGMENT_SLOTS, SLOT_INTS } = layout;

function tableOf(segments: number): SlotTable {
  const table = new SlotTable();
  for (let i = 0; i < segments; i++) table.addSegment();
  return table;
}
const wordsOf = (table: SlotTable, slot: number): Int32Array => table.words(slot).subarray(table.base(slot), table.base(slot) + SLOT_INTS);

describe("layout", () => {
  test("no two words of a slot share a place, and all fit the slot", () => {
    const single = [
      layout.LOCK,
      layout.VERDICT,
      layout.BOUNDARY_CANCEL,
      layout.STATE,
      layout.GENERATION,
      layout.SUBSCRIBERS,
      layout.VERSION,
    ];
    const summary = Array.from({ length: 2 * layout.SUMMARY_INTS }, (_, at) => layout.SUMMARY + at);
    const all = [...single, ...summary];
    expect(new Set(all).size).toBe(all.length);
    expect(Math.max(...all)).toBeLessThan(SLOT_INTS);
  });

  test("the words of a summary do not overlap: one for the count of messages, two for everything else", () => {
    const { messageCount, ...pairs } = layout.SUMMARY_WORDS;
    const taken = [messageCount, ...Object.values(pairs).flatMap((at) => [at, at + 1])];
    expect([...taken].sort((a, b) => a - b)).toEqual(Array.from({ length: layout.SUMMARY_INTS }, (_, at) => at));
  });

  test("a slot is whole cache lines, a segment half a MiB of them", () => {
    expect((SLOT_INTS * 4) % 64).toBe(0);
    expect(SEGMENT_BYTES).toBe(512 * 1024);
    expect(SEGMENT_SLOTS).toBe(2 ** layout.SEGMENT_BITS);
    expect(layout.SLOTS_MAX % SEGMENT_SLOTS).toBe(0);
  });
});

describe("SlotTable", () => {
  test("it grows by segments; what is written stays where it is", () => {
    const table = tableOf(1);
    table.setState(5, layout.STATE_RUNNING);
    const before = table.words(5);
    expect(table.capacity).toBe(SEGMENT_SLOTS);
    table.addSegment();
    expect(table.capacity).toBe(2 * SEGMENT_SLOTS);
    expect(table.words(5)).toBe(before);
    expect(wordsOf(table, 5)[layout.STATE]).toBe(layout.STATE_RUNNING);
  });

  test("slots do not overlap, also not across a segment's end", () => {
    const table = tableOf(2);
    const slots = [0, 1, SEGMENT_SLOTS - 1, SEGMENT_SLOTS, 2 * SEGMENT_SLOTS - 1];
    for (const slot of slots) wordsOf(table, slot).fill(slot + 1);
    for (const slot of slots) expect([...wordsOf(table, slot)]).toEqual(Array(SLOT_INTS).fill(slot + 1));
  });

  test.each([[2 * SEGMENT_SLOTS], [-1]])("slot %i, which the table does not have, is a RangeError", (slot) => {
    expect(() => tableOf(2).words(slot)).toThrow(RangeError);
  });

  test("two tables over the same segments see the same words", () => {
    const main = tableOf(2);
    const lane = new SlotTable(main.segments);
    main.setSubscribers(SEGMENT_SLOTS + 1, 2);
    expect(lane.hasSubscribers(SEGMENT_SLOTS + 1)).toBe(true);
    main.setSubscribers(SEGMENT_SLOTS + 1, 0);
    expect(lane.hasSubscribers(SEGMENT_SLOTS + 1)).toBe(false);
  });

  test("claim clears every word and moves the generation on", () => {
    const table = tableOf(1);
    expect(table.claim(3)).toBe(1);
    wordsOf(table, 3).fill(7);
    expect(table.claim(3)).toBe(8);
    const expected = Array<number>(SLOT_INTS).fill(0);
    expected[layout.GENERATION] = 8;
    expect([...wordsOf(table, 3)]).toEqual(expected);
    expect([...wordsOf(table, 2)]).toEqual(Array(SLOT_INTS).fill(0));
  });

  test("the generation after the last 31-bit one is 1, never 0 and never negative", () => {
    const table = tableOf(1);
    wordsOf(table, 0)[layout.GENERATION] = 0x7fffffff;
    expect(table.claim(0)).toBe(1);
  });
});
