/** What an agent's author imports, and that `defineAgent` takes agents and nothing else. */
import { describe, expectTypeOf, test } from "vitest";

import { AgentError, SessionError, TurnInterrupted, defineAgent, renderBlocks, withBlocks } from "../../src/agent.ts";
import type * as agent from "../../src/agent.ts";

describe("defineAgent", () => {
  test("takes a function per turn, waiting or not", () => {
    expectTypeOf(defineAgent((turn) => turn.prompt)).toEqualTypeOf<agent.SessionAgentBuilder>();
    expectTypeOf(
      defineAgent(async ({ emit, prompt }) => {
        await emit({ type: "text_delta", delta: prompt });
        return { text: prompt, usage: { inputTokens: 1 }, toolCalls: 0, structuredOutput: { any: [1] } };
      }),
    ).toEqualTypeOf<agent.SessionAgentBuilder>();
  });

  test("takes a definition around one", () => {
    const definition: agent.SimpleAgentDefinition = {
      setup: async ({ request, sessionId, messages, agentName }) => ({ request, sessionId, messages, agentName }),
      turn: ({ state }) => String(state),
      dispose: async () => {},
      tools: ["read"],
    };
    expectTypeOf(defineAgent(definition)).toEqualTypeOf<agent.SessionAgentBuilder>();
  });

  test("refuses everything else", () => {
    // @ts-expect-error a definition needs a turn
    defineAgent({ setup: () => 1 });
    // @ts-expect-error a turn gives a text
    defineAgent(() => 42);
    // @ts-expect-error a turn gives a text
    defineAgent(() => ({ usage: { inputTokens: 1 } }));
    // @ts-expect-error a turn gives a text
    defineAgent(async () => {});
    // @ts-expect-error tools are names
    defineAgent({ turn: () => "", tools: [1] });
    // @ts-expect-error there is no such member
    defineAgent({ turn: () => "", tool: ["read"] });
    // @ts-expect-error usage counts tokens
    defineAgent(() => ({ text: "", usage: { tokens: 1 } }));
    // @ts-expect-error not an agent at all
    defineAgent("echo");
  });
});

describe("TurnContext", () => {
  type Turn = agent.TurnContext;

  test("has these members", () => {
    expectTypeOf<keyof Turn>().toEqualTypeOf<
      | "sessionId"
      | "prompt"
      | "comms"
      | "interaction"
      | "turn"
      | "state"
      | "messages"
      | "takeSystemPrompt"
      | "labels"
      | "skillReferences"
      | "visibleTools"
      | "hostMode"
      | "executionKind"
      | "traceparent"
      | "signal"
      | "isInterrupted"
      | "throwIfInterrupted"
      | "shouldStopAtBoundary"
      | "emit"
      | "append"
      | "addUsage"
      | "checkpoint"
    >();
    expectTypeOf<Turn["state"]>().toBeUnknown();
    expectTypeOf<Turn["signal"]>().toEqualTypeOf<AbortSignal>();
    expectTypeOf<Turn["messages"]>().toEqualTypeOf<readonly agent.Message[]>();
    expectTypeOf<Turn["emit"]>().returns.toEqualTypeOf<void | Promise<void>>();
    expectTypeOf<Turn["append"]>().parameters.toEqualTypeOf<agent.Message[]>();
    expectTypeOf<Turn["addUsage"]>().parameters.toEqualTypeOf<[Partial<agent.Usage>]>();
    expectTypeOf<Turn["checkpoint"]>().returns.toEqualTypeOf<Promise<void>>();
  });

  test("is not the agent's to change", () => {
    const turn = null as unknown as Turn;
    // @ts-expect-error read-only
    turn.prompt = "other";
    // @ts-expect-error the transcript grows by append()
    expectTypeOf(turn.messages.push);
  });
});

describe("SessionAgent", () => {
  test("needs these members and may have those", () => {
    type Required = { [K in keyof agent.SessionAgent as undefined extends agent.SessionAgent[K] ? never : K]: unknown };
    expectTypeOf<keyof Required>().toEqualTypeOf<
      | "runWithEvents"
      | "runHostMode"
      | "setSkillReferences"
      | "setFlowToolOverlay"
      | "cancel"
      | "sessionId"
      | "snapshot"
      | "sessionClone"
      | "applyRuntimeSystemContext"
      | "systemContextState"
    >();
    expectTypeOf<Exclude<keyof agent.SessionAgent, keyof Required>>().toEqualTypeOf<
      | "messagesFrom"
      | "eventInjector"
      | "interactionEventInjector"
      | "commsRuntime"
      | "executionSnapshot"
      | "toolScopeSnapshot"
      | "externalToolSurfaceSnapshot"
      | "dispose"
    >();
  });

  test("an agent that only makes promises is one", () => {
    expectTypeOf<(prompt: string, run: agent.RunContext) => Promise<agent.RunResult>>().toExtend<agent.SessionAgent["runWithEvents"]>();
  });

  test("its run is told this much", () => {
    expectTypeOf<keyof agent.RunContext>().toEqualTypeOf<
      "ticket" | "signal" | "isInterrupted" | "shouldStopAtBoundary" | "emit" | "executionKind" | "traceparent"
    >();
    expectTypeOf<keyof agent.AgentBuildContext>().toEqualTypeOf<
      "sessionId" | "agentName" | "emit" | "checkpointer" | "systemContext" | "comms" | "resume"
    >();
    expectTypeOf<keyof agent.SystemContextState>().toEqualTypeOf<"pending" | "takePending" | "render">();
  });

  test("a builder may wait or not", () => {
    type Build = agent.SessionAgentBuilder["buildAgent"];
    expectTypeOf<(request: agent.CreateSessionRequest) => Promise<agent.SessionAgent>>().toExtend<Build>();
    expectTypeOf<(request: agent.CreateSessionRequest) => agent.SessionAgent>().toExtend<Build>();
  });
});

describe("errors and helpers", () => {
  test("an AgentError has a kind and any details", () => {
    expectTypeOf(new AgentError("budget", "spent", { limit: 3 })).toExtend<Error & { readonly kind: string; readonly details?: unknown }>();
    // @ts-expect-error the kind comes first, then the message
    expectTypeOf(new AgentError("budget"));
    expectTypeOf(new TurnInterrupted()).toExtend<Error>();
    expectTypeOf(SessionError).toBeConstructibleWith("SESSION_UNSUPPORTED", "text");
  });

  test("context blocks are rendered by the same functions as the host's", () => {
    expectTypeOf(renderBlocks).returns.toBeString();
    expectTypeOf(withBlocks).parameters.toEqualTypeOf<[systemPrompt: string, appends: readonly agent.PendingSystemContextAppend[]]>();
  });
});
