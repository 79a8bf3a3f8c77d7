import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { LaneWords } from "../../src/core/lane-words.ts";
import { SlotTable } from "../../src/core/slot-table.ts";
import { ticketWord } from "../../src/core/tickets.ts";
import { tryLock, unlock } from "../../src/core/turn-lock.ts";
import { Supervisor } from "../../src/host/supervisor.ts";

const GRACE_MS = 1000;
const WORD = ticketWord(1);

type Watched = Parameters<Supervisor["watch"]>[0];

function newBench(): { words: LaneWords; table: SlotTable; kills: () => number; settle: () => void; watch: () => void; lose: () => void } {
  const table = new SlotTable();
  table.addSegment();
  tryLock(table, 0, WORD);
  const words = new LaneWords();
  const kill = vi.fn();
  const lane = { number: 0, words, hasEnded: false, thread: { kill } };
  const cleanups: (() => void)[] = [];
  const turn = { ticket: 1, word: WORD, entry: { id: "s", slot: 0, lane }, onSettled: (cleanup: () => void) => cleanups.push(cleanup) };
  const supervisor = new Supervisor(table, GRACE_MS, undefined);
  return {
    words,
    table,
    kills: () => kill.mock.calls.length,
    settle: () => cleanups.forEach((cleanup) => cleanup()),
    watch: () => supervisor.watch(turn as unknown as Watched),
    lose: () => (lane.hasEnded = true),
  };
}
/** Let time pass, with a heartbeat each 100 ms. */
function liveFor(words: LaneWords, ms: number): void {
  for (let passed = 0; passed < ms; passed += 100) {
    vi.advanceTimersByTime(100);
    words.beat(Date.now());
  }
}

beforeEach(() => void vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => vi.useRealTimers());

describe("supervisor", () => {
  test("V1: a lane whose heart stands still since the interrupt is killed after the grace, once", () => {
    const bench = newBench();
    bench.words.beat(Date.now());
    bench.watch();
    vi.advanceTimersByTime(GRACE_MS);
    expect(bench.kills()).toBe(0);
    vi.advanceTimersByTime(500);
    expect(bench.kills()).toBe(1);
    vi.advanceTimersByTime(10 * GRACE_MS);
    expect(bench.kills()).toBe(1);
  });

  test("V1: a lane whose heart beats is not killed, however long the turn takes", () => {
    const bench = newBench();
    bench.words.beat(Date.now());
    bench.watch();
    liveFor(bench.words, 60_000);
    expect(bench.kills()).toBe(0);
  });

  test("V1: a lane is not killed for a turn that does not hold its lock any more", () => {
    const bench = newBench();
    bench.words.beat(Date.now());
    bench.watch();
    unlock(bench.table, 0, WORD);
    vi.advanceTimersByTime(60_000);
    expect(bench.kills()).toBe(0);
  });

  test("V1: nor for one that has settled, nor when it has ended by itself", () => {
    for (const end of ["settle", "lose"] as const) {
      const bench = newBench();
      bench.words.beat(Date.now());
      bench.watch();
      bench[end]();
      vi.advanceTimersByTime(60_000);
      expect(bench.kills()).toBe(0);
    }
  });

  test("V1: a stall of main's own is not taken for one of the lane: one stale look is not enough", () => {
    const bench = newBench();
    bench.words.beat(Date.now());
    bench.watch();
    // Main's timer comes late, and between its first look and its second the lane's next beat is seen.
    vi.setSystemTime(Date.now() + 30_000);
    vi.advanceTimersByTime(GRACE_MS + 50);
    bench.words.beat(Date.now());
    liveFor(bench.words, 10_000);
    expect(bench.kills()).toBe(0);
  });

  test("V1: a clock that steps back is not a stall", () => {
    const bench = newBench();
    bench.words.beat(Date.now());
    bench.watch();
    liveFor(bench.words, GRACE_MS);
    // The lane has beaten a moment ago; its next beat comes behind both of main's looks.
    vi.setSystemTime(Date.now() - 5000);
    vi.advanceTimersByTime(150);
    expect(bench.kills()).toBe(0);
  });

  test("no timer is left when the turn has settled", () => {
    const bench = newBench();
    bench.watch();
    vi.advanceTimersByTime(GRACE_MS + 60);
    bench.settle();
    expect(vi.getTimerCount()).toBe(0);
  });
});
