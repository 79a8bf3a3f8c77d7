import { describe, expect, test } from "vitest";

import type { Interaction, TurnContext } from "../../src/agent.ts";
import { TurnInterrupted } from "../../src/agent.ts";
import { answerInteraction, isInteraction } from "../../src/agents/interpreter-requests.ts";
import interpreter from "../../src/agents/interpreter.ts";
import { renderInteraction } from "../../src/lane/comms/render-interaction.ts";
import { ContextReplica } from "../../src/lane/context-replica.ts";
import type { Message, Session } from "../../src/protocol/session-model.ts";
import { quietRun } from "./support/quiet-run.ts";

const request = (params: unknown, intent = "run"): Interaction =>
  ({ kind: "peer_request", id: "r1", from: "planner", intent, params }) as Interaction;

/** What an interaction comes to: the answer in the transcript, and what was sent. */
async function answer(interaction: Interaction, isInterrupted = () => false): Promise<{ text: string; sent: unknown[] }> {
  const sent: unknown[] = [];
  const turn = {
    isInterrupted,
    throwIfInterrupted: () => {
      if (isInterrupted()) throw new TurnInterrupted();
    },
    comms: { send: async (command: unknown) => void sent.push(command) },
  } as unknown as TurnContext;
  return { text: await answerInteraction(turn, interaction), sent };
}
const response = (status: string, result: unknown): object => ({
  kind: "peer_response",
  to: "planner",
  inReplyTo: "r1",
  status,
  result,
});

describe("an interpreter answers its peers", () => {
  test("programs run in their order, and see what those before them left", async () => {
    expect(await answer(request(["const a = 20; a", "a + 1", "[a]"]))).toEqual({
      text: "ran 3",
      sent: [response("completed", ["20", "21", "[20]"])],
    });
    expect((await answer(request("6 * 7"))).sent).toEqual([response("completed", ["42"])]);
  });

  test("no request sees what another left", async () => {
    await answer(request("var left = 1"));
    expect((await answer(request("typeof left"))).sent).toEqual([response("completed", ["undefined"])]);
  });

  test("the first program that fails ends it, and is named", async () => {
    const { text, sent } = await answer(request(["1", "missing()", "2"]));
    expect(sent).toEqual([response("failed", { index: 1, error: expect.stringContaining("missing") })]);
    expect(text).toContain("failed: ");
  });

  test("what is no such request is answered all the same; what nobody waits for is left alone", async () => {
    expect((await answer(request("1", "dance"))).sent).toEqual([response("failed", { error: "unknown intent: dance" })]);
    for (const params of [undefined, null, 1, ["1", 2], {}]) {
      expect((await answer(request(params))).sent).toEqual([
        response("failed", { error: "params must be a program or a list of programs" }),
      ]);
    }
    expect(await answer({ kind: "peer_message", id: "m", from: "x", body: "1" })).toEqual({ text: "not a request", sent: [] });
  });

  test("an answer that cannot be sent is answered with why; a peer that is gone is no failure of the session's", async () => {
    for (const isGone of [false, true]) {
      const told: object[] = [];
      const send = async (command: { status: string }): Promise<void> => {
        if (isGone || command.status === "completed") throw new Error("too large");
        told.push(command);
      };
      const turn = { isInterrupted: () => false, throwIfInterrupted: () => {}, comms: { send } } as unknown as TurnContext;
      expect(await answerInteraction(turn, request("1"))).toBe("not told: too large");
      expect(told).toEqual(isGone ? [] : [response("failed", { error: "the answer cannot be sent: too large" })]);
    }
  });

  test("an interrupt ends it, and nothing is answered", async () => {
    let polls = 0;
    await expect(answer(request("for (;;);"), () => ++polls > 3)).rejects.toThrow("cancelled");
  });

  test("a session that is made live again runs its prompts once more, and no interaction", async () => {
    const interactions: Interaction[] = [
      request("throw 1"),
      { kind: "peer_message", id: "m", from: "x", body: "throw 1" },
      { kind: "peer_response", id: "s", from: "x", inReplyTo: "r", status: "failed" },
      { kind: "input", id: "i", source: "rpc", body: "throw 1" },
    ];
    for (const interaction of interactions) expect(isInteraction(renderInteraction(interaction))).toBe(true);
    for (const program of ["[EVENT]", "[1]\n+1", "x", "[REQUEST\nfrom]"]) expect(isInteraction(program)).toBe(false);
    const answered = (content: string): Message[] => [
      { role: "user", content },
      { role: "assistant", content: "" },
    ];
    const messages = [...answered("var kept = 5"), ...interactions.flatMap((interaction) => answered(renderInteraction(interaction)))];
    const resume: Session = {
      version: 1,
      id: "s",
      messages,
      createdAt: 1,
      updatedAt: 1,
      metadata: {},
      usage: { inputTokens: 0, outputTokens: 0 },
    };
    const context = { sessionId: "s", agentName: "interpreter", emit: () => {}, systemContext: new ContextReplica(() => {}), resume };
    const agent = await interpreter.buildAgent({ prompt: "" }, context);
    const run = quietRun();
    expect((await agent.runWithEvents("kept", run)).text).toBe("5");
    await agent.dispose?.();
  });
});
