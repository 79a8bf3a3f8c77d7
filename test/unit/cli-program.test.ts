import { PassThrough } from "node:stream";

import { describe, expect, test } from "vitest";

import type { CommandIo } from "../../src/cli/command-io.ts";
import { UsageError } from "../../src/cli/command-io.ts";
import type { RunCommand } from "../../src/cli/run-program.ts";
import { runProgram } from "../../src/cli/program.ts";

interface Outcome {
  exitCode: number;
  out: string;
  err: string;
  runs: { file: string; options: object }[];
}

async function program(args: string[], run: RunCommand = async () => 0): Promise<Outcome> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const io = { stdin, stdout, stderr, signals: process, env: {} } satisfies CommandIo;
  const runs: Outcome["runs"] = [];
  const exitCode = await runProgram(args, io, (file, options, given) => {
    runs.push({ file, options });
    return run(file, options, given);
  });
  return { exitCode, out: String(io.stdout.read() ?? ""), err: String(io.stderr.read() ?? ""), runs };
}

const DEFAULTS = { agent: "interpreter", lanes: "auto", events: false, durability: "fsync", drainMs: 30_000, quiet: false, json: false };

describe("program", () => {
  test("options have defaults and reach the command", async () => {
    expect((await program(["run", "-"])).runs).toEqual([{ file: "-", options: DEFAULTS }]);
    const all =
      "run turns.jsonl --agent ./a.mjs --lanes 3 --max-sessions 7 --timeout-ms 250 --events --output out.jsonl --store st --durability commit --drain-ms 1500 --quiet --json";
    expect((await program(all.split(" "))).runs).toEqual([
      {
        file: "turns.jsonl",
        options: {
          agent: "./a.mjs",
          lanes: 3,
          maxSessions: 7,
          timeoutMs: 250,
          events: true,
          output: "out.jsonl",
          store: "st",
          durability: "commit",
          drainMs: 1500,
          quiet: true,
          json: true,
        },
      },
    ]);
    expect((await program(["run", "--lanes", "auto", "x"])).runs).toEqual([{ file: "x", options: DEFAULTS }]);
  });

  test("the command's exit code is the program's", async () => {
    expect((await program(["run", "x"], async () => 130)).exitCode).toBe(130);
  });

  test.each([
    ["run x --lanes 0", "--lanes"],
    ["run x --lanes 513", "--lanes"],
    ["run x --lanes two", "--lanes"],
    ["run x --lanes -1", "--lanes"],
    ["run x --lanes", "--lanes"],
    ["run x --max-sessions 1e3", "--max-sessions"],
    ["run x --max-sessions 16777217", "--max-sessions"],
    ["run x --timeout-ms 0.5", "--timeout-ms"],
    ["run x --timeout-ms 2147483648", "--timeout-ms"],
    ["run x --durability none", "--durability"],
    ["run x --durability commit", "--store"],
    ["run x --turbo", "--turbo"],
    ["run", "file"],
    ["run x y", "too many arguments"],
    ["walk x", "walk"],
  ])("%s: says what is wrong, exit code 2, runs nothing", async (line, named) => {
    const { exitCode, out, err, runs } = await program(line.split(" "));
    expect({ exitCode, out, runs }).toEqual({ exitCode: 2, out: "", runs: [] });
    expect(err).toMatch(/^error: /);
    expect(err).toContain(named);
  });

  test("without a command: help on stderr, exit code 2", async () => {
    const { exitCode, out, err } = await program([]);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toMatch(/Usage: warren/);
  });

  test("help and version go to stdout, exit code 0", async () => {
    const help = await program(["run", "--help"]);
    expect(help.exitCode).toBe(0);
    for (const option of ["--agent", "--lanes", "--max-sessions", "--timeout-ms", "--events", "--output", "--quiet", "Exit code"])
      expect(help.out).toContain(option);
    const version = await program(["--version"]);
    expect([version.exitCode, version.out]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
  });

  test("a usage error of the command: its message, exit code 2", async () => {
    const refused = await program(["run", "x"], async () => {
      throw new UsageError("cannot read x: it is a directory");
    });
    expect([refused.exitCode, refused.err]).toEqual([2, "error: cannot read x: it is a directory\n"]);
  });

  test("any other error is a bug and passes through", async () => {
    await expect(
      program(["run", "x"], async () => {
        throw new TypeError("a bug");
      }),
    ).rejects.toThrow("a bug");
  });
});
