/** Piscina and tinypool in the event case, each in the configuration that is fastest for the load. */
import type { MessagePort } from "node:worker_threads";
import { MessageChannel } from "node:worker_threads";

import { Piscina } from "piscina";
import { Tinypool } from "tinypool";

import type { EventLoad, EventPeer, EventTally, OpenEventPeer } from "./event-peer.ts";
import { callingPeer, fastestEventPeer } from "./event-peer.ts";
import type { PoolTask } from "./event-pool-worker.ts";

const WORKER = new URL("./event-pool-worker.js", import.meta.url).href;
const TASKS_AT_ONCE = 4096;

interface PiscinaSetup {
  readonly threads: number;
  readonly atomics: "sync" | "disabled";
  /** How events travel: on piscina's own channel for messages beside results, or on a port that each task is handed. */
  readonly via: "message" | "port";
}

const PISCINA: Record<string, PiscinaSetup> = {
  "1 thread, atomics disabled, its message channel": { threads: 1, atomics: "disabled", via: "message" },
  "1 thread, atomics sync, its message channel": { threads: 1, atomics: "sync", via: "message" },
  "2 threads, atomics disabled, its message channel": { threads: 2, atomics: "disabled", via: "message" },
  "1 thread, atomics disabled, a port per task": { threads: 1, atomics: "disabled", via: "port" },
};

export const openPiscinaEvents: OpenEventPeer = (load, tally) =>
  fastestEventPeer(
    PISCINA,
    async ({ threads, atomics, via }) => {
      const tasks = { minThreads: threads, maxThreads: threads, concurrentTasksPerWorker: TASKS_AT_ONCE };
      const pool = new Piscina({ filename: WORKER, ...tasks, atomics });
      if (via === "port") return portPerTask(pool, load, tally);
      const { events, bytes, inFlight } = load;
      pool.on("message", tally.consume);
      return callingPeer(
        () => pool.run({ events, bytes } satisfies PoolTask),
        inFlight,
        () => pool.destroy(),
      );
    },
    load,
    tally,
  );

/** Tinypool has no channel of its own for messages. */
const TINYPOOL: Record<string, { pools: number; via: "port of the worker" | "port" }> = {
  "1 thread, no atomics, a port per worker": { pools: 1, via: "port of the worker" },
  "2 pools of 1 thread, no atomics, a port per worker": { pools: 2, via: "port of the worker" },
  "1 thread, no atomics, a port per task": { pools: 1, via: "port" },
};

export const openTinypoolEvents: OpenEventPeer = (load, tally) =>
  fastestEventPeer(
    TINYPOOL,
    async ({ pools, via }) => {
      const tasks = { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: TASKS_AT_ONCE };
      const open = () => new Tinypool({ filename: WORKER, ...tasks, useAtomics: false });
      return via === "port" ? portPerTask(open(), load, tally) : portPerWorker(Array.from({ length: pools }, open), load, tally);
    },
    load,
    tally,
  );

interface Pool {
  run(task: PoolTask, options: { transferList: [MessagePort] }): Promise<unknown>;
  destroy(): Promise<void>;
}

function portPerTask(pool: Pool, { events, bytes, inFlight }: EventLoad, tally: EventTally): EventPeer {
  const turn = (): Promise<unknown> => {
    const { port1, port2 } = new MessageChannel();
    port1.on("message", tally.consume); // it closes with the other end, which the task closes
    return pool.run({ events, bytes, port: port2 }, { transferList: [port2] });
  };
  return callingPeer(turn, inFlight, () => pool.destroy());
}

/** The worker of a pool of one thread is known: its port is handed over once. */
async function portPerWorker(pools: readonly Tinypool[], { events, bytes, inFlight }: EventLoad, tally: EventTally): Promise<EventPeer> {
  for (const pool of pools) {
    const { port1, port2 } = new MessageChannel();
    port1.on("message", tally.consume);
    await pool.run({ events: 0, bytes, port: port2, isForGood: true } satisfies PoolTask, { transferList: [port2] });
  }
  return callingPeer(
    (caller) => (pools[caller % pools.length] as Tinypool).run({ events, bytes } satisfies PoolTask),
    inFlight,
    async () => void (await Promise.all(pools.map((pool) => pool.destroy()))),
  );
}
