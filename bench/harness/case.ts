/**
 * What a benchmark case is: the same work given to several contenders, in several scenarios.
 *
 * Every contender runs in a process of its own, so that no one's heap, compiled code or idle threads are another's. Rounds alternate
 * over the contenders (A B C A B C …), so that whatever the machine does in the meantime meets them all.
 */
import type { Histogram } from "hdr-histogram-js";

/** Figures of one round, by metric, in the metric's unit. */
export type Figures = Readonly<Record<string, number>>;

export interface Metric {
  readonly unit: string;
  readonly better: "higher" | "lower";
}

/** A contender that is up and warm, and can be measured again and again. */
export interface Subject {
  /** How it is set up in this scenario, where that was chosen by trial; said in the results. */
  readonly setup?: string;
  /** The same load for a moment, not measured: a contender that slept through the others' rounds finds its caches and clocks again. */
  leadIn?(): Promise<unknown>;
  /** Measure once. Waits for the round. */
  round(): Promise<Round>;
  /** Free everything it holds. */
  close(): Promise<void>;
}

export interface Round {
  readonly figures: Figures;
  /** Latencies of the round in nanoseconds, where the case is about their distribution. */
  readonly latencies?: Histogram;
}

/** What Warren is measured beside: `peer` is something one could use instead, `limit` has no session logic at all. */
export type ContenderKind = "warren" | "peer" | "limit";

export interface Contender<P> {
  readonly name: string;
  readonly kind: ContenderKind;
  /** Bring it up for a scenario and warm it up. */
  open(parameters: P): Promise<Subject>;
  /** Scenarios that make no sense for it, or differ only in something that it does not have. */
  skips?(parameters: P): boolean;
}

/** Rounds of one contender in one scenario. */
export interface Measured {
  readonly name: string;
  readonly kind: ContenderKind;
  readonly setup?: string | undefined;
  /** Metric → a figure for every round, in the order they ran. */
  readonly figures: Readonly<Record<string, readonly number[]>>;
  /** [percentile, microseconds], all rounds together. */
  readonly distribution?: readonly (readonly [number, number])[] | undefined;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly contenders: readonly Measured[];
}

/** A line of the target table (P1 … P11). */
export interface TargetResult {
  readonly id: string;
  readonly what: string;
  /** Median over the rounds, with the lowest and the highest. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly unit: string;
  readonly limit: number;
  readonly better: "higher" | "lower";
  readonly met: boolean;
}

export interface Case<P extends object = object> {
  readonly name: string;
  readonly title: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly scenarios: readonly { readonly name: string; readonly parameters: P }[];
  readonly contenders: readonly Contender<P>[];
  /** The contender that stands for the machine's speed when two runs are compared: what is compared is the ratio to it. */
  readonly yardstick: string;
  /** Rounds of each contender in each scenario; fewer than ROUNDS only where they hardly differ. Default ROUNDS. */
  readonly rounds?: number;
  /** A new process for every round: what is measured is what a process costs. */
  readonly isFresh?: boolean;
  /** Scenarios that `bench:smoke` runs. */
  readonly smoke?: readonly string[];
  targets?(results: readonly ScenarioResult[]): TargetResult[];
}

/** Names a case for lists of cases of any parameters. */
export function defineCase<P extends object>(definition: Case<P>): Case {
  return definition as unknown as Case;
}
