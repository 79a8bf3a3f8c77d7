import { expect, test } from "vitest";

import type { HostReport } from "../../src/client/warren-client.ts";
import { factsOf, topLines } from "../../src/cli/top-view.ts";

const lane = (number: number, settledTurns: number, recentUtilization: number) =>
  ({
    lane: number,
    kind: "shared",
    state: "ready",
    sessions: 10,
    runningTurns: 2,
    settledTurns,
    recentUtilization,
    memory: { heapUsed: 64 * 1024 * 1024, heapLimit: 4096 * 1024 * 1024, external: 0 },
    busiest: [{ sessionId: `s${number}`, share: recentUtilization / 2, cpuMs: 5 }],
  }) as unknown as HostReport["lanes"][number];
const report = (settled: number, lanes: HostReport["lanes"], more: object = {}): HostReport =>
  ({
    state: "open",
    health: "ok",
    sessions: { live: 20, building: 0, max: 100, archivedViews: 0 },
    turns: { running: 4, settled, failed: 3 },
    lanes,
    lanesDown: [],
    quarantined: [],
    ...more,
  }) as unknown as HostReport;

const before = { report: report(100, [lane(0, 60, 0.1)]), atMs: 1000 };
const now = {
  report: report(300, [lane(0, 160, 0.5), lane(1, 40, 1)], { recent: { latencyMs: { p50: 0.5, p95: 2, p99: 20 } } }),
  atMs: 3000,
};

test("rates are those between the looks, of lanes too; a lane that was not there before has made all of its turns since", () => {
  const facts = factsOf(before, now);
  expect([facts.turnsPerS, facts.failedPerS, facts.lanes.map(({ turnsPerS, load }) => [turnsPerS, load])]).toEqual([
    100,
    0,
    [
      [50, 0.5],
      [20, 1],
    ],
  ]);
  expect(facts.busiest.map(({ sessionId, lane: at }) => [sessionId, at])).toEqual([
    ["s1", 1],
    ["s0", 0],
  ]);
});

test("a host that was started anew between the looks has no negative rates", () => {
  expect(factsOf(now, before)).toMatchObject({ turnsPerS: 0, lanes: [{ turnsPerS: 0 }] });
});

test("what is shown", () => {
  expect(topLines("http://h", factsOf(before, now))).toEqual([
    "http://h  open, ok",
    "sessions   20 live of 100",
    "turns      100.0/s, 4 running, 300 since the start, 3 of them failed",
    "latency    p50 0.50 ms, p95 2.00 ms, p99 20 ms",
    "",
    "lane            load                     sessions  running  turns/s   heap MiB",
    "0    shared     ██████████··········  50 %       10        2     50.0   64/4096",
    "1    shared     ████████████████████ 100 %       10        2     20.0   64/4096",
    "",
    "busiest sessions",
    " 50 % of lane 1  s1",
    " 25 % of lane 0  s0",
  ]);
  const bare = topLines("http://h", factsOf(before, { ...before, report: report(100, [], { lanesDown: [{}], quarantined: ["x"] }) }));
  expect(bare.slice(0, 4)).toEqual([
    "http://h  open, ok, 1 lanes down, 1 sessions in quarantine",
    "sessions   20 live of 100",
    "turns      0.0/s, 4 running, 100 since the start, 3 of them failed",
    "latency    -",
  ]);
});
