/** The clock of an open loop: tells main of every arrival when it is due, then ends. */
import { parentPort, workerData } from "node:worker_threads";

import { nowNs } from "./clock.ts";

export interface Schedule {
  readonly intervalNs: number;
  readonly count: number;
}

/**
 * Nanoseconds a wake-up may be late and still be the arrival's time: what a kernel's timer is off is no queueing. Beyond it the thread
 * was kept from running, and the arrival counts from its place in the schedule.
 */
const LATE_MAX_NS = 200_000;
/** Let main's caller settle before the first. */
const HEAD_START_NS = 2_000_000;

const { intervalNs, count } = workerData as Schedule;
const never = new Int32Array(new SharedArrayBuffer(4));
const firstNs = nowNs() + HEAD_START_NS;

for (let n = 0; n < count; n++) {
  const scheduledNs = firstNs + n * intervalNs;
  const early = scheduledNs - nowNs();
  if (early > 0) Atomics.wait(never, 0, 0, early / 1e6);
  const now = nowNs();
  parentPort?.postMessage(now - scheduledNs > LATE_MAX_NS ? scheduledNs : now);
}
