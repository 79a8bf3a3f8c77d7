/** `warren chat`: with a pipe and at a prompt. A terminal is what says that it is one: keys are bytes of its input. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, describe, expect, test } from "vitest";

import { begin, warren, workIn } from "../helpers/warren.ts";

const KINDS = fileURLToPath(new URL("../fixtures/cli/turn-kinds.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "warren-cli-chat-"));
workIn(folder);
afterAll(() => rmSync(folder, { recursive: true }));

const lines = (...all: string[]): string => all.map((line) => `${line}\n`).join("");
const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const UP = "\u001b[A";

describe("without a terminal", () => {
  test("lines are turns of one session; exit code 0", async () => {
    const { code, out, err } = await warren(["chat"], lines("let x = 20", "", "x + \\", "1", " /regular/.test('expression')"));
    expect([code, out.split("\n"), err]).toEqual([0, ["21", "false", ""], ""]);
  });

  test("a turn that fails: a message, exit code 1, and the rest still runs", async () => {
    const { code, out, err } = await warren(["chat", "--agent", KINDS], lines("throw", "labels"));
    expect([code, out, err]).toEqual([1, "turn 1\nturn 2\n{}\n", "error: agent error: asked to\n"]);
  });

  test("--json: a line for each turn, of its result or its error", async () => {
    const { code, out } = await warren(["chat", "--agent", KINDS, "--json", "--label", "team=x"], lines("throw", "labels"));
    expect(code).toBe(1);
    const said = out.trimEnd().split("\n");
    expect(said.map((line) => JSON.parse(line) as object)).toMatchObject([
      { ok: false, sessionId: expect.any(String), error: { code: "AGENT_ERROR", kind: "internal_error" } },
      { ok: true, text: '{"team":"x"}' },
    ]);
  });

  test("commands, and one that is none", async () => {
    const all = lines(
      "/history",
      "hello",
      "/system be brief",
      "/history 1",
      "/sessions",
      "/new",
      "/history",
      "/session nobody",
      "/nope",
      "/quit",
      "x",
    );
    const { code, out, err } = await warren(["chat", "--agent", "echo"], all);
    expect(code).toBe(1);
    expect(out).toMatch(/^hello\nassistant: hello\n\* [\da-f-]{36} {2}\S+ \S+Z {2}2 messages {2}\n$/);
    expect(err.split("\n")).toEqual([
      "(nothing was said yet)",
      "(staged)",
      "(a new session begins with the next turn)",
      "(nothing was said yet)",
      "error: session not found: nobody",
      expect.stringMatching(/^error: there is no \/nope: /),
      "",
    ]);
  });

  test("with a store: --session goes on with a session; one that is not there is refused, exit code 2", async () => {
    const store = ["--store", "store", "--agent", "interpreter"];
    const first = await warren(["chat", ...store, "--json"], lines("let x = 20"));
    const { sessionId } = JSON.parse(first.out) as { sessionId: string };
    expect(await warren(["chat", ...store, "--session", sessionId], lines("x + 1"))).toMatchObject({ code: 0, out: "21\n" });
    const refused = await warren(["chat", ...store, "--session", "nobody"], lines("x"));
    expect(refused).toEqual({ code: 2, out: "", err: "error: option '--session <id>': session not found: nobody\n" });
  });

  test("signals: the turn that runs is interrupted and the rest is not read; 130 and 143", async () => {
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const chat = begin(["chat", "--agent", KINDS]);
      chat.stdin.write(lines("wait", "labels"));
      await chat.said(/turn 1/);
      chat.signal(signal);
      expect(await chat.ended).toMatchObject({ code, out: "turn 1\n" });
    }
  });

  test("an agent that does not load: a message, exit code 2", async () => {
    expect(await warren(["chat", "--agent", "./missing.mjs"])).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringMatching(/^error: option '--agent/),
    });
  });
});

describe("at a prompt", () => {
  test("K2: Ctrl-C interrupts the turn that runs, and the session goes on", async () => {
    const chat = begin(["chat"], { isTerminal: true });
    await chat.said(/> /);
    chat.stdin.write("let x = 1\r");
    await chat.said(/\(session [\da-f-]{36}\)\n/);
    await chat.said(/> /);
    chat.stdin.write("for (;;);\r");
    await chat.said(/for \(;;\);\r?\n/);
    await new Promise((resolve) => setTimeout(resolve, 100)); // or it is interrupted before it begins, which does as well
    chat.stdin.write(CTRL_C);
    await chat.said(/\(interrupted\)\n/);
    await chat.said(/> /);
    chat.stdin.write("x + 41\r");
    await chat.said(/42\n/);
    chat.stdin.write(CTRL_D);
    expect((await chat.ended).code).toBe(0);
  });

  test("K2: at a prompt with text Ctrl-C drops the text; at an empty one the second leaves", async () => {
    const chat = begin(["chat", "--agent", "echo"], { isTerminal: true });
    await chat.said(/> /);
    chat.stdin.write("never sent");
    await chat.said(/never sent/);
    chat.stdin.write(CTRL_C);
    chat.stdin.write("sent\r");
    await chat.said(/\nsent\n/);
    await chat.said(/> /);
    chat.stdin.write(CTRL_C);
    await chat.said(/once more leaves/);
    chat.stdin.write(CTRL_C);
    const { code, out } = await chat.ended;
    expect(code).toBe(0);
    expect(out).not.toMatch(/\nnever sent\n/);
  });

  test("what was typed ahead waits for the turn before it (K1); the arrow keys bring back what was said", async () => {
    const chat = begin(["chat", "--agent", "echo"], { isTerminal: true });
    await chat.said(/> /);
    chat.stdin.write("one\rtwo\r");
    await chat.said(/\none\ntwo\n/);
    await chat.said(/> /);
    chat.stdin.write(`${UP}${UP}\r`);
    await chat.said(/\none\n/);
    chat.stdin.write("/quit\r");
    expect((await chat.ended).code).toBe(0);
  });

  test("K3: what an agent says cannot control the terminal", async () => {
    const { out } = await warren(["chat", "--agent", "echo"], lines("a\u001b[2Jb", "/history"));
    expect(out).not.toContain("\u001b");
    expect(out).toBe("a [2Jb\nuser: a [2Jb\nassistant: a [2Jb\n");
  });
});
