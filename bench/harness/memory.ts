/** What a process holds: the heap of this thread, and all of it together. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { getHeapStatistics } from "node:v8";

/** Milliseconds that V8 gets to give pages back. */
const SETTLE_MS = 100;

/** @returns bytes of this thread's heap after everything unreachable was collected. @throws Error without --expose-gc */
export function usedHeapBytes(): number {
  if (globalThis.gc === undefined) throw new Error("start node with --expose-gc");
  globalThis.gc();
  globalThis.gc(); // what finalizers of the first let go
  return getHeapStatistics().used_heap_size;
}

/** @returns bytes of memory the process has, once what was just collected had time to be given back */
export async function residentBytes(): Promise<number> {
  await sleep(SETTLE_MS);
  usedHeapBytes();
  await sleep(SETTLE_MS);
  return process.memoryUsage.rss();
}

/** @returns bytes of the process's memory that are pages of files; undefined where the system does not tell */
export function mappedBytes(): number | undefined {
  try {
    const kibibytes = /^RssFile:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  } catch {
    return undefined; // not Linux
  }
}
