/** Values that callers and agents hand over: every schema, the shortcuts past them, events, results, and what an agent throws. */
import { isDeepStrictEqual } from "node:util";

import type * as z from "zod";

import { turnFailure, buildFailure, describeError } from "../../../src/lane/agent-errors.ts";
import { outcomeOf } from "../../../src/lane/turn-outcome.ts";
import { ERRORS, SessionError, fromWire, toWire } from "../../../src/protocol/errors.ts";
import type { WireError } from "../../../src/protocol/errors.ts";
import { parseEvent } from "../../../src/protocol/events.ts";
import { CommsCommandParam, InjectSourceParam, PeerParam } from "../../../src/protocol/handles.ts";
import { NotJsonError, approximateBytes, cloneJson } from "../../../src/protocol/json.ts";
import { PersistenceOptionsSchema, SessionServiceOptionsSchema } from "../../../src/protocol/options.ts";
import { parseInput } from "../../../src/protocol/parse.ts";
import * as requests from "../../../src/protocol/requests.ts";
import { list } from "../../../src/protocol/list.ts";
import { Message, Session, SessionSnapshot } from "../../../src/protocol/session-model.ts";
import { ordinaryMessages, ordinaryResult, ordinarySession, ordinarySnapshot, promptOnly } from "../../../src/protocol/shortcuts.ts";
import { RunResultSchema } from "../../../src/protocol/views.ts";
import { decodeValue, encodeValue } from "../../../src/transport/codec.ts";
import type { Boundary } from "../boundary.ts";
import { attempt, expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { hostile, mutateValue } from "../mutate-values.ts";
import { notPlain } from "../prototypes.ts";
import type { Random } from "../random.ts";

const SAMPLES = 300;
/** Some hold a text of five million characters, which is copied, or a list of twenty thousand that is wrong in every member. */
const ALLOWED_BYTES = 160 * 1024 * 1024;
const NODES_MAX = 2_000_000;

/** INVALID_PARAMS that says which field, and why. */
function isInvalid(error: unknown): boolean {
  if (!(error instanceof SessionError) || error.code !== "INVALID_PARAMS") return false;
  const { field, issues } = error.details as { field?: unknown; issues?: unknown };
  expectThat(typeof field === "string" && field.startsWith("request"), `the field ${String(field)}`);
  expectThat(Array.isArray(issues) && issues.length > 0 && error.message.includes(field), "issues, and the field in the message");
  return true;
}

/** What a schema lets through beside plain data. */
function withoutCallbacks(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const {
    onEvent: _onEvent,
    onAdmitted: _onAdmitted,
    signal: _signal,
    logger: _logger,
    agent: _agent,
    ...rest
  } = value as Record<string, unknown>;
  return rest;
}

/** @param schema - parsed as the host parses it; what comes out is plain data, and comes out unchanged when it is parsed again */
function schema(name: string, shape: z.ZodType, sample: (random: Random) => unknown): Boundary {
  const samples = make.samplesOf(SAMPLES, sample);
  for (const value of samples) parseInput(shape, value, "request");
  return {
    name: `schema: ${name}`,
    allowedBytes: ALLOWED_BYTES,
    make: (random) => mutateValue(random, random.pick(samples)),
    check: (value) => {
      const parsed = attempt(() => parseInput(shape, value, "request"), isInvalid);
      if (parsed === undefined) return "refused";
      const problem = notPlain(withoutCallbacks(parsed.value), NODES_MAX);
      expectThat(problem === undefined, `what was parsed is no plain data: ${problem}`);
      expectThat(isDeepStrictEqual(parseInput(shape, parsed.value, "request"), parsed.value), "parsed again it is another value");
      return "accepted";
    },
  };
}

/** A shortcut agrees with its schema whenever it decides. For values that say the same at every reading. */
function shortcut(name: string, take: (value: unknown) => unknown, shape: z.ZodType, sample: (random: Random) => unknown): Boundary {
  const samples = make.samplesOf(SAMPLES, sample);
  return {
    name: `shortcut: ${name}`,
    allowedBytes: ALLOWED_BYTES,
    make: (random) => mutateValue(random, random.pick(samples), true),
    check: (value) => {
      const first = attempt(
        () => take(value),
        () => true,
      );
      const second = attempt(
        () => shape.safeParse(value),
        () => true,
      );
      if (first?.value === undefined || second === undefined) return "refused";
      expectThat(second.value.success, "the schema refuses what the shortcut takes");
      // An absent member and one that is undefined are the same to everybody behind.
      expectThat(
        isDeepStrictEqual(withoutUndefined(second.value.data), withoutUndefined(first.value)),
        "the schema makes something else of it",
      );
      return "accepted";
    },
  };
}

function withoutUndefined(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, withoutUndefined(member)]),
  );
}

