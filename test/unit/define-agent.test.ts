import { describe, expect, test } from "vitest";

import { ContextReplica } from "../../src/lane/context-replica.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import type { AgentBuildContext, AgentSetup } from "../../src/protocol/agent.ts";
import type { Session } from "../../src/protocol/session-model.ts";
import { quietRun } from "./support/quiet-run.ts";

const newContext = (resume?: Session): AgentBuildContext => ({
  sessionId: "s1",
  agentName: "mine",
  emit: () => {},
  systemContext: new ContextReplica(() => {}),
  ...(resume && { resume }),
});
const RESUMED: Session = {
  version: 1,
  id: "s1",
  messages: [{ role: "user", content: "before" }],
  createdAt: 1,
  updatedAt: 2,
  metadata: {},
  usage: { inputTokens: 0, outputTokens: 0 },
};

describe("defineAgent", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a text", "agent"],
    ["an object without a turn", {}],
    ["a turn that is no function", { turn: "x" }],
    ["a setup that is no function", { turn: () => "", setup: 1 }],
    ["a dispose that is no function", { turn: () => "", dispose: {} }],
    ["tools that are no list", { turn: () => "", tools: "read" }],
    ["tools that are no names", { turn: () => "", tools: ["read", 1] }],
  ])("%s is a TypeError", (_, agent) => {
    expect(() => defineAgent(agent as never)).toThrow(TypeError);
  });

  test("without a setup the agent is there at once, of the session it was built for", () => {
    const agent = defineAgent(() => "x").buildAgent({ prompt: "" }, newContext());
    expect("sessionId" in agent && agent.sessionId()).toBe("s1");
  });

  test("setup is called once, with the session so far, and awaited; what it gives is the turns' state", async () => {
    const seen: AgentSetup[] = [];
    const builder = defineAgent({
      setup: async (session) => {
        seen.push(session);
        await Promise.resolve();
        return { ready: true };
      },
      turn: ({ state }) => JSON.stringify(state),
    });
    const request = { prompt: "p", model: "m" };
    const agent = await builder.buildAgent(request, newContext(RESUMED));
    expect(seen).toEqual([{ request, sessionId: "s1", messages: RESUMED.messages, agentName: "mine" }]);
    const run = quietRun();
    expect(await agent.runWithEvents("q", run)).toMatchObject({ text: '{"ready":true}' });
  });

  test("what setup throws fails the build", async () => {
    const failing = defineAgent({ setup: () => Promise.reject(new Error("no key")), turn: () => "" });
    await expect(failing.buildAgent({ prompt: "" }, newContext())).rejects.toThrow("no key");
  });

  test("sessions of one builder share nothing", async () => {
    const builder = defineAgent({ setup: () => ({ count: 0 }), turn: ({ state }) => String(++(state as { count: number }).count) });
    const run = quietRun();
    const [one, two] = [await builder.buildAgent({ prompt: "" }, newContext()), await builder.buildAgent({ prompt: "" }, newContext())];
    await one.runWithEvents("q", run);
    expect(await two.runWithEvents("q", run)).toMatchObject({ text: "1" });
    expect([one.snapshot().messageCount, two.snapshot().messageCount]).toEqual([2, 2]);
  });

  test("dispose gets the state and is awaited", async () => {
    const disposed: unknown[] = [];
    const builder = defineAgent({
      setup: () => "state",
      turn: () => "",
      dispose: async (state) => {
        await Promise.resolve();
        disposed.push(state);
      },
    });
    const agent = await builder.buildAgent({ prompt: "" }, newContext());
    await agent.dispose?.();
    expect(disposed).toEqual(["state"]);
  });
});
