import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { readResults, writeResults } from "../../bench/harness/results.ts";
import { interference, loneTurn, noopTurns, run } from "./support/bench-results.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "warren-bench-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(text: string): Promise<string> {
  const path = join(folder, "run.json");
  await writeFile(path, text);
  return path;
}

test("what is written is read back, to six digits", async () => {
  const path = join(folder, "whole.json");
  const results = run([noopTurns(), loneTurn(), interference()]);
  await writeResults(path, results);
  const back = await readResults(path);
  expect(back).toEqual(
    JSON.parse(JSON.stringify(results, (_, value) => (typeof value === "number" ? Number(value.toPrecision(6)) : value))),
  );
  await writeResults(path, back);
  expect(await readResults(path)).toEqual(back);
});

test("the rounds of a contender are on one line", async () => {
  const path = join(folder, "lines.json");
  await writeResults(path, run([loneTurn()]));
  expect(await readFile(path, "utf8")).toContain('"p50Us": [60, 61.2, 58.8]');
});

test("a file that is not there is named", async () => {
  await expect(readResults(join(folder, "gone.json"))).rejects.toThrow(`there is no ${join(folder, "gone.json")}`);
});

test("a folder cannot be read", async () => {
  await expect(readResults(folder)).rejects.toThrow(`${folder} cannot be read`);
});

test("a file that is not JSON is named", async () => {
  const path = await fileOf('{"schema": 1,\n');
  await expect(readResults(path)).rejects.toThrow(`${path} is not JSON`);
});

test.each([
  { text: "{}", says: "schema" },
  { text: "null", says: "the whole" },
  { text: JSON.stringify({ ...run([]), schema: 2 }), says: "schema" },
  { text: JSON.stringify({ ...run([]), rounds: 0 }), says: "rounds" },
  {
    text: JSON.stringify(run([{ ...loneTurn(), metrics: { p50Us: { unit: "µs", better: "faster" as "lower" } } }])),
    says: "metrics.p50Us.better",
  },
])("a file that holds something else is told where: $says", async ({ text, says }) => {
  const path = await fileOf(text);
  await expect(readResults(path)).rejects.toThrow(`${path} holds no results`);
  await expect(readResults(path)).rejects.toThrow(says);
});
