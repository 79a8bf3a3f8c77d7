/** What `warren top` shows, from two looks at a host: text, and the same for programs. Pure. */
import type { HostReport } from "../client/index.ts";

/** A look at the host. */
export interface Look {
  readonly report: HostReport;
  /** Milliseconds of any one monotonic clock. */
  readonly atMs: number;
}

export interface TopFacts {
  readonly state: HostReport["state"];
  readonly health: HostReport["health"];
  readonly sessions: { readonly live: number; readonly building: number; readonly max: number };
  readonly turns: { readonly running: number; readonly settled: number; readonly failed: number };
  /** Between the two looks. */
  readonly turnsPerS: number;
  readonly failedPerS: number;
  /** Of the last seconds, as the server measures it. */
  readonly latencyMs?: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly lanesDown: number;
  readonly quarantined: number;
  readonly lanes: readonly {
    readonly lane: number;
    readonly kind: string;
    readonly state: string;
    /** 0 to 1, of the last two seconds. */
    readonly load: number;
    readonly sessions: number;
    readonly running: number;
    readonly turnsPerS: number;
    readonly heapBytes: number;
    readonly heapLimitBytes: number;
  }[];
  /** Those that used most of their lanes, most first. */
  readonly busiest: readonly { readonly sessionId: string; readonly lane: number; readonly share: number; readonly cpuMs: number }[];
}

const BUSIEST = 5;
const BAR = 20;
const MIB = 1024 * 1024;

/** @param before - an earlier look at the same host; rates are those between the two */
export function factsOf(before: Look, now: Look): TopFacts {
  const { report } = now;
  const elapsedS = Math.max((now.atMs - before.atMs) / 1000, 0.001);
  const perS = (after: number, earlier: number): number => Math.max(0, after - earlier) / elapsedS;
  const earlier = new Map(before.report.lanes.map((lane) => [lane.lane, lane]));
  const latencyMs = latencyOf(report);
  return {
    state: report.state,
    health: report.health,
    sessions: { live: report.sessions.live, building: report.sessions.building, max: report.sessions.max },
    turns: report.turns,
    turnsPerS: perS(report.turns.settled, before.report.turns.settled),
    failedPerS: perS(report.turns.failed, before.report.turns.failed),
    ...(latencyMs && { latencyMs }),
    lanesDown: report.lanesDown.length,
    quarantined: report.quarantined.length,
    lanes: report.lanes.map((lane) => ({
      lane: lane.lane,
      kind: lane.kind,
      state: lane.state,
      load: lane.recentUtilization ?? 0,
      sessions: lane.sessions,
      running: lane.runningTurns,
      turnsPerS: perS(lane.settledTurns, earlier.get(lane.lane)?.settledTurns ?? 0),
      heapBytes: lane.memory?.heapUsed ?? 0,
      heapLimitBytes: lane.memory?.heapLimit ?? 0,
    })),
    busiest: report.lanes
      .flatMap(({ lane, busiest }) => busiest.map((session) => ({ ...session, lane })))
      .toSorted((a, b) => b.share - a.share)
      .slice(0, BUSIEST),
  };
}

/** Servers that measure it say so beside the rest. */
function latencyOf({ recent }: HostReport): TopFacts["latencyMs"] {
  const { latencyMs } = (recent ?? {}) as { latencyMs?: Partial<Record<"p50" | "p95" | "p99", unknown>> };
  const { p50, p95, p99 } = latencyMs ?? {};
  return typeof p50 === "number" && typeof p95 === "number" && typeof p99 === "number" ? { p50, p95, p99 } : undefined;
}

/** @param url - of the server. @returns lines without their ends */
export function topLines(url: string, facts: TopFacts): string[] {
  const { sessions, turns, latencyMs, lanes, busiest } = facts;
  const ms = (value: number): string => (value < 10 ? value.toFixed(2) : value.toFixed(0));
  return [
    `${url}  ${facts.state}, ${facts.health}${facts.lanesDown > 0 ? `, ${facts.lanesDown} lanes down` : ""}${facts.quarantined > 0 ? `, ${facts.quarantined} sessions in quarantine` : ""}`,
    `sessions   ${sessions.live} live of ${sessions.max}${sessions.building > 0 ? `, ${sessions.building} being made` : ""}`,
    `turns      ${facts.turnsPerS.toFixed(1)}/s, ${turns.running} running, ${turns.settled} since the start, ${turns.failed} of them failed`,
    `latency    ${latencyMs === undefined ? "-" : `p50 ${ms(latencyMs.p50)} ms, p95 ${ms(latencyMs.p95)} ms, p99 ${ms(latencyMs.p99)} ms`}`,
    "",
    "lane            load                     sessions  running  turns/s   heap MiB",
    ...lanes.map(
      ({ lane, kind, state, load, sessions: live, running, turnsPerS, heapBytes, heapLimitBytes }) =>
        `${String(lane).padEnd(4)} ${(state === "ready" ? kind : state).padEnd(10)} ${bar(load)} ${percent(load)} ${String(live).padStart(8)} ${String(running).padStart(8)} ${turnsPerS.toFixed(1).padStart(8)}   ${Math.round(heapBytes / MIB)}/${Math.round(heapLimitBytes / MIB)}`,
    ),
    ...(busiest.length === 0
      ? []
      : ["", "busiest sessions", ...busiest.map(({ sessionId, lane, share }) => `${percent(share)} of lane ${lane}  ${sessionId}`)]),
  ];
}

const percent = (share: number): string => `${Math.round(Math.min(1, Math.max(0, share)) * 100)} %`.padStart(5);
function bar(share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * BAR);
  return `${"█".repeat(filled)}${"·".repeat(BAR - filled)}`;
}
