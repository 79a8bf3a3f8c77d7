import { expect, test } from "vitest";

import interpreter from "../../src/agents/interpreter.ts";
import { ContextReplica } from "../../src/lane/context-replica.ts";
import type { SimpleAgent } from "../../src/lane/simple-agent.ts";
import { quietRun } from "./support/quiet-run.ts";

test("A1: the sandbox is made at the first turn, and goes with the session", async () => {
  const agent = (await interpreter.buildAgent(
    { prompt: "" },
    { sessionId: "s", agentName: "interpreter", emit: () => {}, systemContext: new ContextReplica(() => {}) },
  )) as SimpleAgent;
  const state = agent.state as { sandbox?: { run: (program: string, io: object) => string } };
  expect(state.sandbox).toBeUndefined();
  const run = quietRun();
  expect((await agent.runWithEvents("1 + 1", run)).text).toBe("2");
  const { sandbox } = state;
  expect(sandbox).toBeDefined();
  await agent.dispose();
  expect(() => sandbox?.run("1", { write: () => {}, isInterrupted: () => false })).toThrow(/disposed/);
});
