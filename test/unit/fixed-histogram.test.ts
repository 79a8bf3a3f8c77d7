import { expect, test } from "vitest";

import { FixedHistogram } from "../../src/core/fixed-histogram.ts";

test("a value is in the first bucket whose bound is not less; above them all there is one more", () => {
  const histogram = new FixedHistogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 5, 5.1, 100]) histogram.add(value);
  expect(histogram.counted()).toEqual({ counts: [2, 2, 1, 2], sum: 114.6 });
});

test("what was read does not change any more", () => {
  const histogram = new FixedHistogram([1]);
  const before = histogram.counted();
  histogram.add(1);
  expect(before).toEqual({ counts: [0, 0], sum: 0 });
});
