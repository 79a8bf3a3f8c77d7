import { describe, expect, test } from "vitest";

import { ContextReplica } from "../../src/lane/context-replica.ts";
import { SimpleAgent } from "../../src/lane/simple-agent.ts";
import type { RunContext, SimpleAgentDefinition, TurnContext, TurnFunction, TurnOutput } from "../../src/protocol/agent.ts";
import type { AgentEvent } from "../../src/protocol/events.ts";
import type { CreateSessionRequest } from "../../src/protocol/requests.ts";
import type { Session } from "../../src/protocol/session-model.ts";

interface Bench {
  agent: SimpleAgent;
  context: ContextReplica;
  emitted: AgentEvent[];
  taken: number[];
  run: RunContext & { interrupted: boolean };
  turn(prompt?: string): Promise<unknown>;
}

function newBench(definition: SimpleAgentDefinition | TurnFunction, request: Record<string, unknown> = {}): Bench {
  const taken: number[] = [];
  const emitted: AgentEvent[] = [];
  const context = new ContextReplica((count) => taken.push(count));
  const run = {
    ticket: 7,
    signal: new AbortController().signal,
    interrupted: false,
    isInterrupted: (): boolean => run.interrupted,
    shouldStopAtBoundary: (): boolean => false,
    emit: (event: AgentEvent): void => void emitted.push(event),
  };
  const agent = new SimpleAgent(
    typeof definition === "function" ? { turn: definition } : definition,
    { prompt: "", ...request } as CreateSessionRequest,
    {
      sessionId: "s1",
      agentName: "mine",
      emit: () => {},
      systemContext: context,
    },
    undefined,
  );
  return { agent, context, emitted, taken, run, turn: async (prompt = "q") => agent.runWithEvents(prompt, run) };
}
/** Everything the agent shows of its session, without the times. */
function shown({ agent }: Bench): object {
  const { createdAt: _, updatedAt: __, ...session } = agent.sessionClone();
  const { createdAt: ___, updatedAt: ____, ...snapshot } = agent.snapshot();
  return structuredClone({ session, snapshot });
}
const later = async <T>(value: T): Promise<T> => {
  await new Promise((resolve) => setImmediate(resolve));
  return value;
};

