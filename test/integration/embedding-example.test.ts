/** The README's example is the one in examples/embedding, and it runs. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), "utf8");

test.each(["agent.mjs", "host.mjs"])("the README shows examples/embedding/%s to the letter", async (name) => {
  const readme = await read("README.md");
  expect(readme).toContain((await read(`examples/embedding/${name}`)).trim());
});

test("the embedding example runs and says what the README says", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL("examples/embedding/host.mjs", root))]);
  expect(stdout.trim()).toBe(["HELLO", "2 { type: 'text_delta', delta: 'thinking about turn 2' }", "ONCE MORE"].join("\n"));
  expect(await read("README.md")).toContain(stdout.trim());
});
