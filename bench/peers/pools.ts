/** Piscina and tinypool, each in the configuration that is fastest for the load. */
import { Piscina } from "piscina";
import { Tinypool } from "tinypool";

import type { CallPeer } from "./call-peer.ts";
import { fastestOf } from "./call-peer.ts";

export const POOL_WORKER = new URL("./pool-worker.js", import.meta.url).href;
/** Tasks a worker is given at once: as many as it takes, so that no task waits on main for another one's answer. */
const TASKS_AT_ONCE = 4096;

type Atomics = "sync" | "async" | "disabled";

const PISCINA: Record<string, { threads: number; concurrentTasksPerWorker: number; atomics: Atomics }> = {
  "1 thread, 4,096 tasks at once, atomics disabled": { threads: 1, concurrentTasksPerWorker: TASKS_AT_ONCE, atomics: "disabled" },
  "1 thread, 4,096 tasks at once, atomics sync": { threads: 1, concurrentTasksPerWorker: TASKS_AT_ONCE, atomics: "sync" },
  "1 thread, 4,096 tasks at once, atomics async": { threads: 1, concurrentTasksPerWorker: TASKS_AT_ONCE, atomics: "async" },
  "2 threads, 4,096 tasks at once, atomics disabled": { threads: 2, concurrentTasksPerWorker: TASKS_AT_ONCE, atomics: "disabled" },
  "2 threads, 4,096 tasks at once, atomics sync": { threads: 2, concurrentTasksPerWorker: TASKS_AT_ONCE, atomics: "sync" },
  "2 threads, defaults": { threads: 2, concurrentTasksPerWorker: 1, atomics: "sync" },
};

export function openPiscina(inFlight: number): Promise<CallPeer> {
  const open = async ({ threads, concurrentTasksPerWorker, atomics }: (typeof PISCINA)[string]): Promise<CallPeer> => {
    const pool = new Piscina({ filename: POOL_WORKER, minThreads: threads, maxThreads: threads, concurrentTasksPerWorker, atomics });
    return { call: (request) => pool.run(request), close: () => pool.destroy() };
  };
  return fastestOf(PISCINA, open, inFlight);
}

const TINYPOOL: Record<string, { threads: number; concurrentTasksPerWorker: number; useAtomics: boolean }> = {
  "1 thread, 4,096 tasks at once, no atomics": { threads: 1, concurrentTasksPerWorker: TASKS_AT_ONCE, useAtomics: false },
  "1 thread, 4,096 tasks at once": { threads: 1, concurrentTasksPerWorker: TASKS_AT_ONCE, useAtomics: true },
  "2 threads, 4,096 tasks at once, no atomics": { threads: 2, concurrentTasksPerWorker: TASKS_AT_ONCE, useAtomics: false },
  "2 threads, defaults": { threads: 2, concurrentTasksPerWorker: 1, useAtomics: true },
};

export function openTinypool(inFlight: number): Promise<CallPeer> {
  const open = async ({ threads, concurrentTasksPerWorker, useAtomics }: (typeof TINYPOOL)[string]): Promise<CallPeer> => {
    const pool = new Tinypool({ filename: POOL_WORKER, minThreads: threads, maxThreads: threads, concurrentTasksPerWorker, useAtomics });
    return { call: (request) => pool.run(request), close: () => pool.destroy() };
  };
  return fastestOf(TINYPOOL, open, inFlight);
}
