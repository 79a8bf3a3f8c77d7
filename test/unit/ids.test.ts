import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { IdSource, eventIdOf, eventIdTail } from "../../src/protocol/ids.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const timeOf = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
/** Milliseconds that fit a UUID's 48 bits. */
const times = fc.integer({ min: 0, max: 2 ** 48 - 2 });

describe("IdSource", () => {
  test("ids are UUIDv7 texts of their time", () => {
    fc.assert(
      fc.property(times, (nowMs) => {
        const id = new IdSource().next(nowMs);
        expect(id).toMatch(UUID_V7);
        expect(timeOf(id)).toBe(nowMs);
      }),
      { examples: [[0], [1], [2 ** 32 - 1], [2 ** 32]] },
    );
  });

  test("ids sort in the order they were made, and never repeat, however the clock runs", () => {
    fc.assert(
      fc.property(fc.array(times, { minLength: 2, maxLength: 50 }), (clock) => {
        const source = new IdSource();
        const ids = clock.map((nowMs) => source.next(nowMs));
        for (let i = 1; i < ids.length; i++) expect((ids[i - 1] as string) < (ids[i] as string)).toBe(true);
      }),
    );
  });

  test("a clock that steps back leaves the id at the latest time seen", () => {
    const source = new IdSource();
    source.next(5000);
    expect(timeOf(source.next(1000))).toBe(5000);
  });
});

describe("event ids", () => {
  const tail = eventIdTail(new IdSource().next(1));

  test("an event id is a UUIDv7 text of its time", () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 2 ** 26 - 1 }), (timestampMs, seq) => {
        const id = eventIdOf(timestampMs, seq, tail);
        expect(id).toMatch(UUID_V7);
        expect(timeOf(id)).toBe(timestampMs);
      }),
    );
  });

  test("two events of a session share an id only if they are the same event", () => {
    const events = fc.tuple(times, fc.integer({ min: 1, max: 2 ** 26 - 1 }));
    fc.assert(
      fc.property(events, events, ([timeA, seqA], [timeB, seqB]) => {
        expect(eventIdOf(timeA, seqA, tail) === eventIdOf(timeB, seqB, tail)).toBe(timeA === timeB && seqA === seqB);
      }),
    );
  });

  test("ids of one millisecond sort by number", () => {
    const ids = Array.from({ length: 40_000 }, (_, index) => eventIdOf(1_700_000_000_000, index + 1, tail));
    expect(ids.every((id, index) => index === 0 || (ids[index - 1] as string) < id)).toBe(true);
  });

  test("a UUIDv7 session's tail is its own random part; any other id is hashed to twelve digits", () => {
    const session = new IdSource().next(1_700_000_000_000);
    expect(eventIdTail(session)).toBe(session.slice(24));
    fc.assert(
      fc.property(fc.string(), (id) => {
        expect(eventIdTail(id)).toMatch(/^[0-9a-f]{12}$/);
      }),
    );
  });

  test("tails of similar names differ", () => {
    const names = Array.from({ length: 2000 }, (_, index) => `session-${index}`);
    expect(new Set(names.map(eventIdTail)).size).toBe(names.length);
  });
});
