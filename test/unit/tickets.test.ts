import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { TicketSource, ticketWord } from "../../src/core/tickets.ts";

const YEAR_2109_MS = Date.UTC(2109, 0);

describe("tickets", () => {
  test("tickets grow by one and stay safe integers", () => {
    fc.assert(
      fc.property(fc.nat(YEAR_2109_MS), (nowMs) => {
        const source = new TicketSource(nowMs);
        const first = source.next();
        expect(Number.isSafeInteger(first)).toBe(true);
        expect([source.next(), source.next()]).toEqual([first + 1, first + 2]);
      }),
    );
  });

  test("a source made later does not repeat the tickets of one that spent 1,000 a millisecond", () => {
    fc.assert(
      fc.property(fc.nat(YEAR_2109_MS), fc.integer({ min: 1, max: 20 }), (startMs, livedMs) => {
        const first = new TicketSource(startMs);
        let last = 0;
        for (let spent = 0; spent < livedMs * 2048; spent++) last = first.next();
        expect(new TicketSource(startMs + livedMs).next()).toBeGreaterThan(last);
      }),
      { numRuns: 20 },
    );
  });
});

describe("ticketWord", () => {
  test("a word is a positive Int32: never free, never housekeeping, and its negative is another value", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (ticket) => {
        const word = ticketWord(ticket);
        expect(word).toBeGreaterThanOrEqual(1);
        expect(word).toBeLessThanOrEqual(2 ** 31 - 1);
        expect(-word | 0).toBe(-word);
      }),
      { examples: [[0], [2 ** 31 - 2], [2 ** 31 - 1], [Number.MAX_SAFE_INTEGER]] },
    );
  });

  test("tickets less than 2^31 − 1 apart have different words", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), fc.integer({ min: 1, max: 2 ** 31 - 2 }), (ticket, distance) => {
        expect(ticketWord(ticket)).not.toBe(ticketWord(ticket + distance));
      }),
    );
  });
});
