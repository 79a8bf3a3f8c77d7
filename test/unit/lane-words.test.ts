import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { LaneWords } from "../../src/core/lane-words.ts";
import { DOORBELL, HEARTBEAT, LANE_INTS, MAY_POLL, RUNNING_SLOT, TAKEN } from "../../src/core/slot-layout.ts";

const WRAP = 2 ** 31;
const times = fc.integer({ min: 1, max: 2 ** 42 });

describe("LaneWords", () => {
  test("the words have places of their own", () => {
    expect(new Set([HEARTBEAT, RUNNING_SLOT, DOORBELL, MAY_POLL, TAKEN]).size).toBe(5);
    expect(new LaneWords().memory.byteLength).toBe(LANE_INTS * 4);
  });

  test("both sides see the same words", () => {
    const main = new LaneWords();
    const lane = new LaneWords(main.memory);
    lane.beat(1000);
    lane.setRunning(7);
    main.ring();
    lane.take();
    lane.take();
    expect([main.beatAge(1010), main.runningSlot(), lane.rings(), main.taken()]).toEqual([10, 7, 1, 2]);
  });

  test("there is no age before the first beat", () => {
    expect(new LaneWords().beatAge(Date.now())).toBeUndefined();
  });

  test("the age is the time since the last beat, also across the wrap of the word", () => {
    fc.assert(
      fc.property(times, fc.nat(1_000_000), (nowMs, ageMs) => {
        fc.pre(nowMs % WRAP !== 0);
        const words = new LaneWords();
        words.beat(nowMs);
        expect(words.beatAge(nowMs + ageMs)).toBe(ageMs);
      }),
      { examples: [[WRAP - 1, 5]] },
    );
  });

  test("a beat at a multiple of the wrap still counts as one", () => {
    const words = new LaneWords();
    words.beat(WRAP * 800);
    expect(words.beatAge(WRAP * 800 + 10)).toBeLessThanOrEqual(10);
    expect(words.beatAge(WRAP * 800 + 10)).toBeGreaterThanOrEqual(9);
  });

  test("a beat later than the reader's clock has no age: the lane beat between two reads, or the clock stepped back", () => {
    for (const [beatMs, nowMs] of [
      [1_700_000_000_001, 1_700_000_000_000],
      [1_700_000_000_000, 1_699_999_990_000],
      [WRAP * 800, WRAP * 800],
    ] as const) {
      const words = new LaneWords();
      words.beat(beatMs);
      expect(words.beatAge(nowMs)).toBe(0);
    }
  });

  test("slot 0 can run", () => {
    const words = new LaneWords();
    expect(words.runningSlot()).toBeUndefined();
    words.setRunning(0);
    expect(words.runningSlot()).toBe(0);
    words.setRunning(undefined);
    expect(words.runningSlot()).toBeUndefined();
  });

  test("every ring changes the count, also when it runs over", () => {
    const words = new LaneWords();
    new Int32Array(words.memory)[DOORBELL] = 2 ** 31 - 1;
    const before = words.rings();
    words.ring();
    expect(words.rings()).not.toBe(before);
  });
});
