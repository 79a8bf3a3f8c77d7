/** From what the host says each second to what the charts show. */
import type { HostReport } from "../client/index.ts";

export interface Sample {
  /** Epoch seconds. */
  readonly atS: number;
  readonly turnsPerS: number | undefined;
  readonly failedPerS: number | undefined;
  readonly typicalMs: number | undefined;
  readonly slowMs: number | undefined;
  /** The host measures latencies: typical is p50, slow is p99. Otherwise typical is a mean, running turns over turns a second. */
  readonly isMeasured: boolean;
}

interface Recent {
  turnsPerS?: number;
  latencyMs?: { p50?: number; p99?: number };
}

/** What was counted at a moment. */
export interface Look {
  readonly atMs: number;
  readonly report: HostReport;
}

/** @param before - the look before; undefined: this is the first */
export function sampleOf({ atMs, report }: Look, before: Look | undefined): Sample {
  const recent = report["recent"] as Recent | undefined;
  const seconds = before === undefined ? 0 : (atMs - before.atMs) / 1000;
  const rateOf = (member: "settled" | "failed"): number | undefined =>
    before === undefined || seconds <= 0 ? undefined : Math.max(0, report.turns[member] - before.report.turns[member]) / seconds;
  const turnsPerS = recent?.turnsPerS ?? rateOf("settled");
  const { running } = report.turns;
  const mean = turnsPerS === undefined || turnsPerS === 0 || running === 0 ? undefined : (running / turnsPerS) * 1000;
  return {
    atS: Math.round(atMs / 1000),
    turnsPerS,
    failedPerS: rateOf("failed"),
    typicalMs: recent === undefined ? mean : recent.latencyMs?.p50,
    slowMs: recent?.latencyMs?.p99,
    isMeasured: recent !== undefined,
  };
}
