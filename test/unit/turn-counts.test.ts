import { describe, expect, test } from "vitest";

import { RecentTurns, WINDOW_S } from "../../src/server/turn-counts.ts";

describe("the last seconds", () => {
  test("before anything happened there are no latencies", () => {
    expect(new RecentTurns(0, 100).rates(500, 100)).toEqual({ windowS: 0.5, turnsPerS: 0, eventsPerS: 0 });
  });

  test("rates are those of the time that has passed", () => {
    const recent = new RecentTurns(0, 100);
    for (let turn = 1; turn <= 100; turn++) recent.add(turn);
    const { turnsPerS, eventsPerS, latencyMs } = recent.rates(2000, 300);
    expect({ turnsPerS, eventsPerS }).toEqual({ turnsPerS: 50, eventsPerS: 100 });
    // Two digits: within a percent.
    expect(Math.abs((latencyMs?.p50 ?? 0) - 50)).toBeLessThanOrEqual(0.5);
    expect(Math.abs((latencyMs?.p99 ?? 0) - 99)).toBeLessThanOrEqual(1);
  });

  test("what is older than the window is forgotten", () => {
    const recent = new RecentTurns(0, 0);
    recent.add(1);
    let nowMs = 0;
    const slide = (events: number): void => recent.slide((nowMs += 1000), events);
    for (let second = 1; second <= WINDOW_S; second++) slide(second);
    expect(recent.rates(nowMs, WINDOW_S).turnsPerS).toBe(1 / WINDOW_S);
    slide(WINDOW_S + 1);
    recent.add(3);
    const { windowS, turnsPerS, eventsPerS, latencyMs } = recent.rates(nowMs, WINDOW_S + 1);
    expect({ windowS, turnsPerS, eventsPerS }).toEqual({ windowS: WINDOW_S, turnsPerS: 1 / WINDOW_S, eventsPerS: 1 });
    expect(Math.round(latencyMs?.p99 ?? 0)).toBe(3);
  });

  test("a turn that took no time, or days, is counted", () => {
    const recent = new RecentTurns(0, 0);
    recent.add(0);
    recent.add(1e9);
    expect(recent.rates(1000, 0).turnsPerS).toBe(2);
  });
});
