/** What the process holds while it soaks, and whether that grows. */
import { readFileSync, readdirSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface Sample {
  readonly heap: number;
  readonly external: number;
  readonly rss: number;
  /** Undefined where the system does not tell. */
  readonly files: number | undefined;
  readonly threads: number | undefined;
  /** What keeps the event loop alive, as Node counts it. */
  readonly resources: number;
}

/** @throws Error without --expose-gc */
export function takeSample(): Sample {
  if (globalThis.gc === undefined) throw new Error("start node with --expose-gc");
  globalThis.gc();
  const { heapUsed: heap, external, rss } = process.memoryUsage();
  return { heap, external, rss, files: openFiles(), threads: threadCount(), resources: process.getActiveResourcesInfo().length };
}

function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined; // not Linux
  }
}

function threadCount(): number | undefined {
  try {
    return Number(/^Threads:\s+(\d+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  } catch {
    return undefined; // not Linux
  }
}

/** Main's event loop: how late it was, in milliseconds. */
export class LoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: 5 });

  constructor() {
    this.#histogram.enable();
  }

  get(): { p50: number; p99: number; max: number } {
    const ms = (nanoseconds: number): number => Math.round(nanoseconds / 1e5) / 10;
    return { p50: ms(this.#histogram.percentile(50)), p99: ms(this.#histogram.percentile(99)), max: ms(this.#histogram.max) };
  }
}

/** One thing that was checked at the end. */
export interface Check {
  readonly what: string;
  readonly value: string;
  readonly isGood: boolean;
}

/** What may grow from the second quarter of the run to the last: by a share of it, or by so much, whichever is more. */
const GROWTH = {
  heap: { share: 0.25, atLeast: 16 * 2 ** 20 },
  external: { share: 0.25, atLeast: 16 * 2 ** 20 },
  // A lane's heap is as large as what it needed last; those that died begin small.
  rss: { share: 0.3, atLeast: 192 * 2 ** 20 },
  files: { share: 0, atLeast: 8 },
  // Lanes that are just being replaced.
  threads: { share: 0, atLeast: 6 },
  resources: { share: 0.25, atLeast: 200 },
} as const satisfies Record<keyof Sample, { share: number; atLeast: number }>;

/** @returns whether each number is flat: median of the last quarter over that of the second */
export function checkGrowth(samples: readonly Sample[]): Check[] {
  const quarter = Math.floor(samples.length / 4);
  return (Object.keys(GROWTH) as (keyof Sample)[]).flatMap((name) => {
    const before = median(samples.slice(quarter, 2 * quarter).map((sample) => sample[name]));
    const after = median(samples.slice(-quarter).map((sample) => sample[name]));
    if (before === undefined || after === undefined) return [];
    const { share, atLeast } = GROWTH[name];
    const isGood = after - before <= Math.max(share * before, atLeast);
    return [{ what: `${name} over the run`, value: `${shown(name, before)} → ${shown(name, after)}`, isGood }];
  });
}

const BYTES = new Set<keyof Sample>(["heap", "external", "rss"]);
const shown = (name: keyof Sample, value: number): string =>
  BYTES.has(name) ? `${(value / 2 ** 20).toFixed(1)} MiB` : String(Math.round(value));

function median(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  return known[Math.floor(known.length / 2)];
}
