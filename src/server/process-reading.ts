/**
 * What is measured of the process and of the main thread's loop, under the names that Node programs have for it everywhere. prom-client's own
 * collectors cannot be taken away again: these end with whoever made them.
 */
import { readdir } from "node:fs/promises";
import type { PerformanceEntry } from "node:perf_hooks";
import { PerformanceObserver, constants, monitorEventLoopDelay } from "node:perf_hooks";

import { FixedHistogram } from "../core/fixed-histogram.ts";

/** Milliseconds between two looks at the loop. */
const RESOLUTION_MS = 10;
const GC_SECONDS = [0.001, 0.01, 0.1, 1, 2, 5];
const GC_KINDS = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
  [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, "weakcb"],
]);
const FDS = "/proc/self/fd";

/** How late main's loop was, in seconds, since the last time this was read. */
export interface LoopDelay {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** Of the whole process, lanes and store included, but for the heap, which is main's. */
export interface ProcessReading {
  readonly cpu: NodeJS.CpuUsage;
  readonly memory: NodeJS.MemoryUsage;
  readonly startedS: number;
  /** Undefined where the system does not say. */
  readonly openFds: number | undefined;
  /** What keeps main's loop alive, by kind. */
  readonly resources: ReadonlyMap<string, number>;
  readonly gc: ReadonlyMap<string, FixedHistogram>;
}

export class ProcessWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #gc = new Map([...GC_KINDS.values()].map((kind) => [kind, new FixedHistogram(GC_SECONDS)]));
  readonly #gcWatch = new PerformanceObserver((entries) => {
    for (const entry of entries.getEntries()) this.#addGc(entry);
  });
  readonly #startedS = Date.now() / 1000 - process.uptime();

  constructor() {
    this.#delay.enable();
    this.#gcWatch.observe({ entryTypes: ["gc"] });
  }

  #addGc(entry: PerformanceEntry): void {
    const { kind } = (entry as { detail?: { kind?: number } }).detail ?? {};
    this.#gc.get(GC_KINDS.get(kind ?? 0) ?? "")?.add(entry.duration / 1000);
  }

  /** What it read is forgotten: the next reading speaks of the time from here on. */
  loop(): LoopDelay {
    const delay = this.#delay;
    // Node says how long the timer took, its own period included; nothing measured is NaN.
    const secondsOf = (ns: number): number => (Number.isFinite(ns) && delay.count > 0 ? Math.max(0, ns / 1e9 - RESOLUTION_MS / 1000) : 0);
    const read: LoopDelay = {
      min: secondsOf(delay.min),
      max: secondsOf(delay.max),
      mean: secondsOf(delay.mean),
      stddev: delay.count > 0 && Number.isFinite(delay.stddev) ? delay.stddev / 1e9 : 0,
      p50: secondsOf(delay.percentile(50)),
      p90: secondsOf(delay.percentile(90)),
      p99: secondsOf(delay.percentile(99)),
    };
    delay.reset();
    return read;
  }

  async read(): Promise<ProcessReading> {
    const resources = new Map<string, number>();
    for (const kind of process.getActiveResourcesInfo()) resources.set(kind, (resources.get(kind) ?? 0) + 1);
    const openFds = await readdir(FDS).then(
      (fds) => fds.length - 1, // that of the look itself
      () => undefined,
    );
    return {
      cpu: process.cpuUsage(),
      memory: process.memoryUsage(),
      startedS: this.#startedS,
      openFds,
      resources,
      gc: this.#gc,
    };
  }

  close(): void {
    this.#delay.disable();
    this.#gcWatch.disconnect();
  }
}
