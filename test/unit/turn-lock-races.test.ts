/** The turn lock under preemption: the other side's steps run between two atomic accesses of one function, at every such place. */
import { afterEach, describe, expect, test, vi } from "vitest";

import { SlotTable } from "../../src/core/slot-table.ts";
import { ticketWord } from "../../src/core/tickets.ts";
import * as turnLock from "../../src/core/turn-lock.ts";

const A = ticketWord(10);
const B = ticketWord(11);
/** More atomic accesses than any function makes. */
const PLACES = 8;

afterEach(() => vi.restoreAllMocks());

function newTable(): SlotTable {
  const table = new SlotTable();
  table.addSegment();
  turnLock.tryLock(table, 0, A);
  return table;
}

/** Run `act`, and `other` just before its access number `place`. @returns what `act` returned */
function preempted<T>(act: () => T, place: number, other: () => void): T {
  let accesses = 0;
  let isInside = false;
  const before = (): void => {
    if (isInside || accesses++ !== place) return;
    isInside = true;
    other();
    isInside = false;
  };
  const { load, store, compareExchange } = Atomics;
  vi.spyOn(Atomics, "load").mockImplementation(((words: Int32Array, at: number) => (before(), load(words, at))) as never);
  vi.spyOn(Atomics, "store").mockImplementation(
    ((words: Int32Array, at: number, value: number) => (before(), store(words, at, value))) as never,
  );
  vi.spyOn(Atomics, "compareExchange").mockImplementation(((words: Int32Array, at: number, old: number, value: number) => {
    before();
    return compareExchange(words, at, old, value);
  }) as never);
  try {
    return act();
  } finally {
    vi.restoreAllMocks();
  }
}

describe.each(Array.from({ length: PLACES }, (_, place) => [place]))("turn lock, preempted at access %i", (place) => {
  test("L1: of two admissions that race for a free lock one wins", () => {
    const table = new SlotTable();
    table.addSegment();
    let isOtherIn = false;
    const isIn = preempted(
      () => turnLock.tryLock(table, 0, A),
      place,
      () => (isOtherIn = turnLock.tryLock(table, 0, B)),
    );
    isOtherIn ||= turnLock.tryLock(table, 0, B);
    expect([isIn, isOtherIn].filter(Boolean)).toHaveLength(1);
    expect(turnLock.lockHolder(table, 0)).toBe(isIn ? A : B);
  });

  test.each([[A], [undefined]])("L3: a seal inside an interrupt (of %s): both sides agree on what became of the turn", (word) => {
    const table = newTable();
    let verdict: string | undefined;
    const answer = preempted(
      () => turnLock.requestInterrupt(table, 0, word),
      place,
      () => (verdict = turnLock.seal(table, 0, A)),
    );
    verdict ??= turnLock.seal(table, 0, A);
    expect(answer).toBe(verdict === "interrupted" ? "asked" : "not_running");
  });

  test("L3: an interrupt inside the seal: both sides agree", () => {
    const table = newTable();
    let answer: string | undefined;
    const verdict = preempted(
      () => turnLock.seal(table, 0, A),
      place,
      () => (answer = turnLock.requestInterrupt(table, 0)),
    );
    answer ??= turnLock.requestInterrupt(table, 0);
    expect(answer).toBe(verdict === "interrupted" ? "asked" : "not_running");
  });

  test("L4: an interrupt of a turn that ends meanwhile does not hit the next one", () => {
    const table = newTable();
    preempted(
      () => turnLock.requestInterrupt(table, 0, A),
      place,
      () => {
        turnLock.seal(table, 0, A);
        turnLock.unlock(table, 0, A);
        turnLock.tryLock(table, 0, B);
      },
    );
    expect(turnLock.isInterruptRequested(table, 0, B)).toBe(false);
  });

  test("L4: a boundary cancel of a turn that ends meanwhile does not hit the next one", () => {
    const table = newTable();
    let isNext = false;
    const wasAsked = preempted(
      () => turnLock.requestBoundaryCancel(table, 0),
      place,
      () => {
        turnLock.seal(table, 0, A);
        turnLock.unlock(table, 0, A);
        isNext = turnLock.tryLock(table, 0, B);
      },
    );
    // It may have come after the change of turns, and then it means the new one; never both.
    const hits = [A, B].filter((word) => turnLock.isBoundaryCancelRequested(table, 0, word));
    expect(hits).toEqual(wasAsked ? [place === 0 && isNext ? B : A] : []);
  });
});
