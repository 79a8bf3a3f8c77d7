import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { runCompare } from "../../bench/compare/command.ts";
import { compareResults, verdictOf } from "../../bench/compare/compare-results.ts";
import { doubtsAbout } from "../../bench/compare/doubts.ts";
import type { CaseResult } from "../../bench/harness/results.ts";
import { spreadOf } from "../../bench/harness/stats.ts";
import { contender, interference, loneTurn, noopTurns, run } from "./support/bench-results.ts";

const NO_DIFFERENCE = "no difference beyond the noise";

describe("a verdict", () => {
  test.each([
    { before: [100, 101, 99], after: [110, 111, 109], better: "higher" as const, verdict: "faster" },
    { before: [100, 101, 99], after: [90, 91, 89], better: "higher" as const, verdict: "slower" },
    { before: [100, 101, 99], after: [90, 91, 89], better: "lower" as const, verdict: "faster" },
    { before: [100, 101, 99], after: [110, 111, 109], better: "lower" as const, verdict: "slower" },
    { before: [100, 101, 99], after: [104, 104.5, 103], better: "higher" as const, verdict: NO_DIFFERENCE }, // apart, but by 4 %
    { before: [100, 121, 99], after: [120, 125, 119], better: "higher" as const, verdict: NO_DIFFERENCE }, // one round reaches into the other's
    { before: [100, 101, 99], after: [100, 101, 99], better: "lower" as const, verdict: NO_DIFFERENCE },
    { before: [0, 0, 0], after: [0, 0, 0], better: "lower" as const, verdict: NO_DIFFERENCE },
    { before: [0, 0, 0], after: [5, 5, 5], better: "lower" as const, verdict: "slower" },
  ])("$before, then $after, $better is better: $verdict", ({ before, after, better, verdict }) => {
    expect(verdictOf(spreadOf(before), spreadOf(after), better)).toBe(verdict);
  });

  test("with a wider tolerance asks for a wider difference", () => {
    expect(verdictOf(spreadOf([100]), spreadOf([80]), "higher", 0.25)).toBe(NO_DIFFERENCE);
    expect(verdictOf(spreadOf([100]), spreadOf([70]), "higher", 0.25)).toBe("slower");
  });
});

/** One scenario of a case with a yardstick, or without when it has no rounds. */
function small(ours: number[], yardstick: number[] | undefined, scenario = "one", parameters: Record<string, unknown> = {}): CaseResult {
  return {
    name: "small",
    title: "Small",
    yardstick: "bare",
    metrics: { perSecond: { unit: "turns/s", better: "higher" } },
    scenarios: [
      {
        scenario,
        parameters,
        contenders: [
          contender("warren balanced", "warren", { perSecond: ours }),
          ...(yardstick === undefined ? [] : [contender("bare", "limit", { perSecond: yardstick })]),
        ],
      },
    ],
    targets: [],
  };
}

describe("two runs", () => {
  test("on a machine twice as fast are the same when the ratios are", () => {
    const [row] = compareResults(run([small([50, 51, 49], [100, 102, 98])]), run([small([100, 102, 98], [200, 204, 196])]));
    expect(row).toMatchObject({ unit: "×", basis: { by: "round" }, change: 0, verdict: NO_DIFFERENCE });
    expect(row?.after.median).toBeCloseTo(0.5);
  });

  test("a round that slowed Warren and yardstick alike is not Warren's", () => {
    const [row] = compareResults(run([small([50, 50, 50], [100, 100, 100])]), run([small([50, 5, 50], [100, 10, 100])]));
    expect(row?.after).toEqual({ median: 0.5, low: 0.5, high: 0.5 });
  });

  test("only Warren is compared, in scenarios that both have", () => {
    const rows = compareResults(run([noopTurns(), loneTurn()]), run([noopTurns(0.5), interference()]));
    expect(rows.map(({ scenario, contender: name, verdict }) => [scenario, name, verdict])).toEqual([
      ["1 in flight, 10,000 sessions", "warren balanced", "slower"],
      ["64 in flight, 10,000 sessions", "warren balanced", "slower"],
      ["4,096 in flight, 10,000 sessions", "warren balanced", "slower"],
      ["64 in flight, 100 sessions", "warren balanced", "slower"],
    ]);
  });

  test("lower is better where the metric says so", () => {
    const [row] = compareResults(run([loneTurn()]), run([loneTurn(0.8)]));
    expect(row).toMatchObject({ metric: "p50Us", verdict: "faster" });
  });
});

