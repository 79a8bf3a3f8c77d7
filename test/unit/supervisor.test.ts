import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { LaneWords } from "../../src/core/lane-words.ts";
import { STATE_RUNNING } from "../../src/core/slot-layout.ts";
import { SlotTable } from "../../src/core/slot-table.ts";
import { ticketWord } from "../../src/core/tickets.ts";
import { tryLock, unlock } from "../../src/core/turn-lock.ts";
import { HostEvents } from "../../src/host/host-events.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import { Supervisor } from "../../src/host/supervisor.ts";
import type { HostEvent } from "../../src/protocol/host-events.ts";
import { SessionServiceOptionsSchema } from "../../src/protocol/options.ts";

const GRACE_MS = 1000;
const STALL_MS = 2000;
const BUILD_MS = 5000;
const WORD = ticketWord(1);

type Watched = Parameters<Supervisor["watch"]>[0];
type Lanes = ConstructorParameters<typeof Supervisor>[2];

/** A lane with one turn that holds its lock, and what became of it. */
interface Bench {
  words: LaneWords;
  table: SlotTable;
  lane: { state: string; hasEnded: boolean };
  kills: () => number;
  told: (type: HostEvent["type"]) => HostEvent[];
  /** A build begins. */
  build: (slot: number) => void;
  settle: () => void;
  watch: () => void;
}
const open: Supervisor[] = [];

function newBench(laneStallPolicy: "report" | "kill" = "report", interruptGraceMs = GRACE_MS): Bench {
  const table = new SlotTable();
  table.addSegment();
  tryLock(table, 0, WORD);
  const words = new LaneWords();
  words.beat(Date.now());
  const kill = vi.fn<() => void>();
  const told: HostEvent[] = [];
  const building: { slot: number; startedMs: number }[] = [];
  const lane = { number: 0, words, state: "ready", hasEnded: false, thread: { kill } };
  const cleanups: (() => void)[] = [];
  const turn = {
    ticket: 1,
    word: WORD,
    cancelReason: "interrupt",
    entry: { id: "s", slot: 0, lane },
    onSettled: (cleanup: () => void) => cleanups.push(cleanup),
  };
  const options = SessionServiceOptionsSchema.parse({
    agent: "x",
    interruptGraceMs,
    laneStallMs: STALL_MS,
    laneStallPolicy,
    buildTimeoutMs: BUILD_MS,
  });
  const events = new HostEvents({ onHostEvent: (event) => void told.push(event) });
  const supervisor = new Supervisor(table, options, [lane] as unknown as Lanes, events, {
    inSlot: (_, slot) => ({ id: `in slot ${slot}` }) as SessionEntry,
    buildingSince: (sinceMs) =>
      building.filter(({ startedMs }) => startedMs <= sinceMs).map(({ slot }) => ({ id: "b", slot, lane }) as never),
  });
  open.push(supervisor);
  return {
    words,
    table,
    lane,
    kills: () => kill.mock.calls.length,
    told: (type) => told.filter((event) => event.type === type),
    build: (slot) => void building.push({ slot, startedMs: Date.now() }),
    settle: () => cleanups.forEach((cleanup) => cleanup()),
    watch: () => supervisor.watch(turn as unknown as Watched),
  };
}
/** Let time pass, with a heartbeat each 100 ms. */
function liveFor(words: LaneWords, ms: number): void {
  for (let passed = 0; passed < ms; passed += 100) {
    vi.advanceTimersByTime(100);
    words.beat(Date.now());
  }
}

beforeEach(() => {
  vi.useFakeTimers({
    now: 1_700_000_000_000,
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"],
  });
});
afterEach(() => {
  for (const supervisor of open.splice(0)) supervisor.close();
  vi.useRealTimers();
});

