/** The thread of a lane: a piscina pool of exactly one worker, whose one task is the lane. The only file that names piscina. */
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import { MessageChannel } from "node:worker_threads";

import { Piscina } from "piscina";

import type { LaneControl, LaneTask } from "../lane/run-lane.ts";
import type { HostOptions } from "../protocol/options.ts";
import { refuse } from "../protocol/parse.ts";
import { limitsOf } from "../protocol/resource-limits.ts";
import { connectTo } from "../transport/comlink-port.ts";
import type { Intake } from "../transport/intake.ts";
import type { Poller } from "../transport/poller.ts";
import { PortTransport } from "../transport/port-transport.ts";
import type { FrameTransport } from "../transport/transport.ts";

/** How a thread ended. */
export interface LaneEnd {
  readonly exitCode: number;
  /** What brought it down, when it was not told to stop. */
  readonly error?: Error;
}

type Remote<T> = { [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never };
export type RemoteLaneControl = Remote<LaneControl>;

/** Milliseconds. */
export interface LoopTimes {
  readonly activeMs: number;
  readonly idleMs: number;
}

export interface LaneThread {
  readonly transport: FrameTransport;
  /** A call to a thread that has ended never settles: race it with `ended`. */
  readonly control: RemoteLaneControl;
  /** Settles when the worker's exit and, behind the last frame, the data port's close have both been seen: every frame it sent has been processed. */
  readonly ended: Promise<LaneEnd>;
  readonly threadId: number;
  /** How long the loop was busy, and how long it waited, since it started; undefined when the thread does not run. */
  loopTimes(): LoopTimes | undefined;
  /** End after what is queued; `ended` settles. */
  stop(): void;
  /** End now, in the middle of whatever it does. */
  kill(): void;
}

const ENTRY = fileURLToPath(new URL("../../workers/lane.js", import.meta.url));

export type LaneSettings = Omit<LaneTask, "data" | "control">;

/**
 * MiB that the young generation of a thread may have which keeps sessions: a write in flight lives longer than most objects, and with
 * V8's default a third of such a thread's time went into copying what lives (docs/performance.md).
 */
export const KEEPING_YOUNG_MB = 192;

/** Milliseconds between the close of a thread's port and its end, if it ends by itself. */
const CUT_OFF_MS = 200;

/**
 * Start a lane's thread. Does not wait for it; what is sent before it is up waits in its port.
 *
 * @param poller - of the calling thread; @param intake - of it, too
 * @throws SessionError INVALID_PARAMS when Node refuses the thread's options
 */
export function startLaneThread(settings: LaneSettings, options: HostOptions["lanes"], poller?: Poller, intake?: Intake): LaneThread {
  const data = new MessageChannel();
  const control = new MessageChannel();
  const limits = {
    ...(settings.store && { maxYoungGenerationSizeMb: KEEPING_YOUNG_MB }),
    ...limitsOf(options.resourceLimits),
  };
  const pool = new Piscina({
    filename: ENTRY,
    minThreads: 0,
    maxThreads: 1,
    // The default stops the timers of an idle worker.
    atomics: "disabled",
    recordTiming: false,
    // Agents see what the operator named. The accelerator is a native addon, which must not be in a thread that may be killed.
    env: { ...options.env, MSGPACKR_NATIVE_ACCELERATION_DISABLED: "true" },
    ...(options.execArgv && { execArgv: options.execArgv }),
    ...(Object.keys(limits).length > 0 && { resourceLimits: limits as Record<string, number> }),
  });
  let failure: Error | undefined;
  pool.on("error", (error: Error) => (failure ??= error)); // of a worker that had not begun its task
  const abort = new AbortController();
  const task: LaneTask = { ...settings, data: data.port2, control: control.port2 };
  const ports = [data.port2, control.port2, ...(settings.store ? [settings.store.port] : [])];
  const transport = new PortTransport(data.port1, poller, intake);
  const closed = new Promise<void>((resolve) => transport.onClose(resolve));
  let running: Promise<unknown>;
  try {
    running = pool.run(task, { transferList: ports as never, signal: abort.signal });
  } catch (error) {
    for (const port of [data.port1, control.port1, ...ports]) port.close();
    return refuse("options.lanes", error instanceof Error ? error.message : String(error));
  }
  const worker = pool.threads[0] as Worker;
  const exited = new Promise<number>((resolve) => worker.once("exit", resolve));
  let isStopping = false;
  const destroy = (): Promise<void> => pool.destroy().catch(() => {}); // its worker may be gone already
  void running.catch((error: Error) => (failure ??= error)).then(destroy);
  void exited.then(() => {
    // A worker that never began left the task, and the ports in it, with us.
    for (const port of ports) port.close();
    return destroy();
  });
  // A thread that lives behind a closed port cannot be talked to: its agents can reach its ports, and close them.
  // One that ends closes them too, ahead of the reason for its end.
  const cutOff = (): void => {
    const timer = setTimeout(() => {
      if (isStopping) return;
      failure ??= new Error("it closed its port");
      abort.abort();
    }, CUT_OFF_MS);
    void exited.then(() => clearTimeout(timer));
  };
  for (const port of [data.port1, control.port1]) port.once("close", cutOff);
  const remote = connectTo<LaneControl>(control.port1) as unknown as RemoteLaneControl;

  return {
    transport,
    control: remote,
    threadId: worker.threadId,
    ended: Promise.all([exited, closed]).then(([exitCode]) => {
      control.port1.close();
      return failure === undefined || isStopping ? { exitCode } : { exitCode, error: failure };
    }),
    loopTimes: () => {
      const { active, idle } = worker.performance.eventLoopUtilization();
      return active + idle > 0 ? { activeMs: active, idleMs: idle } : undefined;
    },
    stop: () => {
      isStopping = true;
      void remote.stop();
    },
    kill: () => abort.abort(),
  };
}
