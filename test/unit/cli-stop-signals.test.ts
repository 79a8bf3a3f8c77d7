import { EventEmitter } from "node:events";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { StopSignals } from "../../src/cli/stop-signals.ts";

const DRAIN_MS = 5000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function harness(): {
  source: EventEmitter;
  signals: StopSignals;
  steps: string[];
  at: (ms: number, signal: "SIGINT" | "SIGTERM") => void;
} {
  const source = new EventEmitter();
  const steps: string[] = [];
  let nowMs = 0;
  const told = { finish: () => steps.push("finish"), interrupt: () => steps.push("interrupt") };
  const signals = new StopSignals(source, told, DRAIN_MS, () => nowMs);
  return {
    source,
    signals,
    steps,
    at(ms, signal) {
      nowMs = ms;
      source.emit(signal, signal);
    },
  };
}

const listeners = (source: EventEmitter): number => source.listenerCount("SIGINT") + source.listenerCount("SIGTERM");

test.each([
  ["SIGINT", "SIGINT"],
  ["SIGTERM", "SIGINT"],
  ["SIGTERM", "SIGTERM"],
] as const)("%s finishes, then %s interrupts, and a third one has its default effect", (first, second) => {
  const { at, steps, source, signals } = harness();
  expect(listeners(source)).toBe(2);
  at(1000, first);
  expect([steps, listeners(source)]).toEqual([["finish"], 2]);
  at(1500, second);
  expect([steps, listeners(source), signals.count]).toEqual([["finish", "interrupt"], 0, 2]);
});

test("what was asked to finish is interrupted when its time is over, unless it has finished", () => {
  const { at, steps, signals } = harness();
  vi.advanceTimersByTime(2 * DRAIN_MS);
  at(0, "SIGTERM");
  vi.advanceTimersByTime(DRAIN_MS - 1);
  expect(steps).toEqual(["finish"]);
  vi.advanceTimersByTime(1);
  expect([steps, signals.first, signals.count]).toEqual([["finish", "interrupt"], "SIGTERM", 1]);
  at(DRAIN_MS + 1, "SIGINT");
  expect([steps, signals.first, vi.getTimerCount()]).toEqual([["finish", "interrupt", "interrupt"], "SIGTERM", 0]);
});

test("when all is settled, one late signal is heard and does nothing", () => {
  const { at, steps, source, signals } = harness();
  at(0, "SIGTERM");
  signals.settled();
  vi.advanceTimersByTime(2 * DRAIN_MS);
  expect([steps, listeners(source)]).toEqual([["finish"], 2]);
  at(1000, "SIGTERM");
  expect([steps, listeners(source)]).toEqual([["finish"], 0]);
});

test("an echo of the same key press is no second signal", () => {
  const { at, steps } = harness();
  at(0, "SIGINT");
  at(5, "SIGINT");
  at(99, "SIGTERM");
  expect(steps).toEqual(["finish"]);
  at(300, "SIGINT");
  expect(steps).toEqual(["finish", "interrupt"]);
});
