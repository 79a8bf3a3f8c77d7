/** Wrong arguments: refused as INVALID_PARAMS that names the field, on every public call, and nothing has changed. */
import { describe, expect, test } from "vitest";

import { EphemeralSessionService, SessionError } from "../../dist/src/index.js";
import { SCRIPTED, codeOf, deferred, sharedHost } from "../helpers/hosts.ts";

const host = sharedHost({ agent: { scripted: SCRIPTED, other: SCRIPTED }, maxPromptBytes: 1000 });
const wrong = (value: unknown): never => value as never;

/** What must not change by a refused call. */
function countsOf(service: EphemeralSessionService): object {
  const { sessions, turns, slots, subscribers, lanes } = service.inspect();
  return { sessions, turns, slots, subscribers, records: lanes.map(({ sentRecords, sessions: held }) => [sentRecords, held]) };
}

/** Make a call that must be refused without a trace. @returns the field its error names */
async function refusedFor(call: () => unknown): Promise<unknown> {
  await new Promise(setImmediate);
  const before = countsOf(host());
  let error: unknown;
  try {
    await call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(SessionError);
  const { code, message, details, disposition } = error as SessionError;
  expect({ code, disposition }).toEqual({ code: "INVALID_PARAMS", disposition: "bug" });
  expect(message).toContain(details?.["field"]);
  await new Promise(setImmediate);
  expect(countsOf(host())).toEqual(before);
  return details?.["field"];
}

const CREATES: [string, unknown][] = [
  ["request", undefined],
  ["request", null],
  ["request", "a prompt"],
  ["request", []],
  ["request.prompt", { agent: "scripted" }],
  ["request.prompt", { agent: "scripted", prompt: 42 }],
  ["request.prompt", { agent: "scripted", prompt: "x".repeat(1001) }],
  ["request.prompt", { agent: "scripted", prompt: "ä".repeat(501) }],
  ["request.agent", { prompt: "x" }],
  ["request.agent", { prompt: "x", agent: "nobody" }],
  ["request.agent", { prompt: "x", agent: "toString" }],
  ["request.agent", { prompt: "x", agent: 1 }],
  ["request.surprise", { agent: "scripted", prompt: "x", surprise: true }],
  ["request.initialTurn", { agent: "scripted", prompt: "x", initialTurn: "later" }],
  ["request.isolation", { agent: "scripted", prompt: "x", isolation: "space" }],
  ["request.resourceLimits", { agent: "scripted", prompt: "x", resourceLimits: { maxOldGenerationSizeMb: 64 } }],
  ["request.resourceLimits", { agent: "scripted", prompt: "x", isolation: "shared", resourceLimits: {} }],
  [
    "request.resourceLimits.maxOldGenerationSizeMb",
    { agent: "scripted", prompt: "x", isolation: "dedicated", resourceLimits: { maxOldGenerationSizeMb: "64" } },
  ],
  ["request.maxTokens", { agent: "scripted", prompt: "x", maxTokens: -1 }],
  ["request.maxTokens", { agent: "scripted", prompt: "x", maxTokens: 1.5 }],
  ["request.hostMode", { agent: "scripted", prompt: "x", hostMode: "yes" }],
  ["request.labels", { agent: "scripted", prompt: "x", labels: "blue" }],
  ["request.labels.team", { agent: "scripted", prompt: "x", labels: { team: 1 } }],
  ["request.labels", { agent: "scripted", prompt: "x", labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, "v"])) }],
  [
    "request.skillReferences.0.skillName",
    { agent: "scripted", prompt: "x", skillReferences: [{ sourceUuid: "s", skillName: "Not Valid" }] },
  ],
  ["request.build", { agent: "scripted", prompt: "x", build: [1] }],
  ["request.build.a.b", { agent: "scripted", prompt: "x", build: { a: { b: () => {} } } }],
  ["request.build.when", { agent: "scripted", prompt: "x", build: { when: new Date() } }],
  [
    "request.build.resumeSession.messages.0.role",
    {
      agent: "scripted",
      prompt: "x",
      build: {
        resumeSession: {
          version: 1,
          id: "a",
          messages: [{ role: "nobody" }],
          createdAt: 0,
          updatedAt: 0,
          metadata: {},
          usage: { inputTokens: 0, outputTokens: 0 },
        },
      },
    },
  ],
  ["request.onEvent", { agent: "scripted", prompt: "x", onEvent: "call me" }],
];

