/** The README's command lines run in the order they stand in, and say what it says. */
import { execFile, spawn } from "node:child_process";
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

/** @returns the arguments of a line of the README */
function argumentsOf(line: string, id = ""): string[] {
  const [npx, warren, ...args] = line.replace(/ +#.*/, "").replace("ID", id).split(" ");
  expect([npx, warren]).toEqual(["npx", "warren"]);
  return args;
}

/** Run the program. @returns what goes to standard output */
async function program(args: readonly string[], input = ""): Promise<string> {
  const running = promisify(execFile)(process.execPath, [MAIN, ...args], { cwd: folder });
  running.child.stdin?.end(input);
  return (await running).stdout;
}
const run = (line: string, id = ""): Promise<string> => program(argumentsOf(line, id));

test("in the section on the command line", { timeout: 60_000 }, async () => {
  const commands = blocks.filter(({ language }) => language === "sh").map(({ text }) => text.trimEnd().split("\n"));
  const [turns = "", results = "", history = ""] = blocks.filter(({ language }) => language === "").map(({ text }) => text);
  const [[plain = ""] = [], [durable = ""] = [], sessions = []] = commands; // the server's have a test of their own
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

test("the commands around a server, on a port of the test's", { timeout: 120_000 }, async () => {
  const [, , , served = ""] = blocks.filter(({ language }) => language === "sh").map(({ text }) => text.trimEnd());
  const [serve = "", chat = "", ...rest] = served.split("\n");
  const child = spawn(process.execPath, [MAIN, ...argumentsOf(serve), "--port", "0", "--json"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    const line = await new Promise<string>((resolve) => child.stdout.setEncoding("utf8").once("data", resolve));
    const { url } = JSON.parse(line) as { url: string };
    const here = (text: string, ...more: string[]): string[] => [
      ...argumentsOf(text).map((arg) => arg.replace("http://127.0.0.1:8787", url)),
      ...more,
    ];
    expect(await program(here(chat), "6 * 7\n")).toBe("42\n");
    expect(rest.map((text) => argumentsOf(text)[0])).toEqual(["sessions", "top", "bench", "doctor"]);
    const [list = "", top = "", bench = "", doctor = ""] = rest;
    expect(await program(here(list))).toMatch(/│ 2 +│/);
    expect(await program(here(top, "--once"))).toContain(url);
    expect(await program(here(bench, "--seconds", "1", "--in-flight", "2"))).toMatch(/turns\/s/);
    expect(await program(here(doctor, "--port", "0"))).toMatch(/^warn +store .* has it open$/m);
  } finally {
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  }
});
