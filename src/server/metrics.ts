/**
 * Metrics of a host for Prometheus. What there is stands in metric-table.ts; this reads it when somebody scrapes, in a registry of its own.
 *
 *   M1. A scrape looks at the host once, however many metrics there are, and waits for the store at most a second.
 *   M2. `close` takes away everything: the watch on turns, the timer, the looks at the loop and the garbage collector.
 */
import { Registry } from "prom-client";

import type { TurnObserver } from "../host/turn-observer.ts";
import type { HostSnapshot, StoreCounts } from "../protocol/views.ts";
import { HttpCounts } from "./http-counts.ts";
import type { Buckets, MetricRow, Reading, Sample } from "./metric-rows.ts";
import { METRICS } from "./metric-table.ts";
import { ProcessWatch } from "./process-reading.ts";
import type { RecentRates } from "./turn-counts.ts";
import { RecentTurns, TurnCounts } from "./turn-counts.ts";

/** What metrics need of a service; Warren's own have it. */
export interface ObservableService {
  inspect(): HostSnapshot;
  /** Absent: turns are not counted one by one. */
  observe?(observer: TurnObserver): () => void;
  /** Absent: there is nothing to tell of a store. */
  storeCounts?(): Promise<StoreCounts | undefined>;
}

export interface Metrics {
  /** Of this host alone; metrics of one's own may be added to it. */
  readonly registry: Registry;
  /** Of what `text` gives. */
  readonly contentType: string;
  /** Requests, counted by the middleware `countRequests`. */
  readonly http: HttpCounts;
  /** Everything as a scrape wants it. Waits for the store at most a second. */
  text(): Promise<string>;
  /** The last ten seconds. */
  recent(): RecentRates;
  /** Watch no more. A second call does nothing. */
  close(): void;
}

const SLIDE_MS = 1000;

/** @returns metrics of the service, from now on until they are closed */
export function createMetrics(service: ObservableService): Metrics {
  const now = (): number => performance.now();
  const events = (): number => service.inspect().deliveries.events;
  const recent = new RecentTurns(now(), events());
  const turns = new TurnCounts(recent);
  const http = new HttpCounts();
  const processWatch = new ProcessWatch();
  const unobserve = service.observe?.(turns);
  const timer = setInterval(() => recent.slide(now(), events()), SLIDE_MS).unref();

  // M1: a registry asks all its metrics at once, and they share what was read until it is there.
  let reading: Promise<Reading> | undefined;
  const read = async (): Promise<Reading> => {
    const [store, ofProcess] = await Promise.all([service.storeCounts?.(), processWatch.read()]);
    return { host: service.inspect(), store, turns, http, loop: processWatch.loop(), process: ofProcess };
  };
  const shared = (): Promise<Reading> => (reading ??= read().finally(() => (reading = undefined)));

  const registry = new Registry();
  for (const [, rows] of METRICS) {
    // What the registry calls of a metric is `get`; its own classes count, and do not read.
    for (const row of rows) registry.registerMetric(new ReadMetric(row, shared) as never);
  }
  return {
    registry,
    contentType: registry.contentType,
    http,
    text: () => registry.metrics(),
    recent: () => recent.rates(now(), events()),
    close: () => {
      clearInterval(timer);
      unobserve?.();
      processWatch.close();
    },
  };
}

interface Value extends Sample {
  readonly metricName?: string;
}

/** A metric as prom-client's registry takes it. */
class ReadMetric {
  readonly name: string;
  readonly #row: MetricRow;
  readonly #reading: () => Promise<Reading>;

  constructor(row: MetricRow, reading: () => Promise<Reading>) {
    this.name = row.name;
    this.#row = row;
    this.#reading = reading;
  }

  async get(): Promise<{ name: string; help: string; type: string; aggregator: string; values: readonly Value[] }> {
    const reading = await this.#reading();
    const { name, help, type } = this.#row;
    const values = this.#row.type === "histogram" ? this.#row.read(reading).flatMap((row) => valuesOf(name, row)) : this.#row.read(reading);
    return { name, help, type, aggregator: "sum", values: values.map((value) => ({ labels: {}, ...value })) };
  }

  /** What is read begins where its source began. */
  reset(): void {}
}

/** Buckets of Prometheus hold all that is not more than their bound. */
function valuesOf(name: string, { labels, bounds, counts, sum }: Buckets): Value[] {
  const metricName = `${name}_bucket`;
  let total = 0;
  const values: Value[] = counts.map((count, index) => {
    total += count;
    return { metricName, labels: { ...labels, le: String(bounds[index] ?? "+Inf") }, value: total };
  });
  return [
    ...values,
    { metricName: `${name}_sum`, labels: labels ?? {}, value: sum },
    { metricName: `${name}_count`, labels: labels ?? {}, value: total },
  ];
}
