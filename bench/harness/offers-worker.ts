/** Says how many calls are due, once for each turn of main's loop: see offers.ts. */
import { parentPort, workerData } from "node:worker_threads";

import { nowNs } from "./clock.ts";

export interface OfferSchedule {
  readonly intervalNs: number;
  readonly count: number;
  /** At most so many at once. */
  readonly lot: number;
  /** One word: 1 while main has not turned its loop since the last lot. */
  readonly turn: SharedArrayBuffer;
}

/** How long to wait for the next call to be due, or for main, in milliseconds. */
const TICK_MS = 1;
/** Let main's caller settle before the first. */
const HEAD_START_NS = 2_000_000;

const { intervalNs, count, lot, turn } = workerData as OfferSchedule;
const word = new Int32Array(turn);
const firstNs = nowNs() + HEAD_START_NS;

for (let offered = 0; offered < count;) {
  const due = Math.min(count, offered + lot, Math.floor((nowNs() - firstNs) / intervalNs));
  if (due > offered && Atomics.compareExchange(word, 0, 0, 1) === 0) {
    parentPort?.postMessage({ first: offered, calls: due - offered, firstDueNs: firstNs + offered * intervalNs });
    offered = due;
  }
  Atomics.wait(word, 0, 1, TICK_MS);
}
