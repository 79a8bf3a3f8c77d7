/** One clock for all threads of the process: `performance.now()` counts from each thread's own start. */
import { hrtime } from "node:process";

/** @returns milliseconds since some point in the past, the same in every thread; it never goes back */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
