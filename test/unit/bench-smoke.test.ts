import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { Case } from "../../bench/harness/case.ts";
import type { CaseResult } from "../../bench/harness/results.ts";
import type { RunOptions } from "../../bench/harness/run-case.ts";
import { readBaseline } from "../../bench/smoke/baseline.ts";
import { runSmoke } from "../../bench/smoke/run-smoke.ts";
import { smokeVerdicts } from "../../bench/smoke/verdicts.ts";
import { loneTurn, noopTurns, run } from "./support/bench-results.ts";

function caseOf(name: string, warrens: string[], smoke?: string[]): Case {
  const open = (): never => {
    throw new Error("not here");
  };
  return {
    name,
    title: name,
    metrics: {},
    scenarios: [{ name: "one", parameters: {} }],
    contenders: [
      { name: "a peer", kind: "peer", open },
      ...warrens.map((warren) => ({ name: warren, kind: "warren" as const, open })),
      { name: "bare", kind: "limit", open },
    ],
    yardstick: "bare",
    ...(smoke && { smoke }),
  };
}

const emptyResult = ({ name }: Case): CaseResult => ({ ...loneTurn(), name });

describe("a smoke run", () => {
  test("runs the scenarios a case names with one contender of Warren's and the yardstick", async () => {
    const asked: [string, RunOptions, string[]][] = [];
    const { cases, leftOut, failed } = await runSmoke(
      [
        caseOf("balanced", ["warren low", "warren balanced"], ["one"]),
        caseOf("own", ["warren deferred", "warren"], ["one"]),
        caseOf("not for smoke", ["warren"]),
        caseOf("nothing for smoke", ["warren"], []),
      ],
      {
        deadline: new AbortController().signal,
        run: async (wanted, options) => {
          const names = wanted.contenders.filter((contender) => options.contenders?.(contender)).map(({ name }) => name);
          asked.push([wanted.name, options, names]);
          return emptyResult(wanted);
        },
      },
    );
    expect(asked.map(([name, { rounds, scenarios }, names]) => ({ name, rounds, scenarios, names }))).toEqual([
      { name: "balanced", rounds: 3, scenarios: ["one"], names: ["warren balanced", "bare"] },
      { name: "own", rounds: 3, scenarios: ["one"], names: ["warren deferred", "bare"] },
    ]);
    expect({ cases: cases.map(({ name }) => name), leftOut, failed }).toEqual({ cases: ["balanced", "own"], leftOut: [], failed: {} });
  });

  test("names the case that the deadline cut off, and those after it", async () => {
    const deadline = new AbortController();
    const { cases, leftOut, failed } = await runSmoke(
      ["first", "cut", "after"].map((name) => caseOf(name, ["warren"], ["one"])),
      {
        deadline: deadline.signal,
        run: async (wanted) => {
          if (wanted.name === "first") return emptyResult(wanted);
          deadline.abort();
          throw new Error("killed");
        },
      },
    );
    expect({ cases: cases.map(({ name }) => name), leftOut, failed }).toEqual({ cases: ["first"], leftOut: ["cut", "after"], failed: {} });
  });

  test("goes on after a case that fails", async () => {
    const { cases, failed } = await runSmoke(
      ["broken", "next"].map((name) => caseOf(name, ["warren"], ["one"])),
      {
        deadline: new AbortController().signal,
        run: async (wanted) => {
          if (wanted.name === "broken") throw new Error("it died");
          return emptyResult(wanted);
        },
      },
    );
    expect({ cases: cases.map(({ name }) => name), failed }).toEqual({ cases: ["next"], failed: { broken: "it died" } });
  });
});

describe("beside the committed results", () => {
  test("a ratio that has fallen off by more than a quarter is a warning", () => {
    const { lines, warnings } = smokeVerdicts(run([noopTurns(), loneTurn()]), run([noopTurns(0.7), loneTurn(1.2)], { mode: "smoke" }));
    expect(lines).toHaveLength(5);
    expect(warnings).toContain("noop-turns, 4,096 in flight, 10,000 sessions, warren balanced: perSecond is 30 % worse than at 0123456789");
    expect(warnings.filter((warning) => warning.startsWith("lone-turn"))).toEqual([]);
  });

  test("figures without a yardstick are not compared: they are the machine's", () => {
    const bare = (scale: number): CaseResult => ({ ...loneTurn(scale), yardstick: "nobody" });
    expect(smokeVerdicts(run([bare(1)]), run([bare(9)]))).toEqual({ lines: [], warnings: [] });
  });
});

describe("the committed results", () => {
  const { machine } = run([]);
  let folder: string;
  let path: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "warren-smoke-"));
    path = join(folder, "latest.json");
    await writeFile(path, JSON.stringify(run([loneTurn()])));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("are taken on the same Node major and as many cores", async () => {
    expect(await readBaseline(path, { ...machine, node: "v20.99.1", cpu: "another" })).toHaveProperty("results.commit", "0123456789");
  });

  test.each([
    { here: { ...machine, node: "v22.1.0" }, without: "the committed results are of Node v20.20.0, this is v22.1.0" },
    { here: { ...machine, cores: 8 }, without: "the committed results are of 2 cores, here are 8" },
  ])("are not taken elsewhere: $without", async ({ here, without }) => {
    expect(await readBaseline(path, here)).toEqual({ without });
  });

  test("may be missing or broken", async () => {
    const gone = join(folder, "gone.json");
    expect(await readBaseline(gone, machine)).toEqual({ without: `there is no ${gone}` });
    await writeFile(join(folder, "broken.json"), "[]");
    expect(await readBaseline(join(folder, "broken.json"), machine)).toHaveProperty("without");
  });
});
