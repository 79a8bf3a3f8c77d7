/**
 * Arrivals of an open loop, from a thread of their own: they come through the event loop as a request from outside would, at times that
 * do not depend on how busy the callers are. A timer on main would be a millisecond off, which is more than most of what is measured.
 */
import { Worker } from "node:worker_threads";

import type { Schedule } from "./arrivals-worker.ts";

/** Waits until the last arrival. @param onArrival - called for each, with its number and when it was due (nowNs) */
export async function arrivals(ratePerSecond: number, durationMs: number, onArrival: (n: number, dueNs: number) => void): Promise<void> {
  const workerData: Schedule = { intervalNs: 1e9 / ratePerSecond, count: Math.max(1, Math.round((ratePerSecond * durationMs) / 1000)) };
  const worker = new Worker(new URL("./arrivals-worker.js", import.meta.url), { workerData });
  let n = 0;
  await new Promise<void>((resolve, reject) => {
    worker.on("message", (dueNs: number) => onArrival(n++, dueNs));
    worker.once("error", reject);
    worker.once("exit", () => (n === workerData.count ? resolve() : reject(new Error(`${n} of ${workerData.count} arrivals came`))));
  });
}
