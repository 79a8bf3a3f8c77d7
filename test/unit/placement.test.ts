import fc from "fast-check";
import { expect, test } from "vitest";

import type { PlacementCandidate } from "../../src/core/placement.ts";
import { leastLoaded } from "../../src/core/placement.ts";

type Lane = { -readonly [K in keyof PlacementCandidate]: PlacementCandidate[K] };
const lanes = fc.array(
  fc
    .record({ sessionCount: fc.nat(5), atWork: fc.constant(0), isOpen: fc.boolean(), hindered: fc.boolean() })
    .map((lane) => ({ ...lane, isHindered: () => lane.hindered })),
  { maxLength: 8 },
);
const isHindered = (): boolean => false;

test("the chosen lane is open and not hindered if there is such a one; of those no other has fewer sessions, and no earlier one as few", () => {
  fc.assert(
    fc.property(lanes, (candidates) => {
      const anyOpen = candidates.filter(({ isOpen }) => isOpen);
      const free = anyOpen.filter(({ hindered }) => !hindered);
      const open = free.length > 0 ? free : anyOpen;
      const fewest = Math.min(...open.map(({ sessionCount }) => sessionCount));
      expect(leastLoaded(candidates, 0)).toBe(open.find(({ sessionCount }) => sessionCount === fewest));
    }),
  );
});

test("many that come at once are shared by all lanes, also when one of them is new and empty", () => {
  const [full, empty] = [10_000, 0].map((sessionCount) => ({ sessionCount, atWork: 0, isOpen: true, isHindered })) as unknown as [
    Lane,
    Lane,
  ];
  for (let i = 0; i < 1024; i++) {
    const lane = leastLoaded([full, empty], 0) as Lane;
    lane.sessionCount++;
    lane.atWork++;
  }
  expect(full.atWork).toBeGreaterThan(400);
  expect(empty.atWork).toBeGreaterThan(full.atWork);
});

test("without an open lane there is none", () => {
  expect(leastLoaded([], 0)).toBeUndefined();
  expect(leastLoaded([{ sessionCount: 0, atWork: 0, isOpen: false, isHindered }], 0)).toBeUndefined();
});

test("any iterable will do", () => {
  const lane = { sessionCount: 0, atWork: 0, isOpen: true, isHindered };
  expect(leastLoaded(new Set([lane]), 0)).toBe(lane);
});
