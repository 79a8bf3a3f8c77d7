import * as fc from "fast-check";
import { expect, test } from "vitest";

import { RestartBudget } from "../../src/core/restart-budget.ts";

test("B2: the first restart does not wait, each further one twice as long, up to a bound; a quiet window begins anew", () => {
  const budget = new RestartBudget(100, 60_000);
  let nowMs = 0;
  const delays = Array.from({ length: 9 }, () => {
    const { delayMs } = budget.next(nowMs);
    nowMs += delayMs;
    return delayMs;
  });
  expect(delays).toEqual([0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  expect(budget.next(nowMs + 60_001)).toEqual({ delayMs: 0, isOverBudget: false });
});

test("B1: over budget it waits until the window allows it", () => {
  const budget = new RestartBudget(2, 1000);
  expect([budget.next(0), budget.next(10), budget.next(200)]).toEqual([
    { delayMs: 0, isOverBudget: false },
    { delayMs: 100, isOverBudget: false },
    { delayMs: 800, isOverBudget: true }, // the one at 0 leaves the window at 1000
  ]);
  expect(budget.next(1001)).toEqual({ delayMs: 200, isOverBudget: false }); // the one at 110 left it before this one's back-off ends
});

test("B1: however fast a lane is lost, a window never holds more than the budget", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 2000 }),
      fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 60 }),
      (max, windowMs, lives) => {
        const budget = new RestartBudget(max, windowMs);
        const starts: number[] = [];
        let nowMs = 0;
        for (const life of lives) {
          nowMs += life;
          nowMs += budget.next(nowMs).delayMs;
          starts.push(nowMs);
        }
        for (let i = max; i < starts.length; i++)
          expect((starts[i] as number) - (starts[i - max] as number)).toBeGreaterThanOrEqual(windowMs);
      },
    ),
  );
});

test("B1: a budget of none allows none", () => {
  expect(new RestartBudget(0, 1000).next(0)).toEqual({ delayMs: Infinity, isOverBudget: true });
});