const events = make.samplesOf(SAMPLES, make.eventOf);
const event: Boundary = {
  name: "event of an agent",
  allowedBytes: ALLOWED_BYTES,
  weight: 2,
  make: (random) => mutateValue(random, random.pick(events)),
  check: (value) => {
    const parsed = parseEvent(value);
    if (!parsed.ok) {
      expectThat(typeof parsed.problem === "string" && parsed.problem.length > 0, "a problem in words");
      return "refused";
    }
    const problem = notPlain(parsed.event, NODES_MAX);
    expectThat(problem === undefined, `an event that is no plain data: ${problem}`);
    expectThat(typeof parsed.event.type === "string" && parsed.event.type !== "", "a type");
    const again = parseEvent(parsed.event);
    expectThat(again.ok && isDeepStrictEqual(again.event, parsed.event), "parsed again it is another event");
    return "accepted";
  },
};

const results = make.samplesOf(SAMPLES, make.resultOf);
const result: Boundary = {
  name: "result of an agent",
  allowedBytes: ALLOWED_BYTES,
  weight: 2,
  make: (random) => mutateValue(random, random.pick(results)),
  check: (value) => {
    const outcome = outcomeOf(value);
    if (!outcome.ok) {
      checkWire(outcome.error);
      return "refused";
    }
    const problem = notPlain(outcome.result, NODES_MAX);
    expectThat(problem === undefined, `a result that is no plain data: ${problem}`);
    expectThat(RunResultSchema.safeParse(outcome.result).success, "a result that is none");
    return "accepted";
  },
};

export function checkWire(wire: WireError): void {
  expectThat(Object.hasOwn(ERRORS, wire.code) && typeof wire.message === "string", "an error's code or message");
  const problem = notPlain(wire, NODES_MAX);
  expectThat(problem === undefined, `an error that is no plain data: ${problem}`);
  const { agentError, details } = wire;
  expectThat(agentError === undefined || (typeof agentError.kind === "string" && typeof agentError.message === "string"), "agentError");
  expectThat(details === undefined || (typeof details === "object" && details !== null && !Array.isArray(details)), "details");
  const crossed = fromWire(decodeValue(encodeValue(wire)) as WireError, "s");
  expectThat(crossed instanceof SessionError && ["retry", "give-up", "bug"].includes(crossed.disposition), "an error on the other side");
  expectThat(crossed.message === wire.message || /\p{Surrogate}/u.test(wire.message), "its message");
  expectThat(toWire(crossed).code === wire.code, "its code");
}

class Thrown extends Error {}
const unreadable = (): never => {
  throw new Error("from a getter");
};
/** What an agent may throw, by design or not. */
export function thrownOf(random: Random): unknown {
  const error = random.oneIn(2) ? new Thrown("thrown") : {};
  void (error as Error).stack; // made now, not while it is being damaged
  for (const member of ["name", "message", "kind", "details", "code", "agentError", "stack", "cause"]) {
    if (random.oneIn(2)) continue;
    const usual = {
      code: random.pick(Object.keys(ERRORS)),
      details: make.jsonOf(random),
      agentError: { kind: "k", message: "m", details: 1 },
    };
    const value = random.oneIn(2) ? hostile(random) : (usual[member as keyof typeof usual] ?? make.textOf(random));
    Object.defineProperty(error, member, random.oneIn(6) ? { get: unreadable, configurable: true } : { value, configurable: true });
  }
  return random.oneIn(4) ? hostile(random) : error;
}

const thrown: Boundary = {
  name: "what an agent throws",
  allowedBytes: ALLOWED_BYTES,
  weight: 2,
  make: thrownOf,
  check: (value) => {
    checkWire(turnFailure(value));
    checkWire(buildFailure(value));
    expectThat(typeof describeError(value) === "string", "a description");
    return "accepted";
  },
};

const jsons = make.samplesOf(SAMPLES, (random) => make.jsonOf(random, 4));
const json: Boundary = {
  name: "json",
  allowedBytes: ALLOWED_BYTES,
  weight: 2,
  make: (random) => mutateValue(random, [random.pick(jsons)]),
  check: (value) => {
    // A getter's own error is its owner's to see: every caller of this one catches.
    const copy = attempt(
      () => cloneJson(value),
      (error) => error instanceof NotJsonError || !(error instanceof RangeError),
    );
    if (copy === undefined) return "refused";
    const problem = notPlain(copy.value, NODES_MAX);
    expectThat(problem === undefined, `a copy that is no plain data: ${problem}`);
    const crossed = decodeValue(encodeValue(copy.value));
    expectThat(
      hasLoneSurrogate(copy.value) || isDeepStrictEqual(withoutMinusZero(crossed), withoutMinusZero(copy.value)),
      "in msgpack it is another value",
    );
    const bytes = approximateBytes(copy.value);
    expectThat(Number.isFinite(bytes) && bytes > 0, "a size");
    return "accepted";
  },
};
/** Msgpack of ours does not tell -0 from 0. */
const withoutMinusZero = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const hasLoneSurrogate = (value: unknown): boolean => /\\ud[89a-f]/i.test(JSON.stringify(value));

