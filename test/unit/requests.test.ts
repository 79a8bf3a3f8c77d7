import { describe, expect, test } from "vitest";
import type * as z from "zod";

import { SessionError } from "../../src/protocol/errors.ts";
import { SessionServiceOptionsSchema } from "../../src/protocol/options.ts";
import { parseInput, refuse } from "../../src/protocol/parse.ts";
import * as requests from "../../src/protocol/requests.ts";
import { Session } from "../../src/protocol/session-model.ts";

/** @returns the INVALID_PARAMS that `act` throws */
function refusalOf(act: () => unknown): SessionError {
  try {
    act();
  } catch (error) {
    if (error instanceof SessionError && error.code === "INVALID_PARAMS") return error;
    throw error;
  }
  throw new Error("the input was accepted");
}
const fieldOf = (schema: z.ZodType, value: unknown, what = "request"): unknown =>
  refusalOf(() => parseInput(schema, value, what)).details?.["field"];

test("an append's idempotency key is not __proto__: a stored record could not say so", () => {
  const field = fieldOf(requests.AppendSystemContextRequestSchema, { text: "a", idempotencyKey: "__proto__" });
  expect(field).toBe("request.idempotencyKey");
});

describe("parseInput", () => {
  test("the message and the details name the first wrong field, the issues all of them", () => {
    const error = refusalOf(() => parseInput(requests.CreateSessionRequestSchema, { prompt: 1, labels: { a: 2 } }, "request"));
    expect(error.message).toMatch(/^invalid request\.prompt: /);
    expect(error).toMatchObject({ disposition: "bug", details: { field: "request.prompt" } });
    const { issues } = error.details as { issues: { field: string }[] };
    expect(issues.map(({ field }) => field)).toEqual(["request.prompt", "request.labels.a"]);
  });

  test("a value that is no object at all is named by the argument", () => {
    expect(fieldOf(requests.StartTurnRequestSchema, undefined)).toBe("request");
    expect(fieldOf(requests.SessionIdParam, 5, "id")).toBe("id");
  });

  test("refuse() makes the same error for a field found by other means", () => {
    const error = refusalOf(() => refuse("request.agent", "is unknown"));
    expect({ message: error.message, details: error.details }).toEqual({
      message: "invalid request.agent: is unknown",
      details: { field: "request.agent", issues: [{ field: "request.agent", problem: "is unknown" }] },
    });
  });
});

describe("CreateSessionRequest", () => {
  const schema = requests.CreateSessionRequestSchema;

  test("everything a request may say passes", () => {
    const request: requests.CreateSessionRequest = {
      prompt: "p",
      agent: "a",
      model: "m",
      systemPrompt: "s",
      maxTokens: 1,
      initialTurn: "defer",
      hostMode: true,
      labels: { k: "v" },
      skillReferences: [{ sourceUuid: "u", skillName: "a-b1" }],
      isolation: "dedicated",
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      build: { any: [1, { json: null }] },
      onEvent: () => {},
    };
    expect(parseInput(schema, request, "request")).toEqual(request);
  });

  test.each([
    [{}, "request.prompt"],
    [{ prompt: 1 }, "request.prompt"],
    [{ prompt: "p", agent: "" }, "request.agent"],
    [{ prompt: "p", maxTokens: 0 }, "request.maxTokens"],
    [{ prompt: "p", maxTokens: 1.5 }, "request.maxTokens"],
    [{ prompt: "p", initialTurn: "later" }, "request.initialTurn"],
    [{ prompt: "p", isolation: "process" }, "request.isolation"],
    [{ prompt: "p", isolation: "dedicated", resourceLimits: { stackSizeMb: 0 } }, "request.resourceLimits.stackSizeMb"],
    [{ prompt: "p", isolation: "dedicated", resourceLimits: { heapMb: 9 } }, "request.resourceLimits.heapMb"],
    [{ prompt: "p", labels: { a: 1 } }, "request.labels.a"],
    [{ prompt: "p", labels: { [""]: "v" } }, "request.labels."],
    [{ prompt: "p", labels: { a: "v".repeat(4097) } }, "request.labels.a"],
    [{ prompt: "p", labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])) }, "request.labels"],
    [{ prompt: "p", skillReferences: [{ sourceUuid: "u", skillName: "Bad" }] }, "request.skillReferences.0.skillName"],
    [{ prompt: "p", skillReferences: [{ sourceUuid: "u", skillName: "a--b" }] }, "request.skillReferences.0.skillName"],
    [{ prompt: "p", build: { f: () => 1 } }, "request.build.f"],
    [{ prompt: "p", build: { deep: { date: new Date(0) } } }, "request.build.deep.date"],
    [{ prompt: "p", onEvent: "print" }, "request.onEvent"],
    [{ prompt: "p", promt: "q" }, "request.promt"],
  ])("%j is refused at %s", (request, field) => {
    expect(fieldOf(schema, request)).toBe(field);
  });

  test("build options are copied", () => {
    const build = { a: { b: 1 } };
    const parsed = parseInput(schema, { prompt: "p", build }, "request");
    build.a.b = 2;
    expect(parsed.build).toEqual({ a: { b: 1 } });
  });
});

