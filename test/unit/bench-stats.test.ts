import { describe, expect, test } from "vitest";

import type { ScenarioResult } from "../../bench/harness/case.ts";
import { pairedRatios, spreadOf } from "../../bench/harness/stats.ts";
import { best, measured, ratioTarget, rounds, valueTarget } from "../../bench/harness/targets.ts";
import { contender } from "./support/bench-results.ts";

describe("a spread", () => {
  test.each([
    { values: [7], median: 7, low: 7, high: 7 },
    { values: [3, 1, 2], median: 2, low: 1, high: 3 },
    { values: [10, 2, 4, 100], median: 7, low: 2, high: 100 }, // by number, not by spelling
  ])("of $values", ({ values, ...spread }) => {
    expect(spreadOf(values)).toEqual(spread);
  });

  test("leaves the rounds in their order", () => {
    const values = [3, 1, 2];
    spreadOf(values);
    expect(values).toEqual([3, 1, 2]);
  });

  test("of nothing is refused", () => {
    expect(() => spreadOf([])).toThrow(RangeError);
  });
});

describe("paired ratios", () => {
  test("a round that slowed both contenders leaves the ratio as it was", () => {
    expect(pairedRatios([200, 20, 100], [100, 10, 50])).toEqual([2, 2, 2]);
  });

  test("there are as many as the shorter of the two has rounds", () => {
    expect(pairedRatios([2, 4, 6], [1, 2])).toEqual([2, 2]);
    expect(pairedRatios([2, 4], [1, 2, 3])).toEqual([2, 2]);
  });
});

describe("a target", () => {
  const target = (better: "higher" | "lower", limit: number, values: number[]) =>
    valueTarget({ id: "P0", what: "a figure", unit: "µs", limit, better }, values);

  test("is the median of the rounds, with the lowest and the highest", () => {
    expect(target("lower", 3, [2, 9, 1])).toEqual({
      id: "P0",
      what: "a figure",
      unit: "µs",
      limit: 3,
      better: "lower",
      value: 2,
      low: 1,
      high: 9,
      met: true,
    });
  });

  test.each([
    { better: "higher" as const, value: 5, met: true },
    { better: "higher" as const, value: 4.999, met: false },
    { better: "lower" as const, value: 5, met: true },
    { better: "lower" as const, value: 5.001, met: false },
  ])("of 5, $better is better: $value is met: $met", ({ better, value, met }) => {
    expect(target(better, 5, [value]).met).toBe(met);
  });

  test("about two contenders is about the ratios of their rounds", () => {
    const { value, low, high, unit, met } = ratioTarget(
      { id: "P0", what: "a over b", limit: 2, better: "higher" },
      [10, 30, 80],
      [10, 10, 20],
    );
    expect({ value, low, high, unit, met }).toEqual({ value: 3, low: 1, high: 4, unit: "×", met: true });
  });
});

describe("what a target is made of", () => {
  const results: ScenarioResult[] = [
    {
      scenario: "one",
      parameters: {},
      contenders: [contender("slow", "peer", { perSecond: [1, 2, 99] }), contender("fast", "peer", { perSecond: [3, 3, 3] })],
    },
  ];

  test("is found by scenario, contender and metric", () => {
    expect(rounds(measured(results, "one", "fast"), "perSecond")).toEqual([3, 3, 3]);
    expect(() => measured(results, "one", "nobody")).toThrow("nothing was measured of nobody in one");
    expect(() => measured(results, "two", "fast")).toThrow("nothing was measured of fast in two");
    expect(() => rounds(measured(results, "one", "fast"), "bytes")).toThrow("fast has no bytes");
  });

  test("the best of several is the one with the best median", () => {
    expect(best(results[0]?.contenders ?? [], "perSecond").name).toBe("fast");
  });
});
