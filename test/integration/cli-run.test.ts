/** The `warren` command: the built program, in a process of its own where signals, pipes and exit codes are what it is about. */
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { afterAll, afterEach, describe, expect, test } from "vitest";

import * as inProcess from "../helpers/warren.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const KINDS = fileURLToPath(new URL("../fixtures/cli/turn-kinds.mjs", import.meta.url));
const NOT_AN_AGENT = fileURLToPath(new URL("../fixtures/cli/not-an-agent.mjs", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "warren-cli-"));
const children = new Set<ChildProcessWithoutNullStreams>();
inProcess.workIn(folder);
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  for (const child of children) child.kill("SIGKILL"); // only what a failed test left behind
});

type Result = Record<string, unknown>;
interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
  results: Result[];
}
interface Running {
  child: ChildProcessWithoutNullStreams;
  /** Resolves when the stream has said what matches. */
  said: (stream: "stdout" | "stderr", pattern: RegExp) => Promise<void>;
  ended: Promise<Outcome>;
}

function start(...args: string[]): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder });
  children.add(child);
  const text = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].setEncoding("utf8").on("data", (piece: string) => (text[stream] += piece));
  child.stdin.on("error", () => {}); // a program that stops reading is what some tests are about
  const ended = new Promise<Outcome>((resolve) => {
    child.on("close", (code, signal) => {
      children.delete(child);
      resolve({ code, signal, out: text.stdout, err: text.stderr, results: parsed(text.stdout) });
    });
  });
  const said = async (stream: "stdout" | "stderr", pattern: RegExp): Promise<void> => {
    while (!pattern.test(text[stream])) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended without saying ${pattern}: ${text.stderr}`);
      await sleep(5);
    }
  };
  return { child, said, ended };
}

const parsed = (out: string): Result[] => out.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Result] : []));
const jsonLines = (lines: readonly unknown[]): string =>
  lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");

/** Run to the end with the lines on standard input. */
async function runWith(lines: readonly unknown[], ...args: string[]): Promise<inProcess.Outcome & { results: Result[] }> {
  const outcome = await inProcess.warren(["run", "-", "--lanes", "2", ...args], jsonLines(lines));
  return { ...outcome, results: parsed(outcome.out) };
}
const run = (...args: string[]): Promise<inProcess.Outcome> => inProcess.warren(args);
const touch = (name: string): void => writeFileSync(join(folder, name), "");
const byLine = (results: Result[]): Result[] => results.toSorted((a, b) => Number(a["line"]) - Number(b["line"]));

describe("turns", () => {
  test("of many sessions, from a file: every one has its result, in order within its session; table on stderr, exit code 0", async () => {
    const lines = Array.from({ length: 60 }, (_, n) => ({ session: `s${n % 6}`, prompt: `turn ${n} ä😀` }));
    writeFileSync(join(folder, "turns.jsonl"), jsonLines(lines));
    const { code, results, err } = await start("run", "turns.jsonl", "--agent", "echo", "--lanes", "2").ended;
    expect(code).toBe(0);
    expect(byLine(results)).toEqual(
      lines.map(({ session, prompt }, n) => ({
        session,
        turn: Math.floor(n / 6) + 1,
        line: n + 1,
        ok: true,
        text: prompt,
        usage: { inputTokens: 0, outputTokens: 0 },
        durationMs: expect.any(Number),
      })),
    );
    for (let s = 0; s < 6; s++) {
      const mine = results.filter(({ session }) => session === `s${s}`).map(({ line }) => line as number);
      expect(mine).toEqual(mine.toSorted((a, b) => a - b));
    }
    expect(err).toMatch(/│ 60 +│ 6 +│/);
    expect(err).toMatch(/│ lane │ turns │ failed │ utilization │/);
  });

  test("a session keeps its state and its labels; different sessions run at the same time", async () => {
    const { child, said, ended } = start("run", "-", "--agent", KINDS, "--lanes", "1");
    child.stdin.end(
      jsonLines([
        { session: "slow", prompt: "until fast-is-through", labels: { team: "x" } },
        { session: "slow", prompt: "labels" },
        { session: "fast", prompt: "labels" },
      ]),
    );
    await said("stdout", /"session":"fast","turn":1/);
    touch("fast-is-through");
    const { code, results } = await ended;
    expect(code).toBe(0);
    expect(results.map(({ session, turn, text }) => [session, turn, text])).toEqual([
      ["fast", 1, "{}"],
      ["slow", 1, "until fast-is-through"],
      ["slow", 2, '{"team":"x"}'],
    ]);
  });

  test("onBusy: a line that says what to do does not wait for the one before it, the next one waits for both", async () => {
    const { code, results } = await runWith(
      [
        { session: "a", prompt: "wait", expect: { error: "AGENT_ERROR" } },
        { session: "a", prompt: "next", onBusy: "interrupt" },
        { session: "a", prompt: "last" },
      ],
      "--agent",
      KINDS,
    );
    expect(code).toBe(0);
    expect(results.map(({ line, turn, ok }) => [line, turn, ok])).toEqual([
      [1, 1, true],
      [2, 2, true],
      [3, 3, true],
    ]);
  });

  test("expectations: met, unmet, an expected error, an error that did not come; timeouts of a line and of the command", async () => {
    const { code, results, err } = await runWith(
      [
        { session: "a", prompt: "x", expect: { text: "x" } },
        { session: "b", prompt: "x", expect: { text: "y" } },
        { session: "c", prompt: "throw", expect: { error: "AGENT_ERROR" } },
        { session: "d", prompt: "x", expect: { error: "AGENT_ERROR" } },
        { session: "e", prompt: "throw", expect: { error: "SESSION_BUSY" } },
        { session: "f", prompt: "throw" },
        { session: "g", prompt: "wait", timeoutMs: 50, expect: { error: "AGENT_ERROR" } },
        { session: "h", prompt: "wait", expect: { error: "AGENT_ERROR" } },
      ],
      "--agent",
      KINDS,
      "--timeout-ms",
      "200",
    );
    expect(code).toBe(1);
    const shown = byLine(results).map(({ session, ok, text, error, expected }) => ({
      session,
      ok,
      cameOut: text ?? (error as { code: string }).code,
      expected,
    }));
    expect(shown).toEqual([
      { session: "a", ok: true, cameOut: "x" },
      { session: "b", ok: false, cameOut: "x", expected: { text: "y" } },
      { session: "c", ok: true, cameOut: "AGENT_ERROR" },
      { session: "d", ok: false, cameOut: "x", expected: { error: "AGENT_ERROR" } },
      { session: "e", ok: false, cameOut: "AGENT_ERROR", expected: { error: "SESSION_BUSY" } },
      { session: "f", ok: false, cameOut: "AGENT_ERROR" },
      { session: "g", ok: true, cameOut: "AGENT_ERROR" },
      { session: "h", ok: true, cameOut: "AGENT_ERROR" },
    ]);
    expect(err).toContain('expected {"text":"y"}, got "x"');
  });

  test("bad lines are reported by number, and the rest runs; BOM, CRLF and blank lines are fine", async () => {
    const lines = [
      '\u{feff}{"session":"a","prompt":"1"}\r',
      "\r",
      "{nonsense",
      '{"session":"a","promt":"2"}',
      `{"session":"a","prompt":"${"x".repeat(9 * 1024 * 1024)}"}`,
      '{"session":"a","prompt":"3","labels":{"new":"label"}}',
    ];
    const { child, ended } = start("run", "-", "--agent", "echo");
    child.stdin.write(jsonLines(lines));
    child.stdin.write(Buffer.from([0x22, 0xff, 0x22, 0x0a]));
    child.stdin.end('{"session":"a","prompt":"4"}'); // no line end
    const { code, results, err } = await ended;
    const message = (text: RegExp) => ({ ok: false, error: { code: "INVALID_PARAMS", message: expect.stringMatching(text) } });
    expect(code).toBe(1);
    expect(byLine(results)).toEqual([
      expect.objectContaining({ line: 1, turn: 1, ok: true, text: "1" }),
      { line: 3, ...message(/^line 3: is not JSON/) },
      { line: 4, ...message(/^line 4: prompt: must be a string$/) },
      { line: 5, ...message(/^line 5: is longer than 8388608 bytes$/) },
      { line: 6, ...message(/^line 6: labels: /) },
      { line: 7, ...message(/^line 7: is not valid UTF-8$/) },
      expect.objectContaining({ line: 8, turn: 2, ok: true, text: "4" }),
    ]);
    expect(err).toMatch(/│ 7 +│ +│ is not valid UTF-8 +│/);
  });

  test("a prompt as long as a line may be comes through", async () => {
    const prompt = "z".repeat(8 * 1024 * 1024 - 100);
    const { code, results } = await runWith([{ session: "a", prompt }], "--agent", "echo");
    expect([code, results.map(({ text }) => text === prompt)]).toEqual([0, [true]]);
  });

  test("--events: a turn's events stand ahead of its result", async () => {
    const lines = Array.from({ length: 12 }, (_, n) => ({ session: `s${n % 3}`, prompt: "x" }));
    const { code, results } = await runWith(lines, "--agent", KINDS, "--events");
    expect(code).toBe(0);
    for (let s = 0; s < 3; s++) {
      const mine = results.filter(({ session }) => session === `s${s}`);
      const kind = (record: Result): string =>
        "event" in record ? (record["event"] as { payload: { delta: string } }).payload.delta : "result";
      expect(mine.map((record) => [record["turn"], kind(record)])).toEqual(
        [1, 2, 3, 4].flatMap((turn) => [
          [turn, "turn "],
          [turn, String(turn)],
          [turn, "result"],
        ]),
      );
    }
  });

  test("--output: results go to the file, nothing to stdout; --quiet: nothing to stderr", async () => {
    const { code, out, err } = await runWith([{ session: "a", prompt: "x" }], "--agent", "echo", "--output", "out.jsonl", "--quiet");
    expect({ code, out, err }).toEqual({ code: 0, out: "", err: "" });
    expect(JSON.parse(readFileSync(join(folder, "out.jsonl"), "utf8"))).toMatchObject({ session: "a", ok: true, text: "x" });
  });

  test("--json: the summary is one line of JSON on stderr", async () => {
    const lines = [{ session: "a", prompt: "x" }, { session: "a", prompt: "throw" }, "rubbish"];
    const { code, err } = await runWith(lines, "--agent", KINDS, "--json");
    expect([code, JSON.parse(err)]).toMatchObject([
      1,
      { turns: 2, notRun: 0, sessions: 1, failed: 1, badLines: 1, p50Ms: expect.any(Number) },
    ]);
  });

  test("--max-sessions: a line that needs one more fails, the rest runs", async () => {
    const { code, results } = await runWith(
      ["a", "b", "c", "a"].map((session) => ({ session, prompt: "x" })),
      "--agent",
      "echo",
      "--max-sessions",
      "2",
    );
    expect(code).toBe(1);
    expect(byLine(results).map(({ ok, error }) => (ok ? "ok" : (error as { message: string }).message))).toEqual([
      "ok",
      "ok",
      expect.stringMatching(/Max sessions reached \(\d\/2\)/),
      "ok",
    ]);
  });

  test("no turns at all are a success", async () => {
    expect(await runWith([], "--agent", "echo", "--quiet")).toEqual({ code: 0, out: "", err: "", results: [] });
  });
});

describe("called wrongly: a message, exit code 2, nothing on stdout", () => {
  test.each([
    ["no command", [], /Usage: warren/],
    ["a bad option", ["run", "-", "--lanes", "none"], /--lanes/],
    ["a missing file", ["run", "missing.jsonl"], /^error: cannot read missing\.jsonl: ENOENT/],
    ["a folder", ["run", "."], /^error: cannot read \.: it is a directory/],
    [
      "an agent that is not there",
      ["run", "-", "--agent", "./missing.mjs"],
      /^error: option '--agent <agent>': \.\/missing\.mjs does not load from file:.*Cannot find module/,
    ],
    [
      "a package that is not there",
      ["run", "-", "--agent", "no-such-agent"],
      /^error: option '--agent <agent>': no-such-agent does not load.*Cannot find package/,
    ],
    ["a module that is no agent", ["run", "-", "--agent", NOT_AN_AGENT], /does not load from file:.*defineAgent/],
    [
      "an output that cannot be written",
      ["run", "-", "--agent", "echo", "--output", "missing/out"],
      /^error: option '--output <file>': cannot write missing\/out: ENOENT/,
    ],
  ] as const)("%s", async (_, args, message) => {
    const { code, out, err } = await run(...args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
  });

  test("the process's exit code is the command's", async () => {
    expect(await start("run", "missing.jsonl").ended).toMatchObject({
      code: 2,
      signal: null,
      out: "",
      err: expect.stringMatching(/^error: /),
    });
  });

  test("an output that is the input leaves it as it was", async () => {
    const text = jsonLines([{ session: "a", prompt: "x" }]);
    writeFileSync(join(folder, "same.jsonl"), text);
    const { code, err } = await run("run", "same.jsonl", "--agent", "echo", "--output", "./same.jsonl");
    expect([code, err]).toEqual([2, expect.stringContaining("it is the input")]);
    expect(readFileSync(join(folder, "same.jsonl"), "utf8")).toBe(text);
  });
});

describe("signals", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("one %s: reading ends, running turns finish, queued ones do not start; exit code %i", async (signal, exitCode) => {
    const { child, said, ended } = start("run", "-", "--agent", KINDS, "--events", "--lanes", "1");
    const turns = [
      { session: "a", prompt: "first" },
      { session: "b", prompt: `until ${signal}-was-heard` },
      { session: "b", prompt: "never run" },
    ];
    child.stdin.write(jsonLines(turns)); // and stays open
    await said("stdout", /"session":"b","turn":1/);
    child.kill(signal);
    await said("stderr", /stopping: waiting for turns that run \(1\)/);
    touch(`${signal}-was-heard`);
    const { code, signal: killed, results, err } = await ended;
    expect({ code, killed }).toEqual({ code: exitCode, killed: null });
    const finished = byLine(results.filter(({ line }) => line !== undefined));
    expect(finished).toMatchObject([
      { line: 1, ok: true },
      { line: 2, ok: true, text: `until ${signal}-was-heard` },
    ]);
    expect(err).toContain("cut short: 0 turns interrupted, 1 read and not run");
  });

  test("two SIGINTs: running turns are interrupted, which is no success whatever they expect", async () => {
    const { child, said, ended } = start("run", "-", "--agent", KINDS, "--events");
    child.stdin.write(
      jsonLines([
        { session: "a", prompt: "wait", expect: { error: "AGENT_ERROR" } },
        { session: "b", prompt: "wait" },
      ]),
    );
    await said("stdout", /"session":"a","turn":1/);
    await said("stdout", /"session":"b","turn":1/);
    child.kill("SIGINT");
    await said("stderr", /stopping: waiting for turns that run \(2\)/);
    await sleep(200); // any sooner, it would be taken for an echo of the first
    child.kill("SIGINT");
    const { code, signal, results, err } = await ended;
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    expect(byLine(results.filter(({ line }) => line !== undefined))).toMatchObject([
      { line: 1, ok: false, error: { code: "AGENT_ERROR" }, expected: { error: "AGENT_ERROR" } },
      { line: 2, ok: false, error: { code: "AGENT_ERROR" } },
    ]);
    expect(err).toContain("cut short: 2 turns interrupted, 0 read and not run");
  });

  test("SIGTERM: what still runs after --drain-ms is interrupted as by a second signal", async () => {
    const { child, said, ended } = start("run", "-", "--agent", KINDS, "--events", "--drain-ms", "150");
    child.stdin.write(jsonLines([{ session: "a", prompt: "wait" }]));
    await said("stdout", /"session":"a","turn":1/);
    child.kill("SIGTERM");
    const { code, signal, results, err } = await ended;
    expect({ code, signal }).toEqual({ code: 143, signal: null });
    expect(results.filter(({ line }) => line !== undefined)).toMatchObject([{ line: 1, ok: false, error: { code: "AGENT_ERROR" } }]);
    expect(err).toContain("cut short: 1 turns interrupted, 0 read and not run");
  });

  test("a signal when all is read and no turn is cut short changes nothing", async () => {
    const { child, said, ended } = start("run", "-", "--agent", KINDS, "--events");
    child.stdin.end(jsonLines([{ session: "a", prompt: "until late-signal" }]));
    await said("stdout", /"session":"a","turn":1/);
    await sleep(100); // for the end of the input to be seen
    child.kill("SIGINT");
    await said("stderr", /stopping: /);
    touch("late-signal");
    expect(await ended).toMatchObject({ code: 0, signal: null });
  });
});

describe("input and output that fail", () => {
  test("a reader that leaves (| head) ends the run quietly", async () => {
    const { child, said, ended } = start("run", "-", "--agent", "echo");
    child.stdin.write(jsonLines([{ session: "a", prompt: "x" }]));
    await said("stdout", /\n/);
    child.stdout.destroy();
    const feeding = setInterval(() => child.stdin.write(jsonLines([{ session: "a", prompt: "x" }])), 10); // endless input
    const { code, signal, err } = await ended;
    clearInterval(feeding);
    expect({ code, signal, err }).toEqual({ code: 1, signal: null, err: "" });
  });

  test.runIf(process.platform === "linux")("an input that opens and cannot be read: the reason is told, exit code 1", async () => {
    const { code, out, err } = await run("run", "/proc/self/mem", "--agent", "echo", "--quiet");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^error: cannot read \/proc\/self\/mem: EIO/);
  });

  test.runIf(process.platform === "linux")("an output that is full: the reason is told, exit code 1", async () => {
    const lines = Array.from({ length: 50 }, (_, n) => ({ session: `s${n}`, prompt: "x" }));
    const { code, err, out } = await runWith(lines, "--agent", "echo", "--output", "/dev/full", "--quiet");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^error: cannot write \/dev\/full: ENOSPC/);
  });
});