describe("StartTurnRequest", () => {
  test.each([
    [{ prompt: "p", flowToolOverlay: { allowedTools: "x" } }, "request.flowToolOverlay.allowedTools"],
    [{ prompt: "p", flowToolOverlay: { allowTools: [] } }, "request.flowToolOverlay.allowTools"],
    [{ prompt: "p", additionalInstructions: [1] }, "request.additionalInstructions.0"],
    [{ prompt: "p", executionKind: "other" }, "request.executionKind"],
    [{ prompt: "p", timeoutMs: 0 }, "request.timeoutMs"],
    [{ prompt: "p", timeoutMs: 2 ** 31 }, "request.timeoutMs"],
    [{ prompt: "p", timeoutMs: NaN }, "request.timeoutMs"],
    [{ prompt: "p", onBusy: "wait" }, "request.onBusy"],
    [{ prompt: "p", labels: {} }, "request.labels"],
  ])("%j is refused at %s", (request, field) => {
    expect(fieldOf(requests.StartTurnRequestSchema, request)).toBe(field);
  });
});

describe("the other requests", () => {
  test.each([
    ["an AbortSignal's look-alike", requests.CallOptionsSchema, { signal: { aborted: false } }, "request.signal"],
    ["a negative offset", requests.SessionQuerySchema, { offset: -1 }, "request.offset"],
    ["a fractional limit", requests.SessionHistoryQuerySchema, { limit: 0.5 }, "request.limit"],
    ["an empty id", requests.SessionIdParam, "", "request"],
    ["an id of 257 characters", requests.SessionIdParam, "x".repeat(257), "request"],
    ["a ring of nothing", requests.SubscribeOptionsSchema, { bufferSize: 0 }, "request.bufferSize"],
    ["an empty idempotency key", requests.AppendSystemContextRequestSchema, { text: "t", idempotencyKey: "" }, "request.idempotencyKey"],
    ["an append without text", requests.SystemContextAppends, [{ text: "t" }, {}], "request.1.text"],
    ["a negative deadline", requests.ShutdownOptionsSchema, { deadlineMs: -1 }, "request.deadlineMs"],
    ["ticket 0", requests.TicketParam, 0, "request"],
    ["a ticket beyond safe integers", requests.TicketParam, 2 ** 53, "request"],
    ["a session of another version", Session, { version: 2 }, "request.version"],
  ])("%s is refused", (_, schema, value, field) => {
    expect(fieldOf(schema, value)).toBe(field);
  });
});

describe("options", () => {
  const parse = (options: unknown): unknown => parseInput(SessionServiceOptionsSchema, options, "options");

  test("every default is filled in", () => {
    expect(parse({ agent: "x" })).toEqual({
      agent: "x",
      maxSessions: 100_000,
      lanes: { builtins: "fixed", count: "auto", dedicatedMax: 16, hogPolicy: "move", restartsMax: 10, restartWindowMs: 60_000 },
      latency: "balanced",
      interruptGraceMs: 5000,
      buildTimeoutMs: 60_000,
      laneStallMs: 10_000,
      laneStallPolicy: "report",
      consumerStallMs: 30_000,
      archivedViewsMax: 10_000,
      tracing: false,
      maxPromptBytes: 4 * 1024 * 1024,
    });
  });

  test.each([
    [{}, "options.agent"],
    [{ agent: {} }, "options.agent"],
    [{ agent: { a: 1 } }, "options.agent"],
    [{ agent: "x", maxSessions: 0 }, "options.maxSessions"],
    [{ agent: "x", lanes: { count: 0 } }, "options.lanes.count"],
    [{ agent: "x", lanes: { restartsMax: -1 } }, "options.lanes.restartsMax"],
    [{ agent: "x", lanes: { restartWindowMs: "1m" } }, "options.lanes.restartWindowMs"],
    [{ agent: "x", onHostEvent: {} }, "options.onHostEvent"],
    [{ agent: "x", lanes: { env: { A: 1 } } }, "options.lanes.env.A"],
    [{ agent: "x", lanes: { threads: 2 } }, "options.lanes.threads"],
    [{ agent: "x", latency: "none" }, "options.latency"],
    [{ agent: "x", interruptGraceMs: 2 ** 31 }, "options.interruptGraceMs"],
    [{ agent: "x", logger: { info() {} } }, "options.logger"],
    [{ agent: "x", maxSession: 1 }, "options.maxSession"],
  ])("%j is refused at %s", (options, field) => {
    expect(refusalOf(() => parse(options)).details?.["field"]).toBe(field);
  });
});