const snapshotOf = (random: Random): object => ({
  createdAt: make.timeOf(random),
  updatedAt: make.timeOf(random),
  messageCount: random.below(100),
  usage: { inputTokens: random.below(10), outputTokens: random.below(10) },
  ...(random.oneIn(2) && { lastAssistantText: make.textOf(random) }),
});
const turnOf = (random: Random): object => ({
  prompt: make.textOf(random),
  ...(random.oneIn(3) && { timeoutMs: 1 + random.below(1000) }),
  ...(random.oneIn(3) && { idempotencyKey: make.nameOf(random) }),
  ...(random.oneIn(3) && { flowToolOverlay: { allowedTools: ["a"], blockedTools: [] } }),
  ...(random.oneIn(3) && { additionalInstructions: ["a", "b"] }),
  ...(random.oneIn(3) && { executionKind: random.pick(["content_turn", "resume_pending"]) }),
  ...(random.oneIn(3) && { preTurnContextAppends: make.appendsOf(random) }),
});
const optionsOf = (random: Random): object => ({
  agent: random.oneIn(2) ? "module" : { [make.nameOf(random)]: "module" },
  lanes: { count: 2, env: { A: "b" }, execArgv: [], resourceLimits: { stackSizeMb: 1 } },
  maxSessions: 1 + random.below(100),
});

const ordinaryMessagesOf = (random: Random): Message[] => [
  { role: "system", content: make.textOf(random) },
  { role: "user", content: make.textOf(random) },
  { role: "assistant", content: make.textOf(random), toolCalls: [], stopReason: "end_turn", usage: { inputTokens: 1, outputTokens: 2 } },
];

export const VALUES: readonly Boundary<never>[] = [
  schema("createSession", requests.CreateSessionRequestSchema, make.createRequestOf),
  schema("startTurn", requests.StartTurnRequestSchema, turnOf),
  schema("call options", requests.CallOptionsSchema, () => ({ signal: AbortSignal.abort(), onAdmitted: () => {} })),
  schema("list", requests.SessionQuerySchema, (random) => ({ labels: { a: make.textOf(random) }, after: "id", offset: 1, limit: 5 })),
  schema("history", requests.SessionHistoryQuerySchema, () => ({ offset: 1, limit: 5 })),
  schema("fork", requests.ForkOptionsSchema, (random) => ({ messages: random.below(9), labels: { a: make.textOf(random) } })),
  schema("system context", requests.AppendSystemContextRequestSchema, (random) => ({
    text: make.textOf(random),
    source: "a",
    idempotencyKey: make.nameOf(random),
  })),
  schema("appends", requests.SystemContextAppends, make.appendsOf),
  schema("subscribe", requests.SubscribeOptionsSchema, () => ({ bufferSize: 5, after: "cursor" })),
  schema("shutdown", requests.ShutdownOptionsSchema, () => ({ deadlineMs: 5 })),
  schema("session id", requests.SessionIdParam, make.nameOf),
  schema("ticket", requests.TicketParam, (random) => 1 + random.below(100)),
  schema("session to resume", Session, make.sessionOf),
  schema("message", Message, make.messageOf),
  schema("snapshot", SessionSnapshot, snapshotOf),
  schema("result", RunResultSchema, make.resultOf),
  schema("host options", SessionServiceOptionsSchema, optionsOf),
  schema("store options", PersistenceOptionsSchema, (random) => ({
    ...optionsOf(random),
    store: { kind: "module", module: "m", options: make.jsonOf(random) },
  })),
  schema("peer", PeerParam, (random) => ({ name: "p", ...make.recordOf(random, 2, () => make.jsonOf(random)) })),
  schema("comms command", CommsCommandParam, (random) => ({ kind: "input", ...make.recordOf(random, 2, () => make.jsonOf(random)) })),
  schema("inject source", InjectSourceParam, () => "tcp"),
  shortcut("prompt", promptOnly, requests.StartTurnRequestSchema, (random) =>
    random.oneIn(4) ? turnOf(random) : { prompt: make.textOf(random) },
  ),
  shortcut("result", ordinaryResult, RunResultSchema, (random) => ({
    text: make.textOf(random),
    turns: 1,
    toolCalls: 0,
    usage: { inputTokens: 1, outputTokens: 2 },
  })),
  shortcut("snapshot", ordinarySnapshot, SessionSnapshot, snapshotOf),
  shortcut("messages", ordinaryMessages, list(Message), ordinaryMessagesOf),
  shortcut("session", ordinarySession, Session, (random) => ({ ...make.sessionOf(random), messages: ordinaryMessagesOf(random) })),
  event,
  result,
  thrown,
  json,
] as readonly Boundary[] as readonly Boundary<never>[];
