/** The README's command lines run in the order they stand in, and say what it says. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const MAIN = fileURLToPath(new URL("dist/src/cli/main.js", root));

let folder: string;
/** The section's code: of which language, and what it says. */
let blocks: { language: string; text: string }[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "warren-readme-"));
  const readme = await readFile(new URL("README.md", root), "utf8");
  const section = /\n## The command line\n(.*?)\n## /s.exec(readme)?.[1] ?? "";
  blocks = [...section.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = "", text = ""]) => ({ language, text }));
});
afterAll(() => rm(folder, { recursive: true }));

/** Run a line of the README. @returns what goes to standard output */
async function run(line: string, id = ""): Promise<string> {
  const [npx, warren, ...args] = line.replace(/ +#.*/, "").replace("ID", id).split(" ");
  expect([npx, warren]).toEqual(["npx", "warren"]);
  return (await promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: folder })).stdout;
}

test("in the section on the command line", { timeout: 60_000 }, async () => {
  const commands = blocks.filter(({ language }) => language === "sh").map(({ text }) => text.trimEnd().split("\n"));
  const [turns = "", results = "", history = ""] = blocks.filter(({ language }) => language === "").map(({ text }) => text);
  const [[plain = ""] = [], [durable = ""] = [], sessions = []] = commands;
  await writeFile(join(folder, "turns.jsonl"), turns);
  const untimed = (text: string): string => text.replaceAll(/"durationMs":[\d.]+/g, '"durationMs":0');
  expect(untimed(await run(plain))).toBe(untimed(results));
  for (let times = 0; times < 2; times++) expect(await run(durable)).toBe("");
  const stored = (await readFile(join(folder, "results.jsonl"), "utf8")).replaceAll(/"id":"[^"]+",/g, "");
  expect(untimed(stored)).toBe(untimed(results));

  expect(sessions).toHaveLength(6);
  const [list = "", show = "", ...rest] = sessions;
  const [id] = /[\da-f-]{36}/.exec(await run(list)) ?? [];
  expect((await run(show, id)).trimEnd()).toBe(history.trimEnd());
  const said: string[] = [];
  for (const line of rest) said.push(await run(line, id));
  expect(said).toEqual(["", "", `archived ${id}\n`, `purged ${id}\n`]);
});
