/** What a metric is: a row of the table in metric-table.ts, from which the answer to a scrape and docs/metrics.md follow. */
import type { HostSnapshot, StoreCounts } from "../protocol/views.ts";
import type { HttpCounts } from "./http-counts.ts";
import type { LoopDelay, ProcessReading } from "./process-reading.ts";
import type { TurnCounts } from "./turn-counts.ts";

/** All that one scrape reads, taken once. */
export interface Reading {
  readonly host: HostSnapshot;
  /** Undefined without a store, and when it does not answer. */
  readonly store: StoreCounts | undefined;
  readonly turns: TurnCounts;
  readonly http: HttpCounts;
  readonly loop: LoopDelay;
  readonly process: ProcessReading;
}

export type Labels = Readonly<Record<string, string>>;
export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}
/** Of a histogram: how many values were in each bucket, and in the one above them all. */
export interface Buckets {
  readonly labels?: Labels;
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

interface RowBase {
  readonly name: string;
  readonly help: string;
  /** Names of the labels, none of which grows with sessions, callers or time. */
  readonly labels?: readonly string[];
}
export type MetricRow =
  | (RowBase & { readonly type: "counter" | "gauge"; readonly read: (reading: Reading) => readonly Sample[] })
  | (RowBase & { readonly type: "histogram"; readonly read: (reading: Reading) => readonly Buckets[] });
export type MetricGroup = readonly [title: string, rows: readonly MetricRow[]];

/** A sample without labels; none when there is nothing to say. */
export function one(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ value }];
}
