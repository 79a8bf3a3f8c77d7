/**
 * An open loop at rates beyond what main can take. Calls that are due come as connections do: with each turn of the loop as many as the
 * kernel hands over in one poll, the others wait in front of the door; their waiting counts.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Worker } from "node:worker_threads";

import type { Histogram } from "hdr-histogram-js";

import { nowNs } from "./clock.ts";
import { newHistogram } from "./load.ts";
import type { OfferSchedule } from "./offers-worker.ts";

/** Events of one poll in libuv. */
const LOT = 1024;
/** Milliseconds between two looks at the loop's delay. */
const LOOK_MS = 2;

export interface Offered {
  /** Calls that were answered well, a second, from the first that was due to the last answer. */
  readonly goodPerSecond: number;
  /** Share of the calls that were refused. */
  readonly refused: number;
  /** Of calls that were answered well, from when they were due; nanoseconds. */
  readonly latencies: Histogram;
  /** Milliseconds. */
  readonly loopDelayP99: number;
}

/**
 * @param call - the n-th; @param isRefusal - of what it rejects with
 * @throws whatever else a call rejected with first
 */
export async function offer(
  call: (n: number) => Promise<unknown>,
  isRefusal: (error: unknown) => boolean,
  ratePerSecond: number,
  durationMs: number,
): Promise<Offered> {
  const turn = new Int32Array(new SharedArrayBuffer(4));
  const count = Math.max(1, Math.round((ratePerSecond * durationMs) / 1000));
  const schedule: OfferSchedule = { intervalNs: 1e9 / ratePerSecond, count, lot: LOT, turn: turn.buffer };
  const latencies = newHistogram();
  const delay = monitorEventLoopDelay({ resolution: LOOK_MS });
  let [good, refused, left] = [0, 0, count];
  let failure: { error: unknown } | undefined;
  let firstNs: number | undefined;
  const worker = new Worker(new URL("./offers-worker.js", import.meta.url), { workerData: schedule });
  delay.enable();
  await new Promise<void>((resolve, reject) => {
    const settled = (): void => void (--left === 0 && resolve());
    worker.once("error", reject);
    worker.on("message", ({ first, calls, firstDueNs }: { first: number; calls: number; firstDueNs: number }) => {
      firstNs ??= firstDueNs;
      setImmediate(() => {
        Atomics.store(turn, 0, 0);
        Atomics.notify(turn, 0);
      });
      for (let n = 0; n < calls; n++) {
        const dueNs = firstDueNs + n * schedule.intervalNs;
        call(first + n).then(
          () => {
            good++;
            latencies.recordValue(Math.max(1, Math.round(nowNs() - dueNs)));
            settled();
          },
          (error: unknown) => {
            if (isRefusal(error)) refused++;
            else failure ??= { error };
            settled();
          },
        );
      }
    });
  });
  delay.disable();
  if (failure !== undefined) throw failure.error;
  const seconds = (nowNs() - (firstNs as number)) / 1e9;
  return { goodPerSecond: good / seconds, refused: refused / count, latencies, loopDelayP99: delay.percentile(99) / 1e6 };
}

/** A rate is kept up with when nearly all of it is answered well, and soon. */
const KEPT_UP_SHARE = 0.95;
const KEPT_UP_P99_NS = 100_000_000;
const STEP = 1.3;
const STEPS_MAX = 14;
/** Rates in a row that were not: one may be a hiccup of the machine. */
const MISSES_MAX = 2;

/** @returns the highest rate of a rising series that is kept up with. @param from - calls a second, to begin with; @param probe - offers a rate */
export async function sustainable(probe: (ratePerSecond: number) => Promise<Offered>, from: number): Promise<number> {
  let kept = from;
  for (let step = 0, rate = from, misses = 0; step < STEPS_MAX && misses < MISSES_MAX; step++, rate *= STEP) {
    const { goodPerSecond, latencies } = await probe(rate);
    if (goodPerSecond < KEPT_UP_SHARE * rate && latencies.getValueAtPercentile(99) > KEPT_UP_P99_NS) misses++;
    else {
      kept = rate;
      misses = 0;
    }
  }
  return kept;
}
