/** The benchmark runs and writes what it measured; it is not timed here. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterEach, beforeEach, expect, test } from "vitest";

import { readResults } from "../../bench/harness/results.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../dist/bench/main.js", import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "warren-bench-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a scenario is measured, printed and written", async () => {
  const output = join(folder, "results.json");
  const scenario = "64 in flight, 100 sessions";
  const options = ["--scenario", scenario, "--only", "warren", "--rounds", "2", "--output", output];
  const { stdout } = await run(process.execPath, [MAIN, "noop-turns", ...options]);
  expect(stdout).toContain("warren balanced");
  const [result] = (await readResults(output)).cases;
  expect(result?.scenarios.map((measured) => measured.scenario)).toEqual([scenario]);
  expect(result?.targets).toEqual([]); // not with a part of the contenders
  for (const { figures } of result?.scenarios[0]?.contenders ?? []) {
    expect(figures["perSecond"]).toHaveLength(2);
    expect(Math.min(...(figures["perSecond"] ?? []))).toBeGreaterThan(0);
  }
});

test.each([
  [["nonsense"], "no case is named nonsense"],
  [["noop-turns", "--scenario", "nonsense"], 'no scenario is named "nonsense"'],
  [["noop-turns", "--only", "nonsense"], 'no contender\'s name contains "nonsense"'],
  [["noop-turns", "--output", "/nonsense/results.json"], "cannot write /nonsense/results.json"],
  [["--rounds", "0"], "must be a whole number of 1 or more"],
])("bench %j is refused in one line", async (args, problem) => {
  const refused = await run(process.execPath, [MAIN, ...args]).then(
    () => undefined,
    (error: { code: number; stderr: string; stdout: string }) => error,
  );
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused?.stderr).toContain(problem);
});