describe("a turn", () => {
  test("its prompt and its answer join the transcript; usage adds up", async () => {
    const bench = newBench(({ addUsage }) => {
      addUsage({ inputTokens: 1 });
      return { text: "a", usage: { outputTokens: 2, cacheReadTokens: 3 }, toolCalls: 4, structuredOutput: { n: 1 } };
    });
    const usage = { inputTokens: 1, outputTokens: 2, cacheReadTokens: 3 };
    expect(await bench.turn("q")).toEqual({ text: "a", sessionId: "s1", turns: 1, toolCalls: 4, usage, structuredOutput: { n: 1 } });
    await bench.turn("r");
    const answer = { role: "assistant", content: "a", toolCalls: [], stopReason: "end_turn", usage };
    expect(bench.agent.sessionClone().messages).toEqual([{ role: "user", content: "q" }, answer, { role: "user", content: "r" }, answer]);
    expect(bench.agent.snapshot()).toMatchObject({
      messageCount: 4,
      lastAssistantText: "a",
      usage: { inputTokens: 2, outputTokens: 4, cacheReadTokens: 6 },
    });
  });

  test("a function that does not wait is answered without a promise", () => {
    const bench = newBench(() => "now");
    expect(bench.agent.runWithEvents("q", bench.run)).toMatchObject({ text: "now" });
  });

  test("what the function is told can be taken apart, every member of it", async () => {
    const bench = newBench(
      {
        tools: ["read", "run"],
        turn: ({
          sessionId,
          prompt,
          turn,
          messages,
          labels,
          visibleTools,
          skillReferences,
          hostMode,
          signal,
          state,
          ...methods
        }: TurnContext) => {
          expect({ sessionId, prompt, turn, labels, visibleTools, skillReferences, hostMode, state }).toEqual({
            sessionId: "s1",
            prompt: "q",
            turn: 1,
            labels: { team: "a" },
            visibleTools: ["read", "run"],
            skillReferences: [],
            hostMode: false,
            state: undefined,
          });
          expect(messages.at(-1)).toEqual({ role: "user", content: "q" });
          expect(signal).toBe(bench.run.signal);
          expect(methods).toEqual({});
          return "a";
        },
      },
      { labels: { team: "a" } },
    );
    await bench.turn();
  });

  test("methods taken apart work as well", async () => {
    const bench = newBench(
      async ({ emit, append, addUsage, isInterrupted, throwIfInterrupted, shouldStopAtBoundary, takeSystemPrompt, checkpoint }) => {
        await emit({ type: "x" });
        append({ role: "tool_results", results: [{ toolUseId: "1", content: "ok" }] });
        addUsage({ inputTokens: 1 });
        throwIfInterrupted();
        await checkpoint();
        return `${isInterrupted()} ${shouldStopAtBoundary()} ${takeSystemPrompt()}`;
      },
      { systemPrompt: "be brief" },
    );
    expect(await bench.turn()).toMatchObject({ text: "false false be brief", usage: { inputTokens: 1, outputTokens: 0 } });
    expect(bench.emitted).toEqual([{ type: "x" }]);
    expect(bench.agent.snapshot().messageCount).toBe(4);
  });

  test("throwIfInterrupted throws once the interrupt is there", async () => {
    const bench = newBench(({ throwIfInterrupted }) => {
      throwIfInterrupted();
      return "not reached";
    });
    bench.run.interrupted = true;
    await expect(bench.turn()).rejects.toMatchObject({ name: "TurnInterrupted" });
  });

  test("takeSystemPrompt takes the staged context, once", async () => {
    const prompts: string[] = [];
    const bench = newBench(
      ({ takeSystemPrompt }) => {
        prompts.push(takeSystemPrompt(), takeSystemPrompt());
        return "";
      },
      { systemPrompt: "p" },
    );
    bench.context.feed({ text: "c" });
    await bench.turn();
    expect(prompts).toEqual(["p\n\n---\n\n[Runtime System Context]\n\nc", "p"]);
    expect(bench.taken).toEqual([1]);
  });

  test("a host-mode run says so", () => {
    const bench = newBench(({ hostMode }) => String(hostMode));
    expect(bench.agent.runHostMode("q", bench.run)).toMatchObject({ text: "true" });
  });
});

describe("a turn that fails", () => {
  const failures: [string, TurnFunction][] = [
    [
      "throws",
      () => {
        throw new Error("boom");
      },
    ],
    ["rejects", () => Promise.reject(new Error("boom"))],
    [
      "throws after appending",
      ({ append }) => {
        append({ role: "user", content: "x" });
        throw new Error("boom");
      },
    ],
    [
      "rejects later",
      async () => {
        await later(0);
        throw new Error("boom");
      },
    ],
  ];
  const rubbish: [string, unknown][] = [
    ["nothing", undefined],
    ["null", null],
    ["a number", 42],
    ["an object without a text", { message: "a" }],
    ["a text that is none", { text: 1 }],
    ["half a tool call", { text: "a", toolCalls: 0.5 }],
    ["a usage that is none", { text: "a", usage: { inputTokens: -1 } }],
    ["a structured output that is not JSON", { text: "a", structuredOutput: { f: () => 1 } }],
  ];

  test.each(failures)("because the function %s is rolled back", async (_, turn) => {
    let isGood = true;
    const bench = newBench((context) => (isGood ? "good" : turn(context)));
    await bench.turn("first");
    const before = shown(bench);
    isGood = false;
    await expect(bench.turn("second")).rejects.toThrow("boom");
    expect(shown(bench)).toEqual(before);
    isGood = true;
    await bench.turn("third");
    expect(bench.agent.sessionClone().messages.filter(({ role }) => role === "user")).toEqual([
      { role: "user", content: "first" },
      { role: "user", content: "third" },
    ]);
  });

  describe.each([
    ["at once", false],
    ["later", true],
  ])("with rubbish given %s", (_, isLater) => {
    test.each(rubbish)("(%s) is an invalid result, and is rolled back", async (__, output) => {
      let isGood = false;
      const bench = newBench(() => (isGood ? "good" : isLater ? later(output as TurnOutput) : (output as TurnOutput)));
      const before = shown(bench);
      await expect(bench.turn("second")).rejects.toMatchObject({ kind: "invalid_result" });
      expect(shown(bench)).toEqual(before);
      isGood = true;
      await bench.turn("third");
      expect(bench.agent.sessionClone().messages[0]).toEqual({ role: "user", content: "third" });
    });
  });

  test("what is not a message or a usage is refused where it was said", async () => {
    const bench = newBench(({ append, addUsage }) => {
      expect(() => append({ role: "user" } as never)).toThrow("append: message 0");
      expect(() => addUsage({ inputTokens: NaN })).toThrow("addUsage: inputTokens");
      return "a";
    });
    await bench.turn();
    expect(bench.agent.snapshot()).toMatchObject({ messageCount: 2, usage: { inputTokens: 0, outputTokens: 0 } });
  });
});

