/** The names and shapes of the library's front door: programs are written against them. */
import { describe, expectTypeOf, test } from "vitest";

import { EphemeralSessionService, SessionError, builtinAgents } from "../../src/index.ts";
import type * as warren from "../../src/index.ts";

type Code =
  | "SESSION_NOT_FOUND"
  | "SESSION_BUSY"
  | "SESSION_NOT_RUNNING"
  | "SESSION_PERSISTENCE_DISABLED"
  | "SESSION_COMPACTION_DISABLED"
  | "SESSION_STORE_ERROR"
  | "SESSION_UNSUPPORTED"
  | "SESSION_SYSTEM_CONTEXT_CONFLICT"
  | "IDEMPOTENCY_CONFLICT"
  | "SESSION_QUARANTINED"
  | "AGENT_ERROR"
  | "INVALID_PARAMS"
  | "HOST_OVERLOADED"
  | "HOST_CLOSED";

describe("errors", () => {
  test("codes are exactly these", () => {
    expectTypeOf<SessionError["code"]>().toEqualTypeOf<Code>();
    expectTypeOf<warren.ErrorCode>().toEqualTypeOf<Code>();
    expectTypeOf<keyof typeof warren.ERRORS>().toEqualTypeOf<Code>();
    expectTypeOf<warren.StreamError["code"]>().toEqualTypeOf<"NOT_FOUND" | "CLOSED" | "INTERNAL">();
  });

  test("an error says what a caller may do, and optionally of which session and agent it speaks", () => {
    expectTypeOf<SessionError["disposition"]>().toEqualTypeOf<"retry" | "give-up" | "bug">();
    expectTypeOf<SessionError["sessionId"]>().toEqualTypeOf<string | undefined>();
    expectTypeOf<SessionError["details"]>().toEqualTypeOf<Record<string, unknown> | undefined>();
    expectTypeOf<NonNullable<SessionError["agentError"]>>().toExtend<{ kind: string; message: string; details?: unknown }>();
    expectTypeOf<SessionError>().toExtend<Error>();
    expectTypeOf<warren.StreamError>().toExtend<Error>();
    expectTypeOf<keyof typeof warren.AGENT_ERROR_KINDS>().toExtend<string>();
  });

  test("its members cannot be changed", () => {
    const error = new SessionError("HOST_CLOSED", "text");
    // @ts-expect-error read-only
    error.code = "SESSION_BUSY";
    // @ts-expect-error no such code
    expectTypeOf(new SessionError("NO_SUCH_CODE", "text"));
  });
});

