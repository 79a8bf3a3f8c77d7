/**
 * The examples: `turns.jsonl` is what the programs give, and the sandbox gives what `turns.jsonl` expects.
 * The expectations come from another engine (see `examples/README.md`), so this is also the sandbox's conformance test.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadSandboxModule, Sandbox, SandboxError } from "../../src/agents/sandbox.ts";

interface ExampleTurn {
  session: string;
  prompt: string;
  labels?: Record<string, string>;
  timeoutMs?: number;
  expect: { text: string } | { error: string };
}

const examples = fileURLToPath(new URL("../../examples/", import.meta.url));
const turns = readFileSync(`${examples}turns.jsonl`, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as ExampleTurn);
const sessions = new Map<string, ExampleTurn[]>();
for (const turn of turns) sessions.set(turn.session, [...(sessions.get(turn.session) ?? []), turn]);

test("turns.jsonl is what the programs give", { timeout: 60_000 }, () => {
  const output = execFileSync(process.execPath, [`${examples}build-turns.mjs`, "--check"], { encoding: "utf8" });
  expect(output).toContain("in sync");
});

test("there is enough of it, and every turn can be checked", () => {
  expect(readdirSync(`${examples}programs`).length).toBeGreaterThanOrEqual(15);
  expect(sessions.size).toBeGreaterThanOrEqual(60);
  expect(turns.length).toBeGreaterThanOrEqual(400);
  expect(turns.filter((turn) => !("text" in turn.expect) && !("error" in turn.expect))).toEqual([]);
  expect([...sessions.values()].filter(([first]) => first?.labels === undefined)).toEqual([]);
});

describe("the sandbox gives what another engine gave", () => {
  test.each([...sessions])("%s", { timeout: 20_000 }, async (_name, list) => {
    // As much stack as a lane's sandbox has; test runners run on smaller stacks.
    const sandbox = await Sandbox.create(await loadSandboxModule(), { stackBytes: 128 * 1024 });
    const outcomes = list.map((turn) => runTurn(sandbox, turn));
    sandbox.dispose();
    expect(outcomes).toEqual(list.map((turn) => turn.expect));
  });
});

/** Run a turn; one with a time limit is interrupted after 50 ms instead. */
function runTurn(sandbox: Sandbox, turn: ExampleTurn): ExampleTurn["expect"] {
  const endMs = turn.timeoutMs === undefined ? Infinity : performance.now() + 50;
  try {
    return { text: sandbox.run(turn.prompt, { write: () => undefined, isInterrupted: () => performance.now() > endMs }) };
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return { error: "AGENT_ERROR" };
  }
}
