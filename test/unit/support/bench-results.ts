/** A small run as `npm run bench` writes it: invented figures, for tests only. */
import type { Measured } from "../../../bench/harness/case.ts";
import type { CaseResult, RunResults } from "../../../bench/harness/results.ts";

type Kind = Measured["kind"];

export function contender(name: string, kind: Kind, figures: Record<string, number[]>, extra: Partial<Measured> = {}) {
  return { name, kind, figures, ...extra } as CaseResult["scenarios"][number]["contenders"][number];
}

/** Three rounds around a middle, 2 % to each side. */
export const around = (middle: number): number[] => [middle, middle * 1.02, middle * 0.98];

/** Percentiles of a latency that grows tenfold to its tail. */
export const curve = (p50: number): [number, number][] => [
  [0, p50 * 0.8],
  [50, p50],
  [90, p50 * 1.5],
  [99, p50 * 3],
  [99.9, p50 * 7],
  [99.99, p50 * 10],
];

export const noopTurns = (scale = 1): CaseResult => ({
  name: "noop-turns",
  title: "No-op turns a second",
  yardstick: "bare batched frames",
  metrics: { perSecond: { unit: "turns/s", better: "higher" } },
  scenarios: [
    ...[1, 64, 4096].map((inFlight) => ({
      scenario: `${inFlight.toLocaleString("en")} in flight, 10,000 sessions`,
      parameters: { inFlight, sessions: 10_000 },
      contenders: [
        contender("warren balanced", "warren", { perSecond: around(15_000 * scale * inFlight ** 0.4) }),
        contender("piscina", "peer", { perSecond: around(12_000 * inFlight ** 0.25) }, { setup: "1 thread, atomics disabled" }),
        contender("bare batched frames", "limit", { perSecond: around(20_000 * inFlight ** 0.5) }),
      ],
    })),
    {
      scenario: "64 in flight, 100 sessions",
      parameters: { inFlight: 64, sessions: 100 },
      contenders: [contender("warren balanced", "warren", { perSecond: around(80_000 * scale) })],
    },
  ],
  targets: [
    { id: "P1", what: "no-op turns/s over piscina", value: 4.4, low: 4.2, high: 4.6, unit: "×", limit: 5, better: "higher", met: false },
  ],
});

export const loneTurn = (scale = 1): CaseResult => ({
  name: "lone-turn",
  title: "One turn at a time",
  yardstick: "bare echo",
  metrics: { p50Us: { unit: "µs", better: "lower" } },
  scenarios: [
    {
      scenario: "one session",
      parameters: {},
      contenders: [
        contender("warren balanced", "warren", { p50Us: around(60 * scale) }, { distribution: curve(60 * scale) }),
        contender("bare echo", "limit", { p50Us: around(54) }, { distribution: curve(54) }),
      ],
    },
  ],
  targets: [
    { id: "P3", what: "p50 over a bare echo", value: 1.11, low: 1.08, high: 1.2, unit: "×", limit: 1.15, better: "lower", met: true },
  ],
});

export const interference = (): CaseResult => ({
  name: "interference",
  title: "A session in a busy loop beside others",
  yardstick: "bare echo",
  metrics: { p50Us: { unit: "µs", better: "lower" }, p99Us: { unit: "µs", better: "lower" } },
  scenarios: [false, true].map((hog) => ({
    scenario: hog ? "hog" : "quiet",
    parameters: { hog },
    contenders: [
      contender("warren balanced", "warren", { p50Us: around(70), p99Us: around(hog ? 900 : 300) }, { distribution: curve(70) }),
      contender("single-thread host", "peer", { p50Us: around(20), p99Us: around(hog ? 90_000 : 120) }),
      contender("bare echo", "limit", { p50Us: around(60), p99Us: around(hog ? 800 : 250) }),
    ],
  })),
  targets: [],
});

export function run(cases: CaseResult[], extra: Partial<RunResults> = {}): RunResults {
  return {
    schema: 1,
    mode: "full",
    commit: "0123456789",
    startedAt: "2026-01-02T03:04:05.000Z",
    durationS: 120,
    rounds: 3,
    machine: { node: "v20.20.0", v8: "11.3", os: "Linux 6", cpu: "A CPU", cores: 2, memoryGiB: 8 },
    cases,
    ...extra,
  };
}
