import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { CreditReturn, CreditWindow, EVENT_WINDOW } from "../../src/transport/credits.ts";

describe("CreditWindow", () => {
  test("whatever is taken, given and refilled, it holds what a counter capped at its size would", () => {
    const steps = fc.array(fc.oneof(fc.constantFrom("take", "take", "refill"), fc.nat(5)), { maxLength: 80 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), steps, (size, sequence) => {
        const window = new CreditWindow(size);
        let left = size;
        for (const step of sequence) {
          if (step === "take") {
            expect(window.take()).toBe(left > 0);
            left = Math.max(0, left - 1);
          } else if (step === "refill") {
            window.refill();
            left = size;
          } else {
            window.give(step as number);
            left = Math.min(size, left + (step as number));
          }
        }
      }),
    );
  });

  test("the window of a turn is EVENT_WINDOW", () => {
    const window = new CreditWindow();
    for (let i = 0; i < EVENT_WINDOW; i++) expect(window.take()).toBe(true);
    expect(window.take()).toBe(false);
  });
});

describe("CreditReturn", () => {
  test("credits go back in lots, and every one goes back", () => {
    fc.assert(
      fc.property(fc.nat(500), (taken) => {
        const sent: number[] = [];
        const credits = new CreditReturn((count) => sent.push(count));
        for (let i = 0; i < taken; i++) credits.taken();
        expect(sent).toEqual(Array(Math.floor(taken / CreditReturn.LOT)).fill(CreditReturn.LOT));
        credits.settle();
        credits.settle();
        expect(sent.reduce((sum, count) => sum + count, 0)).toBe(taken);
        expect(sent).not.toContain(0);
      }),
    );
  });

  test("a sender with a whole window never runs dry while the consumer keeps up", () => {
    expect(CreditReturn.LOT).toBeLessThan(EVENT_WINDOW);
  });
});
