import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { PollPolicy } from "../../src/transport/poller.ts";
import { POLL_BALANCED, POLL_LOW, POLL_SKIP_MAX, Poller } from "../../src/transport/poller.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setImmediate", "clearImmediate", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Whether the poller keeps the loop from sleeping. */
const isPolling = (): boolean => vi.getTimerCount() > 0;

/** Turns of the loop until it may sleep, a tenth of a millisecond each. */
function turnsUntilSleep(): number {
  for (let turns = 0; ; turns++) {
    if (!isPolling()) return turns;
    vi.runAllTicks();
    vi.advanceTimersToNextTimer();
    vi.advanceTimersByTime(0.01);
    if (turns > 100_000) throw new Error("it never sleeps");
  }
}

function sendInVain(poller: Poller, frames: number): boolean[] {
  return Array.from({ length: frames }, () => {
    poller.sent(1);
    const polled = isPolling();
    turnsUntilSleep();
    return polled;
  });
}

describe.each([
  ["low", POLL_LOW],
  ["balanced", POLL_BALANCED],
] as [string, PollPolicy][])("a poller, %s", (_, policy) => {
  test("Y1: polls after a frame was sent, and lets the loop sleep when its budget is over", () => {
    const poller = new Poller(policy);
    expect(isPolling()).toBe(false);
    poller.sent(1);
    expect(isPolling()).toBe(true);
    const startedAt = performance.now();
    turnsUntilSleep();
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(policy.budgetMs);
  });

  test("Y1: does not poll while it may not, and stops when it may no longer", () => {
    let mayPoll = false;
    const poller = new Poller(policy, () => mayPoll);
    poller.sent(1);
    expect(isPolling()).toBe(false);
    mayPoll = true;
    poller.sent(1);
    expect(isPolling()).toBe(true);
    mayPoll = false;
    expect(turnsUntilSleep()).toBe(1);
  });
});

describe("balanced", () => {
  test("polls until the answer is there", () => {
    const poller = new Poller(POLL_BALANCED);
    poller.sent(1);
    poller.received();
    expect(turnsUntilSleep()).toBe(1);
    poller.received(); // what comes by itself is no reason
    expect(isPolling()).toBe(false);
  });

  test("does not poll when more than a lone turn is on its way", () => {
    const poller = new Poller(POLL_BALANCED);
    poller.sent(2);
    expect(isPolling()).toBe(false);
  });

  test("Y2: answers that are too slow are polled for ever more rarely", () => {
    const polled = sendInVain(new Poller(POLL_BALANCED), 20 * POLL_SKIP_MAX);
    const gaps: number[] = [];
    let last = 0;
    polled.forEach((isPolled, frame) => {
      if (!isPolled) return;
      gaps.push(frame - last);
      last = frame;
    });
    expect(gaps.slice(0, 6)).toEqual([0, 1, 1, 1, 3, 5]); // three misses are free
    expect(gaps.at(-1)).toBe(POLL_SKIP_MAX + 1);
    expect(gaps.toSorted((a, b) => a - b)).toEqual(gaps);
  });

  test("Y2: one answer in time and every frame is polled for again", () => {
    const poller = new Poller(POLL_BALANCED);
    sendInVain(poller, 200);
    for (let frames = 0; !isPolling(); frames++) {
      poller.sent(1);
      expect(frames).toBeLessThanOrEqual(POLL_SKIP_MAX);
    }
    poller.received();
    turnsUntilSleep();
    expect(sendInVain(poller, 3)).toEqual([true, true, true]);
  });
});

describe("low", () => {
  test("every frame, sent or received, begins the budget anew", () => {
    const poller = new Poller(POLL_LOW);
    poller.received();
    const startedAt = performance.now();
    vi.advanceTimersByTime(POLL_LOW.budgetMs * 0.8);
    poller.sent(50);
    turnsUntilSleep();
    expect(performance.now() - startedAt).toBeGreaterThan(POLL_LOW.budgetMs * 1.7);
  });
});