describe("the service", () => {
  type Id = warren.SessionId;

  test("it is opened with options and disposed asynchronously", () => {
    expectTypeOf<(typeof EphemeralSessionService)["open"]>().parameters.toEqualTypeOf<[warren.SessionServiceOptions]>();
    expectTypeOf<(typeof EphemeralSessionService)["open"]>().returns.resolves.toEqualTypeOf<EphemeralSessionService>();
    expectTypeOf<EphemeralSessionService>().toExtend<warren.SessionService>();
    expectTypeOf<EphemeralSessionService>().toExtend<AsyncDisposable>();
    // @ts-expect-error made by open() only
    expectTypeOf(new EphemeralSessionService());
  });

  test("its operations and what they give", () => {
    expectTypeOf<EphemeralSessionService["createSession"]>().toBeCallableWith({ prompt: "p" });
    expectTypeOf<EphemeralSessionService["createSession"]>().returns.resolves.toEqualTypeOf<warren.RunResult>();
    expectTypeOf<EphemeralSessionService["startTurn"]>().toBeCallableWith(
      "id",
      { prompt: "p" },
      { signal: new AbortController().signal, onAdmitted: (_ticket: number) => {} },
    );
    expectTypeOf<EphemeralSessionService["startTurn"]>().returns.resolves.toEqualTypeOf<warren.RunResult>();
    expectTypeOf<EphemeralSessionService["streamTurn"]>().returns.toEqualTypeOf<warren.TurnStream>();
    expectTypeOf<Parameters<EphemeralSessionService["streamTurn"]>[1]>().not.toHaveProperty("onEvent");
    expectTypeOf<warren.SessionService["interrupt"]>().toEqualTypeOf<(id: Id) => Promise<void>>();
    expectTypeOf<warren.SessionService["interruptTurn"]>().toEqualTypeOf<(id: Id, ticket: number) => Promise<boolean>>();
    expectTypeOf<warren.SessionService["cancelAfterBoundary"]>().toEqualTypeOf<(id: Id) => Promise<void>>();
    expectTypeOf<warren.SessionService["read"]>().toEqualTypeOf<(id: Id) => Promise<warren.SessionView>>();
    expectTypeOf<EphemeralSessionService["list"]>().toBeCallableWith();
    expectTypeOf<EphemeralSessionService["list"]>().returns.resolves.toEqualTypeOf<warren.SessionSummary[]>();
    expectTypeOf<EphemeralSessionService["readHistory"]>().returns.resolves.toEqualTypeOf<warren.SessionHistoryPage>();
    expectTypeOf<EphemeralSessionService["exportSession"]>().returns.resolves.toEqualTypeOf<warren.Session>();
    expectTypeOf<warren.SessionService["forkSession"]>().toEqualTypeOf<
      (id: Id, options?: warren.ForkOptions) => Promise<warren.SessionView>
    >();
    expectTypeOf<EphemeralSessionService["forkSession"]>().toBeCallableWith("id", { messages: 3, labels: { team: "blue" } });
    expectTypeOf<EphemeralSessionService["archive"]>().returns.resolves.toBeVoid();
    expectTypeOf<EphemeralSessionService["discardLiveSession"]>().returns.resolves.toBeVoid();
    expectTypeOf<EphemeralSessionService["appendSystemContext"]>().returns.resolves.toEqualTypeOf<{
      status: "applied" | "staged" | "duplicate";
    }>();
    expectTypeOf<EphemeralSessionService["applyRuntimeSystemContext"]>().parameter(1).toEqualTypeOf<warren.PendingSystemContextAppend[]>();
    expectTypeOf<EphemeralSessionService["subscribeSessionEvents"]>().returns.toEqualTypeOf<warren.SessionEventStream>();
    expectTypeOf<EphemeralSessionService["eventInjector"]>().returns.resolves.toEqualTypeOf<warren.RemoteEventInjector | undefined>();
    expectTypeOf<EphemeralSessionService["interactionEventInjector"]>().returns.resolves.toEqualTypeOf<
      warren.RemoteSubscribableInjector | undefined
    >();
    expectTypeOf<EphemeralSessionService["commsRuntime"]>().returns.resolves.toEqualTypeOf<warren.RemoteCommsRuntime | undefined>();
    expectTypeOf<EphemeralSessionService["systemContextState"]>().returns.resolves.toEqualTypeOf<
      warren.SystemContextSnapshot | undefined
    >();
    expectTypeOf<EphemeralSessionService["releaseQuarantine"]>().returns.resolves.toBeVoid();
    expectTypeOf<EphemeralSessionService["waitSessionRegistered"]>().returns.resolves.toEqualTypeOf<Id>();
    expectTypeOf<EphemeralSessionService["shutdown"]>().toBeCallableWith({ deadlineMs: 1 });
    expectTypeOf<EphemeralSessionService["inspect"]>().returns.toEqualTypeOf<warren.HostSnapshot>();
  });
});

