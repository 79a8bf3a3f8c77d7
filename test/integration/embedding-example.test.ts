/** The README's examples are those in examples, and they run. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), "utf8");

test.each(["embedding/agent.mjs", "embedding/host.mjs", "durable/host.mjs"])("the README shows examples/%s to the letter", async (name) => {
  const readme = await read("README.md");
  expect(readme).toContain((await read(`examples/${name}`)).trim());
});

test("the embedding example runs and says what the README says", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL("examples/embedding/host.mjs", root))]);
  expect(stdout.trim()).toBe(["HELLO", "2 { type: 'text_delta', delta: 'thinking about turn 2' }", "ONCE MORE"].join("\n"));
  expect(await read("README.md")).toContain(stdout.trim());
});

test("the durable example finds its session again, as the README says", async () => {
  const cwd = await mkdtemp(join(tmpdir(), "warren-durable-"));
  try {
    const run = (): Promise<{ stdout: string }> =>
      promisify(execFile)(process.execPath, [fileURLToPath(new URL("examples/durable/host.mjs", root))], { cwd });
    const said = `${(await run()).stdout}${(await run()).stdout}`;
    expect(said).toBe("HELLO AGAIN 2\nHELLO AGAIN 4\n");
    expect(await read("README.md")).toContain(said);
  } finally {
    await rm(cwd, { recursive: true });
  }
});