describe("requests", () => {
  test.each(CREATES)("A5: createSession names %s", async (field, request) => {
    expect(await refusedFor(() => host().createSession(wrong(request)))).toBe(field);
  });

  test.each([
    ["request", null],
    ["request.prompt", {}],
    ["request.prompt", { prompt: null }],
    ["request.prompt", { prompt: "x".repeat(900), additionalInstructions: ["y".repeat(100)] }],
    ["request.agent", { prompt: "x", agent: "scripted" }],
    ["request.timeoutMs", { prompt: "x", timeoutMs: 0 }],
    ["request.timeoutMs", { prompt: "x", timeoutMs: -5 }],
    ["request.timeoutMs", { prompt: "x", timeoutMs: Number.NaN }],
    ["request.timeoutMs", { prompt: "x", timeoutMs: 2 ** 31 }],
    ["request.additionalInstructions.1", { prompt: "x", additionalInstructions: ["a", 2] }],
    ["request.flowToolOverlay.allowedTools", { prompt: "x", flowToolOverlay: { allowedTools: "all" } }],
    ["request.flowToolOverlay.tools", { prompt: "x", flowToolOverlay: { tools: [] } }],
    ["request.executionKind", { prompt: "x", executionKind: "other" }],
    ["request.onBusy", { prompt: "x", onBusy: "wait" }],
    ["request.onEvent", { prompt: "x", onEvent: {} }],
  ] as [string, unknown][])("A10: startTurn and streamTurn name %s", async (field, request) => {
    const id = await deferred(host(), { agent: "scripted" });
    expect(await refusedFor(() => host().startTurn(id, wrong(request)))).toBe(field);
    expect(await refusedFor(() => host().streamTurn(id, wrong(request)).result)).toBe(field);
    expect((await host().read(id)).state.isActive).toBe(false);
  });

  test("A39: streamTurn takes no onEvent", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    expect(await refusedFor(() => host().streamTurn(id, wrong({ prompt: "x", onEvent: () => {} })).result)).toBe("request.onEvent");
  });

  test.each([
    ["options", null],
    ["options", 5],
    ["options.signal", { signal: {} }],
    ["options.onAdmitted", { onAdmitted: 1 }],
    ["options.onQueued", { onQueued: "call me" }],
    ["options.timeout", { timeout: 5 }],
  ] as [string, unknown][])("A10: call options name %s", async (field, options) => {
    const id = await deferred(host(), { agent: "scripted" });
    expect(await refusedFor(() => host().startTurn(id, { prompt: "x" }, wrong(options)))).toBe(field);
    expect(await refusedFor(() => host().streamTurn(id, { prompt: "x" }, wrong(options)).result)).toBe(field);
    expect(await refusedFor(() => host().createSession({ agent: "scripted", prompt: "x" }, wrong(options)))).toBe(field);
  });

  test("A10: every mode of onBusy is taken, and what is wrong beside it is refused all the same", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    for (const onBusy of ["reject", "enqueue", "interrupt", "rollback", "latest", "merge"] as const) {
      expect((await host().startTurn(id, { prompt: onBusy, onBusy })).text).toBe(onBusy);
      expect(await refusedFor(() => host().startTurn(id, { prompt: "x", onBusy, timeoutMs: 0 }))).toBe("request.timeoutMs");
      expect(await refusedFor(() => host().startTurn(wrong(5), { prompt: "x", onBusy }))).toBe("id");
      expect(await codeOf(host().startTurn("nobody", { prompt: "x", onBusy }))).toBe("SESSION_NOT_FOUND");
    }
  });

  test.each([
    ["query", null],
    ["query.limit", { limit: -1 }],
    ["query.limit", { limit: 1.5 }],
    ["query.limit", { limit: "10" }],
    ["query.offset", { offset: -1 }],
    ["query.offset", { offset: Infinity }],
  ] as [string, unknown][])("A19, A26: list and readHistory name %s", async (field, query) => {
    const id = await deferred(host(), { agent: "scripted" });
    expect(await refusedFor(() => host().list(wrong(query)))).toBe(field);
    expect(await refusedFor(() => host().readHistory(id, wrong(query)))).toBe(field);
  });

  test.each([
    ["options", null],
    ["options", 5],
    ["options.messages", { messages: -1 }],
    ["options.messages", { messages: 1.5 }],
    ["options.messages", { messages: "all" }],
    ["options.messages", { messages: Number.NaN }],
    ["options.labels", { labels: ["a"] }],
    ["options.labels.team", { labels: { team: 1 } }],
    ["options.labels", { labels: JSON.parse('{"__proto__": "x"}') as unknown }],
    ["options.prompt", { prompt: "x" }],
  ] as [string, unknown][])("FK4: forkSession names %s", async (field, options) => {
    const id = await deferred(host(), { agent: "scripted" });
    expect(await refusedFor(() => host().forkSession(id, wrong(options)))).toBe(field);
  });

  test("A20: list names what is wrong with its filter", async () => {
    expect(await refusedFor(() => host().list(wrong({ labels: { team: 1 } })))).toBe("query.labels.team");
    expect(await refusedFor(() => host().list(wrong({ after: 1 })))).toBe("query.after");
    expect(await refusedFor(() => host().list(wrong({ state: "active" })))).toBe("query.state");
  });

  test("A28, A31: system context names its fields", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    expect(await refusedFor(() => host().appendSystemContext(id, wrong(null)))).toBe("request");
    expect(await refusedFor(() => host().appendSystemContext(id, wrong({})))).toBe("request.text");
    expect(await refusedFor(() => host().appendSystemContext(id, { text: " " }))).toBe("request.text");
    expect(await refusedFor(() => host().appendSystemContext(id, wrong({ text: "x", source: 1 })))).toBe("request.source");
    expect(await refusedFor(() => host().appendSystemContext(id, { text: "x", idempotencyKey: "" }))).toBe("request.idempotencyKey");
    expect(await refusedFor(() => host().applyRuntimeSystemContext(id, wrong({ text: "x" })))).toBe("appends");
    expect(await refusedFor(() => host().applyRuntimeSystemContext(id, wrong([{ text: "x" }, { text: 1 }])))).toBe("appends.1.text");
    expect(await host().systemContextState(id)).toEqual({ pending: [], seen: {} });
  });

  test("A35: a subscription names its options", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    expect(await refusedFor(() => host().subscribeSessionEvents(id, wrong(null)))).toBe("options");
    for (const bufferSize of [0, -1, 1.5, "many"])
      expect(await refusedFor(() => host().subscribeSessionEvents(id, wrong({ bufferSize })))).toBe("options.bufferSize");
    expect(await refusedFor(() => host().subscribeSessionEvents(id, wrong({ after: {} })))).toBe("options.after");
    expect(() => host().subscribeSessionEvents(id, { after: 3 })).toThrow(
      expect.objectContaining({ code: "SESSION_PERSISTENCE_DISABLED" }),
    );
  });

  test("A40: shutdown names its deadline, and does not begin", async () => {
    for (const deadlineMs of [-1, Number.NaN, "soon"])
      expect(await refusedFor(() => host().shutdown(wrong({ deadlineMs })))).toBe("options.deadlineMs");
    expect(await refusedFor(() => host().shutdown(wrong(null)))).toBe("options");
    expect(host().inspect().state).toBe("open");
  });

  test("A15: interruptTurn names its ticket", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    for (const ticket of [undefined, null, "1", 0, -1, 1.5])
      expect(await refusedFor(() => host().interruptTurn(id, wrong(ticket)))).toBe("ticket");
  });

  test.each([
    ["null", null],
    ["undefined", undefined],
    ["a number", 42],
    ["an object", {}],
    ["an empty text", ""],
    ["a very long text", "x".repeat(257)],
    ["a symbol", Symbol("id")],
  ] as [string, unknown][])("A38: an id that is %s is refused by every call", async (_, id) => {
    const service = host();
    const bad = wrong(id);
    expect(await refusedFor(() => service.startTurn(bad, { prompt: "x" }))).toBe("id");
    expect(await refusedFor(() => service.streamTurn(bad, { prompt: "x" }).result)).toBe("id");
    expect(await refusedFor(() => service.interrupt(bad))).toBe("id");
    expect(await refusedFor(() => service.interruptTurn(bad, 1))).toBe("id");
    expect(await refusedFor(() => service.cancelAfterBoundary(bad))).toBe("id");
    expect(await refusedFor(() => service.read(bad))).toBe("id");
    expect(await refusedFor(() => service.readHistory(bad))).toBe("id");
    expect(await refusedFor(() => service.exportSession(bad))).toBe("id");
    expect(await refusedFor(() => service.forkSession(bad))).toBe("id");
    expect(await refusedFor(() => service.archive(bad))).toBe("id");
    expect(await refusedFor(() => service.discardLiveSession(bad))).toBe("id");
    expect(await refusedFor(() => service.appendSystemContext(bad, { text: "x" }))).toBe("id");
    expect(await refusedFor(() => service.applyRuntimeSystemContext(bad, [{ text: "x" }]))).toBe("id");
    expect(await refusedFor(() => service.systemContextState(bad))).toBe("id");
    expect(await refusedFor(() => service.subscribeSessionEvents(bad))).toBe("id");
    expect(await refusedFor(() => service.eventInjector(bad))).toBe("id");
    expect(await refusedFor(() => service.interactionEventInjector(bad))).toBe("id");
    expect(await refusedFor(() => service.commsRuntime(bad))).toBe("id");
    expect(await refusedFor(() => service.releaseQuarantine(bad))).toBe("id");
  });
});

