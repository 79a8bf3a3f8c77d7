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

/** @param prompt - of the calls it will get */
export function openPiscina(inFlight: number, prompt?: string): Promise<CallPeer> {
  return fastestOf(PISCINA, (setup) => piscina(POOL_WORKER, setup), inFlight, prompt);
}

/** Piscina with so many threads, whose tasks are those of a module. */
export function openPiscinaOf(filename: string, threads: number, inFlight: number): Promise<CallPeer> {
  const wide = { threads, concurrentTasksPerWorker: TASKS_AT_ONCE };
  const setups: typeof PISCINA = {
    "4,096 tasks at once, atomics disabled": { ...wide, atomics: "disabled" },
    "4,096 tasks at once, atomics sync": { ...wide, atomics: "sync" },
    defaults: { threads, concurrentTasksPerWorker: 1, atomics: "sync" },
  };
  return fastestOf(setups, (setup) => piscina(filename, setup), inFlight);
}

async function piscina(filename: string, { threads, ...options }: (typeof PISCINA)[string]): Promise<CallPeer> {
  const pool = new Piscina({ filename, minThreads: threads, maxThreads: threads, ...options });
  return { call: (request) => pool.run(request), close: () => pool.destroy() };
}

const TINYPOOL: Record<string, { threads: number; concurrentTasksPerWorker: number; useAtomics: boolean }> = {
  "1 thread, 4,096 tasks at once, no atomics": { threads: 1, concurrentTasksPerWorker: TASKS_AT_ONCE, useAtomics: false },
  "1 thread, 4,096 tasks at once": { threads: 1, concurrentTasksPerWorker: TASKS_AT_ONCE, useAtomics: true },
  "2 threads, 4,096 tasks at once, no atomics": { threads: 2, concurrentTasksPerWorker: TASKS_AT_ONCE, useAtomics: false },
  "2 threads, defaults": { threads: 2, concurrentTasksPerWorker: 1, useAtomics: true },
};

/** @param prompt - of the calls it will get */
export function openTinypool(inFlight: number, prompt?: string): Promise<CallPeer> {
  const open = async ({ threads, concurrentTasksPerWorker, useAtomics }: (typeof TINYPOOL)[string]): Promise<CallPeer> => {
    const pool = new Tinypool({ filename: POOL_WORKER, minThreads: threads, maxThreads: threads, concurrentTasksPerWorker, useAtomics });
    return { call: (request) => pool.run(request), close: () => pool.destroy() };
  };
  return fastestOf(TINYPOOL, open, inFlight, prompt);
}
