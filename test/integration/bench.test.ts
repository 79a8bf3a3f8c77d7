/** The benchmark runs and tells the truth about its target; how fast it is, no test says. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

const bench = fileURLToPath(new URL("../../bench/noop-turns.mjs", import.meta.url));
const tiny = ["--lanes", "1", "--sessions", "64", "--in-flight", "32", "--rounds", "1", "--turns", "2000"];

test("a target that is reached is met, one that cannot be is missed", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [bench, ...tiny, "--target", "1"]);
  expect(stdout).toMatch(/no-op turns: median [\d,]+\/s .* target 1\/s: met/);
  const missed = await promisify(execFile)(process.execPath, [bench, ...tiny, "--target", "1000000000"]).catch((error: unknown) => error);
  expect(missed).toMatchObject({ code: 1, stdout: expect.stringMatching(/: missed/) as string });
});
