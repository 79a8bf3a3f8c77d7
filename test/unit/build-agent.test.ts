/** Who is given a session's messages when it wakes, and when. */
import { describe, expect, test, vi } from "vitest";

import type { UnreadSession } from "../../src/core/unread-messages.ts";
import { buildAgent } from "../../src/lane/build-agent.ts";
import { ContextReplica } from "../../src/lane/context-replica.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import type { AgentBuildContext, SessionAgentBuilder, TurnFunction } from "../../src/protocol/agent.ts";
import type { Message, Session } from "../../src/protocol/session-model.ts";
import { quietRun } from "./support/quiet-run.ts";

const BEFORE: readonly Message[] = [
  { role: "user", content: "q" },
  { role: "assistant", content: "a" },
];
const HEAD = { version: 1 as const, id: "s1", createdAt: 1, updatedAt: 2, metadata: {}, usage: { inputTokens: 3, outputTokens: 4 } };
const read = vi.fn<() => readonly Message[]>(() => BEFORE);
const unread = (): UnreadSession => {
  read.mockClear();
  return { ...HEAD, unread: { length: 2, lastAssistantText: "a", read } };
};
const context: AgentBuildContext = { sessionId: "s1", agentName: "mine", emit: () => {}, systemContext: new ContextReplica(() => {}) };
const REQUEST = { prompt: "" };

describe("of a session that is not read yet", () => {
  test("a turn that looks at no message reads none, and is saved by what it added", async () => {
    const agent = await buildAgent(
      defineAgent(() => "b"),
      REQUEST,
      context,
      unread(),
    );
    expect(agent.snapshot()).toMatchObject({ messageCount: 2, lastAssistantText: "a", usage: HEAD.usage });
    await agent.runWithEvents("more", quietRun());
    expect(agent.snapshot()).toMatchObject({ messageCount: 4, lastAssistantText: "b" });
    expect(agent.messagesFrom?.(2)).toMatchObject([{ content: "more" }, { content: "b" }]);
    agent.cancel();
    expect(agent.snapshot()).toMatchObject({ messageCount: 2, lastAssistantText: "a" });
    expect(read).not.toHaveBeenCalled();
    expect(agent.sessionClone()).toEqual({ ...HEAD, messages: BEFORE });
  });

  test("a turn that looks sees them all, in front of its prompt", async () => {
    const turn: TurnFunction = ({ messages }) => messages.map((one) => ("content" in one ? one.content : "")).join();
    const agent = await buildAgent(defineAgent(turn), REQUEST, context, unread());
    expect(await agent.runWithEvents("more", quietRun())).toMatchObject({ text: "q,a,more" });
    expect(await agent.runWithEvents("still", quietRun())).toMatchObject({ text: "q,a,more,q,a,more,still" });
  });

  test("setup is given them when it looks, and not before", async () => {
    const looks = defineAgent({ setup: ({ messages }) => messages.length, turn: ({ state }) => String(state) });
    const looksAway = defineAgent({ setup: ({ sessionId }) => sessionId, turn: ({ state }) => String(state) });
    await buildAgent(looksAway, REQUEST, context, unread());
    expect(read).not.toHaveBeenCalled();
    const agent = await buildAgent(looks, REQUEST, context, unread());
    expect(await agent.runWithEvents("x", quietRun())).toMatchObject({ text: "2" });
  });

  test.each<[string, (inner: SessionAgentBuilder, seen: (resume: Session | undefined) => void) => SessionAgentBuilder]>([
    [
      "another builder",
      (inner, seen) => ({
        buildAgent: (request, given) => {
          seen(given.resume);
          return inner.buildAgent(request, given);
        },
      }),
    ],
    [
      "one of ours whose buildAgent was replaced",
      (inner, seen) => {
        const before = inner.buildAgent.bind(inner);
        inner.buildAgent = (request, given) => {
          seen(given.resume);
          return before(request, given);
        };
        return inner;
      },
    ],
  ])("%s is given the whole session", async (_, wrap) => {
    const seen = vi.fn<(resume: Session | undefined) => void>();
    const agent = await buildAgent(
      wrap(
        defineAgent(() => "b"),
        seen,
      ),
      REQUEST,
      context,
      unread(),
    );
    expect(seen).toHaveBeenCalledExactlyOnceWith({ ...HEAD, messages: BEFORE });
    expect(agent.snapshot()).toMatchObject({ messageCount: 2, lastAssistantText: "a" });
  });
});