describe("what is asked", () => {
  test("options", () => {
    type Options = warren.SessionServiceOptions;
    expectTypeOf<Options["agent"]>().toEqualTypeOf<warren.AgentModule | Record<string, warren.AgentModule>>();
    expectTypeOf<warren.AgentModule>().toEqualTypeOf<URL | string>();
    expectTypeOf<{ agent: string }>().toExtend<Options>();
    expectTypeOf<{
      agent: { a: URL };
      maxSessions: number;
      lanes: {
        count: "auto";
        dedicatedMax: number;
        resourceLimits: { maxOldGenerationSizeMb: number; maxYoungGenerationSizeMb: number; stackSizeMb: number };
        dedicatedResourceLimits: warren.ResourceLimits;
        env: Record<string, string>;
        execArgv: string[];
      };
      latency: "low";
      interruptGraceMs: number;
      laneStallMs: number;
      laneStallPolicy: "kill";
      consumerStallMs: number;
      archivedViewsMax: number;
      maxPromptBytes: number;
      logger: warren.Logger;
    }>().toExtend<Options>();
    // @ts-expect-error an agent is needed
    expectTypeOf<{ maxSessions: number }>().toExtend<Options>();
    expectTypeOf(builtinAgents).toExtend<Record<string, warren.AgentModule>>();
  });

  test("requests need a prompt, and may say undefined for what they do not say", () => {
    type Create = warren.CreateSessionRequest;
    type Start = warren.StartTurnRequest;
    expectTypeOf<{ prompt: string }>().toExtend<Create & Start>();
    expectTypeOf<{ prompt: string; agent: undefined; labels: undefined }>().toExtend<Create>();
    expectTypeOf<Create["initialTurn"]>().toEqualTypeOf<"run_immediately" | "defer" | undefined>();
    expectTypeOf<Create["isolation"]>().toEqualTypeOf<"shared" | "dedicated" | undefined>();
    expectTypeOf<Create["resourceLimits"]>().toEqualTypeOf<warren.ResourceLimits | undefined>();
    expectTypeOf<Create["labels"]>().toEqualTypeOf<Record<string, string> | undefined>();
    expectTypeOf<Create["onEvent"]>().toEqualTypeOf<warren.OnEvent | undefined>();
    expectTypeOf<Start["flowToolOverlay"]>().toEqualTypeOf<warren.ToolOverlay | undefined>();
    expectTypeOf<Start["additionalInstructions"]>().toEqualTypeOf<string[] | undefined>();
    expectTypeOf<Start["executionKind"]>().toEqualTypeOf<"content_turn" | "resume_pending" | undefined>();
    expectTypeOf<Start["idempotencyScope"]>().toEqualTypeOf<"session" | "last_turn" | undefined>();
    expectTypeOf<Start["onBusy"]>().toEqualTypeOf<"reject" | "enqueue" | "interrupt" | "rollback" | "latest" | "merge" | undefined>();
    expectTypeOf<keyof Create>().toEqualTypeOf<
      | "prompt"
      | "sessionId"
      | "idempotencyKey"
      | "agent"
      | "model"
      | "systemPrompt"
      | "maxTokens"
      | "initialTurn"
      | "hostMode"
      | "labels"
      | "skillReferences"
      | "isolation"
      | "resourceLimits"
      | "build"
      | "onEvent"
    >();
    expectTypeOf<keyof Start>().toEqualTypeOf<
      | "prompt"
      | "hostMode"
      | "skillReferences"
      | "flowToolOverlay"
      | "additionalInstructions"
      | "executionKind"
      | "preTurnContextAppends"
      | "timeoutMs"
      | "idempotencyKey"
      | "idempotencyScope"
      | "onBusy"
      | "onEvent"
    >();
    expectTypeOf<keyof warren.CallOptions>().toEqualTypeOf<"signal" | "onAdmitted" | "onQueued">();
    expectTypeOf<keyof warren.SessionQuery>().toEqualTypeOf<"labels" | "after" | "offset" | "limit">();
    expectTypeOf<keyof warren.SessionHistoryQuery>().toEqualTypeOf<"offset" | "limit">();
    expectTypeOf<warren.EventCursor>().toEqualTypeOf<string | number>();
    expectTypeOf<warren.AppendSystemContextRequest>().toEqualTypeOf<{
      text: string;
      source?: string | undefined;
      idempotencyKey?: string | undefined;
    }>();
  });

  test("a consumer may wait or not", () => {
    expectTypeOf<(envelope: warren.EventEnvelope) => void>().toExtend<warren.OnEvent>();
    expectTypeOf<(envelope: warren.EventEnvelope) => Promise<void>>().toExtend<warren.OnEvent>();
  });
});
