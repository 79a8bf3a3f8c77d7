import { expect, test } from "vitest";

import { badLine } from "../../src/cli/results.ts";
import { RunReport } from "../../src/cli/run-report.ts";
import { HostEvents } from "../../src/host/host-events.ts";
import type { HostSnapshot } from "../../src/protocol/views.ts";

const lane = {
  kind: "shared",
  state: "ready",
  sessions: 1,
  runningTurns: 0,
  busiest: [],
  sentFrames: 0,
  sentRecords: 0,
  receivedFrames: 0,
  receivedRecords: 0,
  outboxRecords: 0,
  queuedRecords: 0,
  queuedBytes: 0,
} as const;
const host: HostSnapshot = {
  state: "open",
  health: "ok",
  sessions: { live: 1, building: 0, max: 10, archivedViews: 0 },
  turns: { running: 0, waiting: 0, settled: 3, failed: 1 },
  deliveries: { events: 0, delivered: 0, lost: 0 },
  lanes: [
    { ...lane, lane: 0, settledTurns: 41, failedTurns: 7, strayErrors: 0, utilization: 0.256 },
    { ...lane, lane: 1, settledTurns: 42, failedTurns: 8, strayErrors: 0 },
  ],
  lanesDown: [],
  lanesLost: 0,
  slots: { allocated: 1, free: 0 },
  subscribers: 0,
  quarantined: [],
  events: new HostEvents({}).counts(),
};
const turn = (line: number, durationMs: number) => ({ session: `s${line}`, turn: 1, line, durationMs });
/** Cells of every row, without what draws the table. */
const cells = (text: string): string[][] =>
  text
    .split("\n")
    .filter((row) => row.startsWith("│"))
    .map((row) =>
      row
        .split("│")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

test("a clean run: totals and lanes, nothing else", () => {
  const report = new RunReport();
  for (let i = 1; i <= 100; i++) report.add({ status: "ok", record: { ...turn(i, i), ok: true, text: "" } });
  report.counts.read = 100;
  report.counts.sessions = 4;
  const text = report.render(host, 2);
  expect(cells(text)).toEqual([
    ["turns", "sessions", "turns/s", "p50 ms", "p99 ms", "failed", "unmet", "bad lines"],
    ["100", "4", "50.0", expect.stringMatching(/^50\.0\d$/), expect.stringMatching(/^99\.0\d$/), "0", "0", "0"],
    ["lane", "turns", "failed", "utilization"],
    ["0", "41", "7", "26 %"],
    ["1", "42", "8", "-"],
  ]);
  expect(text).not.toMatch(/cut short|lost|nobody awaited/);
  expect(report.isClean).toBe(true);
});

test("failures are counted by what they are; the first few are told with line and reason", () => {
  const report = new RunReport();
  report.counts.read = 9;
  report.add(badLine(2, "prompt: must be a string"));
  report.add({ status: "unmet", record: { ...turn(3, 1), ok: false, text: "x", expected: { text: "y" } } });
  report.add({
    status: "failed",
    record: { ...turn(4, 1), ok: false, error: { code: "AGENT_ERROR", message: "line one\nline \u001b[31mtwo" } },
  });
  report.add({ status: "interrupted", record: { ...turn(5, 1), ok: false, error: { code: "AGENT_ERROR", message: "m".repeat(500) } } });
  for (let line = 6; line < 10; line++)
    report.add({ status: "failed", record: { ...turn(line, 1), ok: false, error: { code: "AGENT_ERROR", message: "no" } } });
  expect(report.counts).toMatchObject({ done: 7, failed: 7, unmet: 1, interrupted: 1, badLines: 1 });
  expect(report.isClean).toBe(false);
  const text = report.render({ ...host, lanesLost: 2, lanes: [{ ...lane, lane: 0, settledTurns: 1, failedTurns: 1, strayErrors: 3 }] }, 1);
  expect(cells(text).slice(-6)).toEqual([
    ["line", "session", "reason"],
    ["2", "", "prompt: must be a string"],
    ["3", "s3", 'expected {"text":"y"}, got "x"'],
    ["4", "s4", "AGENT_ERROR: line one line  [31mtwo"],
    ["5", "s5", expect.stringMatching(/^AGENT_ERROR: m{10,200}…$/)],
    ["6", "s6", "AGENT_ERROR: no"],
  ]);
  expect(text).toContain("and 3 more");
  expect(text).toContain("cut short: 1 turns interrupted, 2 read and not run");
  expect(text).toContain("lanes lost and replaced: 2");
  expect(text).toContain("nobody awaited: 3");
  expect(text).not.toContain("\u001b");
});

test("a bad line alone is not clean, and a run without turns has no latency", () => {
  const report = new RunReport();
  report.add(badLine(1, "is not JSON"));
  expect(report.isClean).toBe(false);
  expect(cells(report.render(host, 0))[1]).toEqual(["0", "0", "0.0", "-", "-", "0", "0", "1"]);
});
