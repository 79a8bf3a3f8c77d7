import { EventEmitter } from "node:events";

import { expect, test } from "vitest";

import { StopSignals } from "../../src/cli/stop-signals.ts";

function harness(): {
  source: EventEmitter;
  signals: StopSignals;
  steps: string[];
  at: (ms: number, signal: "SIGINT" | "SIGTERM") => void;
} {
  const source = new EventEmitter();
  const steps: string[] = [];
  let nowMs = 0;
  const signals = new StopSignals(source, { finish: () => steps.push("finish"), interrupt: () => steps.push("interrupt") }, () => nowMs);
  return {
    source,
    signals,
    steps,
    at(ms, signal) {
      nowMs = ms;
      source.emit(signal);
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

test("an echo of the same key press is no second signal", () => {
  const { at, steps } = harness();
  at(0, "SIGINT");
  at(5, "SIGINT");
  at(99, "SIGTERM");
  expect(steps).toEqual(["finish"]);
  at(300, "SIGINT");
  expect(steps).toEqual(["finish", "interrupt"]);
});

test("removed, it hears nothing", () => {
  const { at, steps, source, signals } = harness();
  signals.remove();
  at(0, "SIGINT");
  expect([steps, listeners(source), signals.count]).toEqual([[], 0, 0]);
});