test.each([
  ["options", undefined],
  ["options", "agent.mjs"],
  ["options.agent", {}],
  ["options.agent", { agent: 42 }],
  ["options.agent", { agent: {} }],
  ["options.maxSessions", { agent: SCRIPTED, maxSessions: 0 }],
  ["options.maxSessions", { agent: SCRIPTED, maxSessions: 2.5 }],
  ["options.lanes.count", { agent: SCRIPTED, lanes: { count: 0 } }],
  ["options.lanes.count", { agent: SCRIPTED, lanes: { count: "all" } }],
  ["options.lanes.threads", { agent: SCRIPTED, lanes: { threads: 2 } }],
  ["options.lanes.env.PATH", { agent: SCRIPTED, lanes: { env: { PATH: 1 } } }],
  ["options.lanes.resourceLimits.maxOldGenerationSizeMb", { agent: SCRIPTED, lanes: { resourceLimits: { maxOldGenerationSizeMb: -1 } } }],
  ["options.lanes.dedicatedResourceLimits.heapMb", { agent: SCRIPTED, lanes: { dedicatedResourceLimits: { heapMb: 64 } } }],
  ["options.lanes.hogPolicy", { agent: SCRIPTED, lanes: { hogPolicy: "kill" } }],
  ["options.lanes.externalMemoryMaxMb", { agent: SCRIPTED, lanes: { externalMemoryMaxMb: 0 } }],
  ["options.latency", { agent: SCRIPTED, latency: "none" }],
  ["options.interruptGraceMs", { agent: SCRIPTED, interruptGraceMs: -1 }],
  ["options.consumerStallMs", { agent: SCRIPTED, consumerStallMs: Infinity }],
  ["options.maxPromptBytes", { agent: SCRIPTED, maxPromptBytes: "4 MiB" }],
  ["options.logger", { agent: SCRIPTED, logger: {} }],
  ["options.surprise", { agent: SCRIPTED, surprise: 1 }],
] as [string, unknown][])("A5: open names %s", async (field, options) => {
  expect(await refusedFor(() => EphemeralSessionService.open(wrong(options)))).toBe(field);
});

test("A42: keys of labels and of build options that JavaScript treats specially do no harm", async () => {
  const service = host();
  const hostile = JSON.parse('{"__proto__": "polluted", "constructor": "x"}') as Record<string, string>;
  const outcome = await service.createSession({ agent: "scripted", prompt: "x", labels: hostile }).then(
    async ({ sessionId }) =>
      Object.entries((await service.read(sessionId)).state.labels)
        .map(String)
        .sort(),
    (error: SessionError) => error.code,
  );
  // Kept as they are, or refused; never a prototype, never lost in silence.
  expect([["__proto__,polluted", "constructor,x"], "INVALID_PARAMS"]).toContainEqual(outcome);
  expect(
    await refusedFor(() =>
      service.createSession({ agent: "scripted", prompt: "x", build: { deep: JSON.parse('{"__proto__": {"a": 1}}') as never } }),
    ),
  ).toBe("request.build.deep.__proto__");
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});
