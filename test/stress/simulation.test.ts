/**
 * The deterministic simulation (docs/testing.md): a fixed part of what `npm run simulate` does at random, and what it must be able to.
 * The simulation itself is built JavaScript: it replaces the globals of its process.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

import { MUTANTS } from "../simulation/mutants.ts";

const main = fileURLToPath(new URL("../../dist/test/simulation/main.js", import.meta.url));
const run = promisify(execFile);

/** @returns what a run says, and its exit code */
async function simulate(...args: string[]): Promise<{ code: number; said: string }> {
  try {
    const { stdout } = await run(process.execPath, [main, ...args], { maxBuffer: 2 ** 28 });
    return { code: 0, said: stdout };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { code, said: stdout };
  }
}

test("four hundred seeds hold every invariant", async () => {
  const { code, said } = await simulate("--from", "1", "--seeds", "400", "--children", "2");
  expect(said).toContain("400 seeds, ");
  expect([code, code === 0 ? "" : said.slice(-4000)]).toEqual([0, ""]);
});

test("S1: a seed's trace is the same in every process", async () => {
  for (const seed of [3, 1854, 5152]) {
    const [first, second] = await Promise.all([1, 2].map(() => simulate("--verbose", "--seed", String(seed))));
    expect(first?.said.split("\n").length).toBeGreaterThan(20);
    expect(second).toEqual(first);
  }
});

describe("the simulation can fail", () => {
  test.each(MUTANTS.map(({ name }) => name))("%s", async (name) => {
    const { code, said } = await simulate("--mutant", name, "--from", "2500", "--seeds", "4000");
    expect([code, said.split("\n").at(-2)]).toEqual([1, expect.stringMatching(/^seed \d+: /)]);
  });
});
