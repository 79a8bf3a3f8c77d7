import fc from "fast-check";
import { expect, test } from "vitest";

import { leastLoaded } from "../../src/core/placement.ts";

const lanes = fc.array(fc.record({ sessionCount: fc.nat(5), isOpen: fc.boolean() }), { maxLength: 8 });

test("the chosen lane is open, no open lane has fewer sessions, and no earlier one as few", () => {
  fc.assert(
    fc.property(lanes, (candidates) => {
      const open = candidates.filter(({ isOpen }) => isOpen);
      const fewest = Math.min(...open.map(({ sessionCount }) => sessionCount));
      expect(leastLoaded(candidates)).toBe(open.find(({ sessionCount }) => sessionCount === fewest));
    }),
  );
});

test("without an open lane there is none", () => {
  expect(leastLoaded([])).toBeUndefined();
  expect(leastLoaded([{ sessionCount: 0, isOpen: false }])).toBeUndefined();
});

test("any iterable will do", () => {
  const lane = { sessionCount: 0, isOpen: true };
  expect(leastLoaded(new Set([lane]))).toBe(lane);
});