describe("supervisor: an interrupted turn", () => {
  test("V1: a lane whose heart stands still since the interrupt is killed after the grace, once", () => {
    const bench = newBench();
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
    bench.watch();
    liveFor(bench.words, 60_000);
    expect(bench.kills()).toBe(0);
  });

  test("V1: one whose heart beats and that still has not ended the turn a minute after the grace is killed; not while the turn waits", () => {
    const bench = newBench();
    bench.watch();
    liveFor(bench.words, GRACE_MS + 90_000);
    expect(bench.kills()).toBe(0); // it has not begun
    bench.table.setState(0, STATE_RUNNING);
    liveFor(bench.words, 100);
    expect(bench.told("lane_killed")).toMatchObject([{ sessionId: "s", details: { reason: "it did not end an interrupted turn" } }]);
  });

  test("V1: with a short grace, a lane that has stood still since the interrupt is killed after two beats", () => {
    const bench = newBench("report", 100);
    bench.watch();
    vi.advanceTimersByTime(300);
    expect(bench.kills()).toBe(1);
  });

  test("V1: with a short grace, a lane that has moved since is not killed for a neighbour's work, while the agent is rebuilt", () => {
    const bench = newBench("report", 100);
    bench.watch();
    liveFor(bench.words, 1000);
    vi.advanceTimersByTime(400);
    expect(bench.kills()).toBe(0);
    vi.advanceTimersByTime(300);
    expect(bench.kills()).toBe(1); // but not for ever
  });

  test("V1: a lane is not killed for a turn that does not hold its lock any more, has settled, or whose lane has ended", () => {
    const ends: ((bench: Bench) => unknown)[] = [
      ({ table }) => unlock(table, 0, WORD),
      ({ settle }) => settle(),
      ({ lane }) => (lane.hasEnded = true),
    ];
    for (const end of ends) {
      const bench = newBench();
      bench.watch();
      end(bench);
      vi.advanceTimersByTime(60_000);
      expect(bench.kills()).toBe(0);
    }
  });

  test("V3: one stale look is not enough: the lane's next beat shows that it was main that stalled", () => {
    const bench = newBench();
    bench.watch();
    vi.setSystemTime(Date.now() + 30_000);
    vi.advanceTimersByTime(GRACE_MS + 50);
    bench.words.beat(Date.now());
    liveFor(bench.words, 10_000);
    expect(bench.kills()).toBe(0);
  });

  test("V3: two looks that both came late, or a clock that was set ahead between beats, are no stall", () => {
    const bench = newBench();
    bench.watch();
    liveFor(bench.words, GRACE_MS - 100);
    for (let i = 0; i < 10; i++) {
      vi.setSystemTime(Date.now() + 5000);
      vi.advanceTimersByTime(60); // a look, and no beat yet
      bench.words.beat(Date.now());
    }
    expect(bench.kills()).toBe(0);
  });

  test("each step is told: the interrupt, and the kill with its session and turn", () => {
    const bench = newBench();
    bench.watch();
    expect(bench.told("interrupt_asked")).toMatchObject([{ lane: 0, sessionId: "s", ticket: 1, details: { reason: "interrupt" } }]);
    vi.advanceTimersByTime(GRACE_MS + 200);
    expect(bench.told("lane_killed")).toMatchObject([
      { lane: 0, sessionId: "s", ticket: 1, details: { reason: "a turn ignored its interrupt and blocks it" } },
    ]);
  });

  test("V3: a clock that steps back is not a stall", () => {
    const bench = newBench();
    bench.watch();
    liveFor(bench.words, GRACE_MS);
    // The lane has beaten a moment ago; its next beat comes behind both of main's looks.
    vi.setSystemTime(Date.now() - 5000);
    vi.advanceTimersByTime(150);
    expect(bench.kills()).toBe(0);
  });
});

describe("supervisor: a lane that stands still and nobody interrupts", () => {
  test("V2: it is reported, once, and lives", () => {
    const bench = newBench("report");
    vi.advanceTimersByTime(10 * STALL_MS);
    expect([bench.kills(), bench.told("lane_stalled").length]).toEqual([0, 1]);
  });

  test("V2: one that recovered and stalls again is reported again", () => {
    const bench = newBench("report");
    vi.advanceTimersByTime(2 * STALL_MS);
    liveFor(bench.words, STALL_MS);
    expect([bench.told("lane_stalled").length, bench.told("lane_recovered").length]).toEqual([1, 1]);
    vi.advanceTimersByTime(2 * STALL_MS);
    expect(bench.told("lane_stalled")).toHaveLength(2);
  });

  test("V2: the report names the session whose code it stands in", () => {
    const bench = newBench();
    bench.words.setRunning(7);
    vi.advanceTimersByTime(2 * STALL_MS);
    expect(bench.told("lane_stalled")).toMatchObject([{ lane: 0, sessionId: "in slot 7" }]);
  });

  test("V2: it is killed where the operator asked for it", () => {
    const bench = newBench("kill");
    vi.advanceTimersByTime(STALL_MS - 300);
    expect(bench.kills()).toBe(0);
    vi.advanceTimersByTime(1300);
    expect(bench.kills()).toBeGreaterThan(0);
  });

  test("V2: a lane that beats, that has not begun, or that is on its way out is left alone", () => {
    const beating = newBench("kill");
    liveFor(beating.words, 10 * STALL_MS);
    expect(beating.kills()).toBe(0);
    for (const state of ["starting", "stopping", "lost", "stopped"]) {
      const bench = newBench("kill");
      bench.lane.state = state;
      vi.advanceTimersByTime(10 * STALL_MS);
      expect([bench.kills(), bench.told("lane_stalled")]).toEqual([0, []]);
    }
  });

  test("V3: a look that comes late sees every lane stale, and does nothing about those that beat at once", () => {
    const bench = newBench("kill");
    vi.setSystemTime(Date.now() + 60_000);
    vi.advanceTimersByTime(250);
    bench.words.beat(Date.now());
    liveFor(bench.words, 10_000);
    expect([bench.kills(), bench.told("lane_stalled")]).toEqual([0, []]);
  });
});

describe("supervisor: an agent's builder", () => {
  test("V4: one that blocks its lane beyond the time of a build is killed with it, and named", () => {
    const bench = newBench();
    bench.build(3);
    bench.words.setRunning(3);
    vi.advanceTimersByTime(BUILD_MS - 250);
    expect(bench.kills()).toBe(0);
    vi.advanceTimersByTime(1000);
    expect(bench.told("lane_killed")).toMatchObject([{ sessionId: "b", details: { reason: "an agent's builder blocks it" } }]);
    expect(bench.kills()).toBe(1);
  });

  test("V4: not one that waits, and none that waits behind somebody else's work", () => {
    const waiting = newBench();
    waiting.build(3);
    liveFor(waiting.words, 10 * BUILD_MS);
    const behind = newBench();
    behind.build(3);
    behind.words.setRunning(4);
    vi.advanceTimersByTime(10 * BUILD_MS);
    expect([waiting.kills(), behind.kills()]).toEqual([0, 0]);
  });
});

test("no timer is left when the turn has settled and the host is closed", () => {
  const bench = newBench();
  bench.watch();
  vi.advanceTimersByTime(GRACE_MS + 60);
  bench.settle();
  open.splice(0).forEach((supervisor) => supervisor.close());
  expect(vi.getTimerCount()).toBe(0);
});