describe("a scenario without its yardstick", () => {
  test("takes that of a scenario with as much in flight, by its median", () => {
    const row = compareResults(run([noopTurns()]), run([noopTurns()])).at(-1);
    expect(row).toMatchObject({
      scenario: "64 in flight, 100 sessions",
      basis: { by: "scenario", scenario: "64 in flight, 10,000 sessions" },
      unit: "×",
    });
    expect(row?.after.median).toBeCloseTo(80_000 / (20_000 * 8));
  });

  test("takes any other when none has as much in flight", () => {
    const both = (): CaseResult => {
      const [a, b] = [small([50], undefined, "a", { inFlight: 7 }), small([60], [100], "b", { inFlight: 9 })];
      return { ...a, scenarios: [...a.scenarios, ...b.scenarios] };
    };
    expect(compareResults(run([both()]), run([both()]))[0]).toMatchObject({ basis: { by: "scenario", scenario: "b" } });
  });

  test("is compared plainly when one of the runs has none at all: both must mean the same", () => {
    const [row] = compareResults(run([small([50, 50, 50], [100, 100, 100])]), run([small([40, 40, 40], undefined)]));
    expect(row).toMatchObject({ basis: { by: "plain" }, unit: "turns/s", verdict: "slower" });
    expect(row?.before.median).toBe(50);
  });

  test("a yardstick that measured nothing divides nothing", () => {
    const [row] = compareResults(run([small([50], [0])]), run([small([50], [0])]));
    expect(row).toMatchObject({ basis: { by: "plain" }, change: 0 });
  });

  test("Warren as its own yardstick is compared plainly", () => {
    const own = { ...small([50], undefined), yardstick: "warren balanced" };
    expect(compareResults(run([own]), run([own]))[0]).toMatchObject({ basis: { by: "plain" } });
  });
});

test("what makes a comparison doubtful is said", () => {
  const before = run([noopTurns(), loneTurn()]);
  const after = run([noopTurns()], { rounds: 1, machine: { ...before.machine, node: "v22.1.0", cores: 4 } });
  expect(doubtsAbout(before, before)).toEqual([]);
  expect(doubtsAbout(before, after)).toEqual([
    "Node differs: v20.20.0 before, v22.1.0 after",
    "the number of cores differs: 2 before, 4 after",
    "the run after has only 1 round: its spread says little",
    "only the run before has lone-turn",
  ]);
});

describe("the command", () => {
  let folder: string;
  const file = (name: string): string => join(folder, name);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "warren-compare-"));
    await writeFile(file("a.json"), JSON.stringify(run([noopTurns()])));
    await writeFile(file("b.json"), JSON.stringify(run([noopTurns(0.5)], { commit: "abcdef0123" })));
    await writeFile(file("broken.json"), "{");
    await writeFile(file("other.json"), "{}");
    await writeFile(file("apart.json"), JSON.stringify(run([interference()])));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function compare(...args: string[]): Promise<{ exitCode: number; out: string; err: string }> {
    let [out, err] = ["", ""];
    const exitCode = await runCompare(args, { out: (text) => (out += text), err: (text) => (err += text) });
    return { exitCode, out, err };
  }

  test("prints both runs, the verdicts and a summary", async () => {
    const { exitCode, out, err } = await compare(file("a.json"), file("b.json"));
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toContain("before 0123456789, 2026-01-02, Node v20.20.0, A CPU, 2 cores, 3 rounds");
    expect(out).toContain("after  abcdef0123");
    expect(out).toContain("-50.0 %");
    expect(out).toContain("0 faster, 4 slower, 0 without a difference beyond the noise");
  });

  test("fails on what is slower only when told to", async () => {
    expect((await compare(file("a.json"), file("b.json"), "--fail-on-slower")).exitCode).toBe(1);
    expect((await compare(file("b.json"), file("a.json"), "--fail-on-slower")).exitCode).toBe(0);
  });

  test("says so when the runs have nothing in common", async () => {
    const { exitCode, out } = await compare(file("a.json"), file("apart.json"));
    expect(exitCode).toBe(0);
    expect(out).toContain("nothing to compare");
  });

  test.each([
    { args: [], says: "missing required argument 'before'" },
    { args: ["a.json"], says: "missing required argument 'after'" },
    { args: ["a.json", "b.json", "a.json"], says: "too many arguments" },
    { args: ["a.json", "gone.json"], says: "there is no " },
    { args: ["broken.json", "a.json"], says: "is not JSON" },
    { args: ["a.json", "other.json"], says: "holds no results: schema" },
    { args: ["--what", "a.json", "b.json"], says: "unknown option '--what'" },
  ])("tells what is wrong with $args, on one line", async ({ args, says }) => {
    const { exitCode, out, err } = await compare(...args.map((arg) => (arg.endsWith(".json") ? file(arg) : arg)));
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain(says);
    expect(err.trim().split("\n")).toHaveLength(1);
  });
});
