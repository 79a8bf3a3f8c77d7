/** What the library answers with. */
import { describe, expectTypeOf, test } from "vitest";

import { compareEnvelopes } from "../../src/index.ts";
import type * as warren from "../../src/index.ts";

describe("results and views", () => {
  test("RunResult", () => {
    expectTypeOf<warren.RunResult>().toEqualTypeOf<{
      text: string;
      sessionId: string;
      turns: number;
      toolCalls: number;
      usage: warren.Usage;
      structuredOutput?: unknown;
      schemaWarnings?: unknown[];
      skillDiagnostics?: unknown;
    }>();
    expectTypeOf<keyof warren.Usage>().toEqualTypeOf<"inputTokens" | "outputTokens" | "cacheCreationTokens" | "cacheReadTokens">();
  });

  test("SessionView and SessionSummary", () => {
    expectTypeOf<warren.SessionView>().toEqualTypeOf<{
      state: {
        sessionId: string;
        createdAt: number;
        updatedAt: number;
        messageCount: number;
        isActive: boolean;
        lastAssistantText?: string;
        labels: Record<string, string>;
      };
      billing: { totalTokens: number; usage: warren.Usage };
    }>();
    expectTypeOf<warren.SessionSummary>().toEqualTypeOf<{
      sessionId: string;
      createdAt: number;
      updatedAt: number;
      messageCount: number;
      totalTokens: number;
      isActive: boolean;
      labels: Record<string, string>;
    }>();
  });

  test("SessionHistoryPage and Session", () => {
    expectTypeOf<warren.SessionHistoryPage>().toEqualTypeOf<{
      sessionId: string;
      messageCount: number;
      offset: number;
      limit?: number;
      hasMore: boolean;
      messages: warren.Message[];
    }>();
    expectTypeOf<keyof warren.Session>().toEqualTypeOf<"version" | "id" | "messages" | "createdAt" | "updatedAt" | "metadata" | "usage">();
    expectTypeOf<warren.Message["role"]>().toEqualTypeOf<"system" | "user" | "assistant" | "block_assistant" | "tool_results">();
    expectTypeOf<warren.StopReason>().toEqualTypeOf<
      "end_turn" | "tool_use" | "max_tokens" | "stop_sequence" | "content_filter" | "cancelled"
    >();
  });

  test("HostSnapshot", () => {
    expectTypeOf<warren.HostSnapshot["state"]>().toEqualTypeOf<"open" | "closing" | "closed">();
    expectTypeOf<warren.HostSnapshot["lanes"]>().toEqualTypeOf<warren.LaneSnapshot[]>();
    expectTypeOf<warren.LaneSnapshot["state"]>().toEqualTypeOf<"starting" | "ready" | "stopping" | "lost" | "stopped">();
    expectTypeOf<warren.LaneSnapshot["heartbeatAgeMs"]>().toEqualTypeOf<number | undefined>();
  });
});

describe("streams", () => {
  test("TurnStream", () => {
    expectTypeOf<warren.TurnStream>().toExtend<AsyncIterable<warren.EventEnvelope>>();
    expectTypeOf<warren.TurnStream["result"]>().toEqualTypeOf<Promise<warren.RunResult>>();
    expectTypeOf<warren.TurnStream["ticket"]>().toEqualTypeOf<Promise<number>>();
    expectTypeOf<warren.TurnStream["interrupt"]>().toEqualTypeOf<() => Promise<void>>();
  });

  test("SessionEventStream", () => {
    expectTypeOf<warren.SessionEventStream>().toExtend<AsyncIterableIterator<warren.EventEnvelope>>();
    expectTypeOf<warren.SessionEventStream["tryNext"]>().toEqualTypeOf<() => warren.EventEnvelope | undefined>();
    expectTypeOf<warren.SessionEventStream["closed"]>().toEqualTypeOf<boolean>();
  });
});

describe("events", () => {
  test("EventEnvelope", () => {
    expectTypeOf<warren.EventEnvelope>().toEqualTypeOf<{
      eventId: string;
      sourceId: string;
      seq: number;
      timestampMs: number;
      mobId?: string;
      cursor?: string;
      payload: warren.AgentEvent;
    }>();
    expectTypeOf(compareEnvelopes).toEqualTypeOf<(a: warren.EventEnvelope, b: warren.EventEnvelope) => number>();
  });

  test("a known event is told apart by its type", () => {
    expectTypeOf<Extract<warren.KnownAgentEvent, { type: "text_delta" }>["delta"]>().toEqualTypeOf<string>();
    expectTypeOf<Extract<warren.KnownAgentEvent, { type: "turn_completed" }>["stopReason"]>().toEqualTypeOf<warren.StopReason>();
    expectTypeOf<"stream_truncated">().toExtend<warren.KnownEventType>();
    expectTypeOf<"no_such_event">().not.toExtend<warren.KnownEventType>();
  });

  test("an event of a type of one's own is an event", () => {
    expectTypeOf<{ type: "mine"; data: number[] }>().toExtend<warren.AgentEvent>();
    expectTypeOf<{ data: number }>().not.toExtend<warren.AgentEvent>();
  });
});

describe("handles", () => {
  test("remote forms are asynchronous", () => {
    expectTypeOf<warren.RemoteEventInjector["inject"]>().toEqualTypeOf<
      (body: string, source: warren.InjectSource) => Promise<warren.InjectOutcome>
    >();
    expectTypeOf<warren.InjectOutcome>().toEqualTypeOf<"ok" | "full" | "closed">();
    expectTypeOf<warren.InjectSource>().toEqualTypeOf<"tcp" | "uds" | "stdin" | "webhook" | "rpc">();
    expectTypeOf<warren.RemoteSubscribableInjector>().toExtend<warren.RemoteEventInjector>();
    expectTypeOf<keyof warren.RemoteCommsRuntime>().toEqualTypeOf<
      | "publicKey"
      | "addTrustedPeer"
      | "removeTrustedPeer"
      | "send"
      | "peers"
      | "peerCount"
      | "drainMessages"
      | "dismissReceived"
      | "peerIngressRuntimeSnapshot"
      | "close"
      | typeof Symbol.asyncDispose
    >();
  });
});
