/** Whose code a busy lane runs: X1–X2, with lanes that are nothing but their words and their times. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { LaneWords } from "../../src/core/lane-words.ts";
import { CpuSampler } from "../../src/host/cpu-sampler.ts";
import type { HostLane } from "../../src/host/host-lane.ts";
import { LaneLoad, ROUNDS } from "../../src/host/lane-load.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";

const ROUND_MS = 250;
const entryOf = (id: string): SessionEntry => ({ id, cpuMs: 0 }) as SessionEntry;

/** A lane, the share of whose time is set by the test. */
class FakeLane {
  readonly words = new LaneWords();
  readonly load = new LaneLoad();
  hasEnded = false;
  share = 0;
  #activeMs = 0;
  #idleMs = 0;
  readonly thread = {
    loopTimes: () => {
      this.#activeMs += this.share * ROUND_MS;
      this.#idleMs += (1 - this.share) * ROUND_MS;
      return { activeMs: this.#activeMs, idleMs: this.#idleMs };
    },
  };
  get lane(): HostLane {
    return this as unknown as HostLane;
  }
}

let lane: FakeLane;
let sampler: CpuSampler;
const sessions = [entryOf("a"), entryOf("b")];
/** Rounds of the supervisor, one after the other, with the lane's words as they are. */
function rounds(count: number): void {
  for (let i = 0; i < count; i++) {
    vi.advanceTimersByTime(ROUND_MS);
    sampler.round([lane.lane]);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  lane = new FakeLane();
  for (const entry of sessions) entry.cpuMs = 0;
  sampler = new CpuSampler((_lane, slot) => sessions[slot], Date.now);
});
afterEach(() => {
  sampler.close();
  vi.useRealTimers();
});

describe("CpuSampler", () => {
  test("X1: while no lane is busy there is no timer", () => {
    lane.share = 0.4;
    rounds(20);
    expect(vi.getTimerCount()).toBe(0);
    lane.share = 0.6;
    rounds(1);
    expect(vi.getTimerCount()).toBe(1);
    lane.share = 0.1;
    rounds(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("what stands in the words is whose time it is", () => {
    lane.share = 0.8;
    lane.words.setRunning(0);
    rounds(2); // from the second on it is looked at
    rounds(3);
    lane.words.setRunning(1);
    rounds(1);
    lane.words.setRunning(undefined);
    rounds(4);
    const [a, b] = sessions.map(({ cpuMs }) => cpuMs);
    expect([a, b]).toEqual([3 * ROUND_MS, ROUND_MS]);
    expect(lane.load.busiest(3)).toEqual([
      { sessionId: "a", share: 3 / ROUNDS, cpuMs: 3 * ROUND_MS },
      { sessionId: "b", share: 1 / ROUNDS, cpuMs: ROUND_MS },
    ]);
    rounds(ROUNDS);
    expect(lane.load.busiest(3)).toEqual([]); // it is past
  });

  test("a main that stood still does not count what it has not seen", () => {
    lane.share = 1;
    rounds(2);
    lane.words.setRunning(0);
    vi.setSystemTime(Date.now() + 60_000);
    vi.advanceTimersByTime(10);
    expect(sessions[0]?.cpuMs).toBe(200);
  });

  test("shares are those of the last round and of the last two seconds", () => {
    lane.share = 1;
    rounds(ROUNDS + 1);
    lane.share = 0;
    rounds(ROUNDS / 2);
    expect(lane.load).toMatchObject({ share: 0.5, lastShare: 0, isFull: true });
  });

  test("X2: a lane that is overloaded for two seconds marks for one, and then not for nine", () => {
    lane.share = 1;
    const seen: boolean[] = [];
    for (let i = 0; i < 100; i++) {
      rounds(1);
      seen.push(lane.words.isAttributing());
    }
    const begins = seen.flatMap((isOn, i) => (isOn && seen[i - 1] !== true ? [i] : []));
    expect(begins[0]).toBe(ROUNDS); // the first round only begins to measure
    expect(begins.slice(1).map((at, i) => (at - (begins[i] as number)) * ROUND_MS)).toEqual([10_000, 10_000]);
    for (const at of begins) expect(seen.slice(at, at + 6)).toEqual([true, true, true, true, false, false]);
  });

  test("X2: while it marks, that alone says whose time it is", () => {
    lane.share = 1;
    lane.words.setRunning(1);
    while (!lane.words.isAttributing()) rounds(1);
    lane.words.setRunning(0);
    rounds(4);
    expect(lane.load.parts()).toEqual([{ entry: sessions[0], share: 1 }]);
    lane.words.setRunning(1);
    rounds(ROUNDS - 1);
    expect(lane.load.parts()[0]?.entry.id).toBe("a");
    rounds(1);
    expect(lane.load.parts()).toEqual([{ entry: sessions[1], share: 1 }]);
  });

  test("X2: a lane that is busy and no more does not mark", () => {
    lane.share = 0.8;
    for (let i = 0; i < 50; i++) {
      rounds(1);
      expect(lane.words.isAttributing()).toBe(false);
    }
  });
});