describe("cancel", () => {
  test("takes back a run that had completed by then", async () => {
    const bench = newBench(() => ({ text: "a", usage: { inputTokens: 5 } }));
    await bench.turn("first");
    const before = shown(bench);
    await bench.turn("second");
    bench.agent.cancel();
    expect(shown(bench)).toEqual(before);
  });

  test("before any run, or a second time, changes nothing", async () => {
    const bench = newBench(() => "a");
    bench.agent.cancel();
    await bench.turn("first");
    await bench.turn("second");
    bench.agent.cancel();
    bench.agent.cancel();
    expect(bench.agent.snapshot().messageCount).toBe(2);
  });

  test("what a run appends after its end is not part of the transcript", async () => {
    let lateAppend: TurnContext["append"] | undefined;
    const bench = newBench(({ append }) => {
      lateAppend = append;
      return "a";
    });
    await bench.turn();
    lateAppend?.({ role: "user", content: "late" });
    expect(bench.agent.snapshot().messageCount).toBe(2);
  });
});

describe("tools, skills, context", () => {
  test("an overlay restricts the turns until it is cleared; one that names an unknown tool is refused and changes nothing", async () => {
    const seen: (readonly string[])[] = [];
    const bench = newBench({ tools: ["read", "run"], turn: ({ visibleTools }) => (seen.push(visibleTools), "") });
    bench.agent.setFlowToolOverlay({ blockedTools: ["run"] });
    await bench.turn();
    expect(() => bench.agent.setFlowToolOverlay({ allowedTools: ["fly"] })).toThrow(
      expect.objectContaining({ kind: "tool_overlay" }) as Error,
    );
    await bench.turn();
    bench.agent.setFlowToolOverlay(undefined);
    await bench.turn();
    expect(seen).toEqual([["read"], ["read"], ["read", "run"]]);
  });

  test("skill references are those set last, none when cleared", async () => {
    const seen: unknown[] = [];
    const bench = newBench(({ skillReferences }) => (seen.push(skillReferences), ""));
    bench.agent.setSkillReferences([{ sourceUuid: "u", skillName: "a" }]);
    await bench.turn();
    bench.agent.setSkillReferences(undefined);
    await bench.turn();
    expect(seen).toEqual([[{ sourceUuid: "u", skillName: "a" }], []]);
  });

  test("applied context is in the system prompt for good", async () => {
    const bench = newBench(({ takeSystemPrompt }) => takeSystemPrompt());
    bench.agent.applyRuntimeSystemContext([{ text: "c" }]);
    expect(await bench.turn()).toMatchObject({ text: "[Runtime System Context]\n\nc" });
    expect(bench.agent.sessionClone().messages[0]?.role).toBe("system");
  });

  test("the session says its labels, and its messages from an index on", async () => {
    const bench = newBench(() => "a", { labels: { team: "a" } });
    await bench.turn();
    const session: Session = bench.agent.sessionClone();
    expect(session.metadata).toEqual({ session_labels: { team: "a" } });
    expect(bench.agent.messagesFrom(1)).toEqual(session.messages.slice(1));
    expect(bench.agent.systemContextState()).toBe(bench.context);
  });
});
