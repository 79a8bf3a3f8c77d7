/** The two kinds of load: closed loop for throughput, open loop for latency that shows queueing. */
import { setImmediate as nextLoop } from "node:timers/promises";

import type { Histogram } from "hdr-histogram-js";
import { build } from "hdr-histogram-js";

import { arrivals } from "./arrivals.ts";
import { nowNs } from "./clock.ts";

/** A latency histogram in nanoseconds: three digits, up to a minute. */
export function newHistogram(): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: 3 });
}

/** How often a caller looks at the clock, in calls. */
const CLOCK_STRIDE = 16;

/**
 * `inFlight` callers, each doing one call after the other until the time is over.
 *
 * @param call - the work of a caller, the n-th of its calls
 * @returns calls a second, and their number
 */
export async function closedLoop(
  call: (caller: number, n: number) => Promise<unknown>,
  inFlight: number,
  durationMs: number,
): Promise<{ perSecond: number; calls: number }> {
  let calls = 0;
  let isOver = false;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async (_, caller) => {
      for (let n = 0; !isOver; n++) {
        await call(caller, n);
        if (++calls % CLOCK_STRIDE === 0 && performance.now() - startedAt > durationMs) isOver = true;
        else if (inFlight < CLOCK_STRIDE && performance.now() - startedAt > durationMs) isOver = true;
      }
    }),
  );
  return { perSecond: calls / ((performance.now() - startedAt) / 1000), calls };
}

/**
 * One call at a time, each timed.
 *
 * @param isFromLoop - every call starts from the event loop, as a caller's does whom a request or a timer woke, not from within the
 *   answer to the one before
 * @returns their latencies
 */
export async function oneAtATime(call: (n: number) => Promise<unknown>, calls: number, isFromLoop = false): Promise<Histogram> {
  const latencies = newHistogram();
  for (let n = 0; n < calls; n++) {
    if (isFromLoop) await nextLoop();
    const startedAt = nowNs();
    await call(n);
    latencies.recordValue(Math.max(1, nowNs() - startedAt));
  }
  return latencies;
}

/**
 * Calls too short for the clock, one after the other. A latency is the mean of `batch` calls between two looks at the clock, so a p99
 * is that of batches: a single slow call shows with a `batch`-th of its length.
 *
 * @returns latencies of a call
 */
export async function inBatches(call: (n: number) => Promise<unknown>, batch: number, durationMs: number): Promise<Histogram> {
  const latencies = newHistogram();
  const startedAt = performance.now();
  for (let n = 0; ;) {
    const batchAt = performance.now();
    if (batchAt - startedAt > durationMs) return latencies;
    for (let i = 0; i < batch; i++) await call(n++);
    latencies.recordValue(Math.max(1, Math.round(((performance.now() - batchAt) * 1e6) / batch)));
    if (n % (1024 * batch) === 0) await nextLoop(); // let the thread do what else it has to
  }
}

/**
 * Calls arrive at a fixed rate, whether earlier ones were answered or not. Latency counts from a call's arrival (arrivals.ts), so a caller
 * that was not free to take it counts that too (coordinated omission).
 *
 * @param ratePerSecond - arrivals
 * @returns latencies of all calls
 * @throws what a call rejected with first
 */
export async function openLoop(call: (n: number) => Promise<unknown>, ratePerSecond: number, durationMs: number): Promise<Histogram> {
  const latencies = newHistogram();
  const pending: Promise<void>[] = [];
  const timed = async (n: number, dueNs: number): Promise<void> => {
    await call(n);
    latencies.recordValue(Math.max(1, nowNs() - dueNs));
  };
  await arrivals(ratePerSecond, durationMs, (n, dueNs) => {
    const answered = timed(n, dueNs);
    answered.catch(() => {}); // it is awaited below, when all have arrived
    pending.push(answered);
  });
  await Promise.all(pending);
  return latencies;
}

/** @returns percentile of a histogram in microseconds */
export function percentileUs(latencies: Histogram, percentile: number): number {
  return latencies.getValueAtPercentile(percentile) / 1000;
}

/** Percentiles of the latency charts. */
const CURVE = [0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99];

/** @returns [percentile, microseconds] for a chart */
export function curveOf(latencies: Histogram): [number, number][] {
  return CURVE.map((percentile) => [percentile, percentileUs(latencies, percentile)]);
}
