import { expect, test, vi } from "vitest";

import { Deadlines } from "../../src/lane/deadlines.ts";

function newDeadlines() {
  const clock = { ms: 0 };
  const cleanUp = vi.fn<(value: string) => void>();
  const deadlines = new Deadlines(100, () => clock.ms);
  const limit = (work: Promise<string>): Promise<string> =>
    deadlines.limit(work, (maxMs) => new Error(`longer than ${maxMs} ms`), cleanUp).catch((error: Error) => error.message);
  return { clock, deadlines, limit, cleanUp };
}

test("M1: what settles in time is passed on, well or badly", async () => {
  const { clock, deadlines, limit, cleanUp } = newDeadlines();
  const outcomes = [limit(Promise.resolve("built")), limit(Promise.reject(new Error("no")))];
  await Promise.all(outcomes);
  clock.ms = 1000;
  deadlines.look();
  expect([await Promise.all(outcomes), cleanUp.mock.calls]).toEqual([["built", "no"], []]);
});

test("M1: what does not is ended when it is due, not before, the oldest first; what comes later is cleaned up", async () => {
  const { clock, deadlines, limit, cleanUp } = newDeadlines();
  const finish: ((value: string) => void)[] = [];
  const ended: number[] = [];
  for (let i = 0; i < 3; i++) {
    clock.ms = i * 50;
    void limit(new Promise<string>((resolve) => finish.push(resolve))).then((outcome) => outcome.includes("longer") && ended.push(i));
  }
  const endedAt = async (ms: number): Promise<number[]> => {
    clock.ms = ms;
    deadlines.look();
    await new Promise((resolve) => setImmediate(resolve));
    return ended;
  };
  expect(await endedAt(99)).toEqual([]);
  expect(await endedAt(150)).toEqual([0, 1]);
  finish[1]?.("late");
  finish[2]?.("in time");
  await Promise.resolve();
  expect(await endedAt(1000)).toEqual([0, 1]);
  expect(cleanUp.mock.calls).toEqual([["late"]]);
});
