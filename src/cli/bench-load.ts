/** Turns put through something, and how long each took. Knows nothing of what runs them. */
import type { Histogram } from "hdr-histogram-js";
import { build } from "hdr-histogram-js";

export interface LoadResult {
  readonly turns: number;
  readonly failed: number;
  readonly turnsPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Load {
  /** Turns at a time. */
  readonly inFlight: number;
  /** Milliseconds during which turns are begun. */
  readonly forMs: number;
  /** Runs the next turn of one of `inFlight` callers, who each wait for their turn before the next. */
  readonly turn: (caller: number) => Promise<unknown>;
  /** Begins no more. */
  readonly signal: AbortSignal;
  /** Nor waits for those that run. */
  readonly giveUp: AbortSignal;
}

/** Microseconds: an hour. */
const HIGHEST_US = 3_600_000_000;

/** A closed loop: as many callers as there are turns in flight. Waits for the last of them. */
export async function measure({ inFlight, forMs, turn, signal, giveUp }: Load): Promise<LoadResult> {
  const latencyUs: Histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: HIGHEST_US, numberOfSignificantValueDigits: 3 });
  let failed = 0;
  const startedMs = performance.now();
  const endMs = startedMs + forMs;
  const call = async (caller: number): Promise<void> => {
    for (let atMs = performance.now(); atMs < endMs && !signal.aborted;) {
      try {
        await turn(caller);
      } catch {
        failed++; // counted, and told at the end
      }
      const nowMs = performance.now();
      latencyUs.recordValue(Math.min(HIGHEST_US, Math.max(1, Math.round((nowMs - atMs) * 1000))));
      atMs = nowMs;
    }
  };
  const givenUp = new Promise<void>((resolve) => {
    if (giveUp.aborted) resolve();
    else giveUp.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([givenUp, Promise.all(Array.from({ length: inFlight }, (_, caller) => call(caller)))]);
  const elapsedS = Math.max((performance.now() - startedMs) / 1000, 0.001);
  const turns = latencyUs.totalCount;
  const at = (percentile: number): number => (turns === 0 ? 0 : latencyUs.getValueAtPercentile(percentile) / 1000);
  return { turns, failed, turnsPerS: turns / elapsedS, p50Ms: at(50), p99Ms: at(99) };
}
