import fc from "fast-check";
import { expect, test } from "vitest";

import type { PlacementCandidate } from "../../src/core/placement.ts";
import { leastLoaded } from "../../src/core/placement.ts";

type Lane = { -readonly [K in keyof PlacementCandidate]: PlacementCandidate[K] };
const lanes = fc.array(fc.record({ sessionCount: fc.nat(5), atWork: fc.constant(0), isOpen: fc.boolean() }), { maxLength: 8 });

test("the chosen lane is open, no open lane has fewer sessions, and no earlier one as few", () => {
  fc.assert(
    fc.property(lanes, (candidates) => {
      const open = candidates.filter(({ isOpen }) => isOpen);
      const fewest = Math.min(...open.map(({ sessionCount }) => sessionCount));
      expect(leastLoaded(candidates)).toBe(open.find(({ sessionCount }) => sessionCount === fewest));
    }),
  );
});

test("many that come at once are shared by all lanes, also when one of them is new and empty", () => {
  const [full, empty] = [10_000, 0].map((sessionCount) => ({ sessionCount, atWork: 0, isOpen: true })) as [Lane, Lane];
  for (let i = 0; i < 1024; i++) {
    const lane = leastLoaded([full, empty]) as Lane;
    lane.sessionCount++;
    lane.atWork++;
  }
  expect(full.atWork).toBeGreaterThan(400);
  expect(empty.atWork).toBeGreaterThan(full.atWork);
});

test("without an open lane there is none", () => {
  expect(leastLoaded([])).toBeUndefined();
  expect(leastLoaded([{ sessionCount: 0, atWork: 0, isOpen: false }])).toBeUndefined();
});

test("any iterable will do", () => {
  const lane = { sessionCount: 0, atWork: 0, isOpen: true };
  expect(leastLoaded(new Set([lane]))).toBe(lane);
});
