import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test, vi } from "vitest";

import { closedLoop, curveOf, newHistogram, oneAtATime, openLoop } from "../../bench/harness/load.ts";

const MS = 1_000_000; // nanoseconds

/** Arrivals without the thread of their own that they come from, which is built JavaScript: on time while this thread is free. */
vi.mock("../../bench/harness/arrivals.ts", () => ({
  async arrivals(ratePerSecond: number, durationMs: number, onArrival: (n: number, dueNs: number) => void): Promise<void> {
    const startedAt = Number(process.hrtime.bigint());
    for (let n = 0; n < (ratePerSecond * durationMs) / 1000; n++) {
      const dueNs = startedAt + (n / ratePerSecond) * 1e9;
      const earlyMs = (dueNs - Number(process.hrtime.bigint())) / MS;
      if (earlyMs > 0) await sleep(earlyMs);
      onArrival(n, dueNs);
    }
  },
}));

/** @returns how many of a histogram's values are above a limit in milliseconds, about */
function slowerThan(histogram: Awaited<ReturnType<typeof openLoop>>, limitMs: number): number {
  let percentile = 100;
  while (percentile > 0 && histogram.getValueAtPercentile(percentile) > limitMs * MS) percentile--;
  return (histogram.totalCount * (100 - percentile)) / 100;
}

describe("an open loop", () => {
  test("sends what is due, whether it is answered or not", async () => {
    let open = 0;
    let mostOpen = 0;
    const latencies = await openLoop(
      async () => {
        mostOpen = Math.max(mostOpen, ++open);
        await sleep(20);
        open--;
      },
      1000,
      60,
    );
    expect(latencies.totalCount).toBe(60);
    expect(mostOpen).toBeGreaterThan(5);
  });

  test("a call that stalls the caller's thread delays those that are due meanwhile, and they count it", async () => {
    const latencies = await openLoop(
      async (n) => {
        const until = performance.now() + (n === 10 ? 100 : 0);
        while (performance.now() < until); // the caller's own thread: later calls cannot even be sent
      },
      1000,
      200,
    );
    expect(latencies.totalCount).toBe(200);
    // About 80 calls fell due in the stall and waited 20 ms or more. Timed from when they were sent, only one would be slow.
    expect(slowerThan(latencies, 20)).toBeGreaterThan(40);
    expect(latencies.maxValue).toBeGreaterThan(80 * MS);
  });

  test("a server that stalls delays all calls behind it", async () => {
    let last: Promise<unknown> = Promise.resolve();
    const latencies = await openLoop((n) => (last = last.then(() => (n === 10 ? sleep(100) : undefined))), 1000, 200);
    expect(latencies.totalCount).toBe(200);
    expect(slowerThan(latencies, 20)).toBeGreaterThan(40);
  });

  test("a call that fails fails the round", async () => {
    await expect(openLoop(() => Promise.reject(new Error("refused")), 1000, 1)).rejects.toThrow("refused");
  });
});

describe("a closed loop", () => {
  test("keeps as many calls open as it has callers, each caller one at a time", async () => {
    const open = new Map<number, number>();
    let mostOpen = 0;
    const next = [0, 0, 0];
    const { calls, perSecond } = await closedLoop(
      async (caller, n) => {
        expect(open.has(caller)).toBe(false);
        expect(n).toBe(next[caller]);
        next[caller] = n + 1;
        open.set(caller, n);
        mostOpen = Math.max(mostOpen, open.size);
        await sleep(1);
        open.delete(caller);
      },
      3,
      30,
    );
    expect(mostOpen).toBe(3);
    expect(calls).toBe(next.reduce((a, b) => a + b));
    expect(perSecond).toBeGreaterThan(0);
  });
});

test("one at a time: as many latencies as calls", async () => {
  const order: number[] = [];
  const latencies = await oneAtATime(async (n) => void order.push(n), 5);
  expect(order).toEqual([0, 1, 2, 3, 4]);
  expect(latencies.totalCount).toBe(5);
});

test("a curve rises from the fastest call to the slowest", () => {
  const histogram = newHistogram();
  for (let us = 1; us <= 1000; us++) histogram.recordValue(us * 1000);
  const curve = curveOf(histogram);
  expect(curve[0]?.[0]).toBe(0);
  expect(curve.map(([, us]) => us)).toEqual(curve.map(([, us]) => us).toSorted((a, b) => a - b));
  const median = curve.find(([percentile]) => percentile === 50)?.[1] ?? 0;
  expect(median).toBeGreaterThan(495);
  expect(median).toBeLessThan(505);
});
