/** Who is let in while main or a lane is behind: G1–G4, and the probe of the loop: Z1, Z2. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { BYTES_MAX, LaneBacklog } from "../../src/host/lane-backlog.ts";
import { IN_FLIGHT_FREE, LoadGate } from "../../src/host/load-gate.ts";
import { LATE_MAX_MS, LoopProbe } from "../../src/host/loop-probe.ts";
import { Intake, LAG_MAX_MS } from "../../src/transport/intake.ts";

type Lane = Parameters<LoadGate["refusal"]>[0];

const laneOf = (number: number, bytes: number): Lane => {
  const backlog = new LaneBacklog({ taken: () => 0 });
  backlog.sent(1, bytes);
  return { number, backlog } as Lane;
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** An intake in which something has waited too long. */
function lateIntake(): Intake {
  let nowMs = 0;
  const intake = new Intake(() => nowMs);
  const spend20Ms = (): void => void (nowMs += 20);
  intake.take(spend20Ms, undefined); // the slice is over: the next one waits
  intake.take(spend20Ms, undefined);
  nowMs += LAG_MAX_MS;
  intake.take(spend20Ms, undefined);
  expect(intake.isBehind).toBe(true);
  return intake;
}

describe("load-gate", () => {
  test("G3: a lane that is behind refuses, and only it", () => {
    const gate = new LoadGate(new Intake(), () => 0);
    const [behind, other] = [laneOf(0, BYTES_MAX + 1), laneOf(1, BYTES_MAX)];
    expect(gate.refusal(other)).toBeUndefined();
    expect(gate.refusal(behind)).toMatchObject({
      code: "HOST_OVERLOADED",
      disposition: "retry",
      details: { reason: "lane_behind", retryAfterMs: expect.any(Number) as number },
    });
    expect(() => gate.enter(behind)).toThrow(/lane 0 is behind/);
    expect(() => gate.enterMain()).not.toThrow();
  });

  test("G3: what any lane may take is refused when all that are open are behind", () => {
    const gate = new LoadGate(new Intake(), () => 0);
    const lane = (bytes: number, rest: Partial<Lane> = {}): Lane => Object.assign(laneOf(0, bytes), { kind: "shared", isOpen: true }, rest);
    const behind = BYTES_MAX + 1;
    expect(() => gate.enterSome([lane(behind), lane(1)])).not.toThrow();
    expect(() => gate.enterSome([lane(behind), lane(1, { isOpen: false }), lane(1, { kind: "dedicated" })])).toThrow(/behind/);
    expect(() => gate.enterSome([])).not.toThrow(); // what becomes of it is decided when it is placed
  });

  test("G4: main that is behind refuses beyond what is free", () => {
    let inFlight = IN_FLIGHT_FREE - 1;
    const gate = new LoadGate(lateIntake(), () => inFlight);
    expect(gate.refusal(laneOf(0, 1))).toBeUndefined();
    inFlight++;
    expect(gate.refusal(laneOf(0, 1))).toMatchObject({ code: "HOST_OVERLOADED", details: { reason: "main_behind" } });
    expect((gate.refusal(laneOf(0, 1))?.details?.["retryAfterMs"] as number) >= 1).toBe(true);
    expect(() => gate.enterMain()).toThrow(/behind/);
  });

  test("however many are in flight, a host that keeps up refuses nobody", () => {
    const gate = new LoadGate(new Intake(), () => 1_000_000);
    for (let n = 0; n < 100; n++) {
      expect(gate.refusal(laneOf(0, 1))).toBeUndefined();
      vi.advanceTimersByTime(1);
    }
  });
});

describe("loop-probe", () => {
  test("Z1: late when a timer is, until one is not", () => {
    let nowMs = 1000;
    const probe = new LoopProbe(() => nowMs);
    const look = (lateMs: number): void => {
      expect(probe.isLate).toBe(probe.isLate);
      nowMs += 5 + lateMs;
      vi.advanceTimersByTime(5);
    };
    const states = [LATE_MAX_MS, LATE_MAX_MS + 1, LATE_MAX_MS, 12, 3].map((lateMs) => {
      look(lateMs);
      return probe.isLate;
    });
    expect(states).toEqual([false, true, true, true, false]);
  });

  test("Z2: what was seen long ago does not count, and nobody asking means no timer", () => {
    let nowMs = 1000;
    const probe = new LoopProbe(() => nowMs);
    expect(probe.isLate).toBe(false);
    nowMs += 100;
    vi.advanceTimersByTime(5);
    expect(vi.getTimerCount()).toBe(0);
    nowMs += 200;
    expect(probe.isLate).toBe(true);
    vi.advanceTimersByTime(5);
    const quiet = new LoopProbe(() => nowMs);
    expect(quiet.isLate).toBe(false);
    nowMs += 100;
    vi.advanceTimersByTime(5);
    nowMs += 1000;
    expect(quiet.isLate).toBe(false);
  });
});
