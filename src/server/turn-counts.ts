/** Turns as they are admitted and answered: totals for a scrape, and rates and latencies of the last seconds for whoever watches. */
import { build } from "hdr-histogram-js";
import type { Histogram } from "hdr-histogram-js";

import { FixedHistogram } from "../core/fixed-histogram.ts";
import type { SettledTurn, TurnObserver, TurnOutcome } from "../host/turn-observer.ts";
import { TURN_OUTCOMES } from "../host/turn-observer.ts";

/** Seconds: from a no-op in a warm lane to a run that asks models for minutes. */
const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800,
];

export class TurnCounts implements TurnObserver {
  readonly durations: Readonly<Record<TurnOutcome, FixedHistogram>>;
  started = 0;
  readonly #recent: RecentTurns;

  constructor(recent: RecentTurns) {
    this.durations = Object.fromEntries(TURN_OUTCOMES.map((outcome) => [outcome, new FixedHistogram(SECONDS)])) as Record<
      TurnOutcome,
      FixedHistogram
    >;
    this.#recent = recent;
  }

  onTurnAdmitted(): void {
    this.started++;
  }

  onTurnSettled({ outcome, durationMs }: SettledTurn): void {
    this.durations[outcome].add(durationMs / 1000);
    this.#recent.add(durationMs);
  }
}

/** What happened in the last seconds. */
export interface RecentRates {
  /** Seconds it speaks of: fewer than WINDOW_S only when less has passed. */
  readonly windowS: number;
  readonly turnsPerS: number;
  readonly eventsPerS: number;
  /** Milliseconds from admission to answer; absent when no turn ended. */
  readonly latencyMs?: { readonly p50: number; readonly p95: number; readonly p99: number };
}

/** Seconds that `recent()` speaks of. */
export const WINDOW_S = 10;
/** Histograms hold microseconds, up to an hour, with two digits: within a percent. */
const HIGHEST_US = 3_600_000_000;

interface Slice {
  sinceMs: number;
  /** Events of the host until then, ever. */
  eventsBefore: number;
  readonly durations: Histogram;
}

const newHistogram = (): Histogram =>
  build({ lowestDiscernibleValue: 1, highestTrackableValue: HIGHEST_US, numberOfSignificantValueDigits: 2, bitBucketSize: 32 });

/** A window that slides by a second: `slide` is called once a second. */
export class RecentTurns {
  /** Oldest first; the last is the one that is being filled. */
  readonly #slices: Slice[] = [];
  readonly #whole = newHistogram();

  /** @param nowMs - of any one monotonic clock. @param events - of the host so far */
  constructor(nowMs: number, events: number) {
    this.#slices.push({ sinceMs: nowMs, eventsBefore: events, durations: newHistogram() });
  }

  add(durationMs: number): void {
    const { durations } = this.#slices.at(-1) as Slice;
    durations.recordValue(Math.min(Math.max(Math.round(durationMs * 1000), 1), HIGHEST_US));
  }

  slide(nowMs: number, events: number): void {
    const oldest = this.#slices.length > WINDOW_S ? (this.#slices.shift() as Slice) : undefined;
    oldest?.durations.reset();
    this.#slices.push({ sinceMs: nowMs, eventsBefore: events, durations: oldest?.durations ?? newHistogram() });
  }

  rates(nowMs: number, events: number): RecentRates {
    const { sinceMs, eventsBefore } = this.#slices[0] as Slice;
    const windowS = Math.max((nowMs - sinceMs) / 1000, 0.001);
    this.#whole.reset();
    for (const { durations } of this.#slices) if (durations.totalCount > 0) this.#whole.add(durations);
    const { totalCount } = this.#whole;
    const at = (percentile: number): number => this.#whole.getValueAtPercentile(percentile) / 1000;
    return {
      windowS,
      turnsPerS: totalCount / windowS,
      eventsPerS: (events - eventsBefore) / windowS,
      ...(totalCount > 0 && { latencyMs: { p50: at(50), p95: at(95), p99: at(99) } }),
    };
  }
}
