import { describe, expect, test } from "vitest";

import { NO_RESULTS } from "../../src/cli/earlier-results.ts";
import type { EventRecord } from "../../src/cli/results.ts";
import { verdict } from "../../src/cli/results.ts";
import type { SessionRunnerOptions } from "../../src/cli/session-runner.ts";
import { SessionRunner } from "../../src/cli/session-runner.ts";
import type { TurnLine } from "../../src/cli/turn-line.ts";
import { SessionError } from "../../src/protocol/errors.ts";
import type { CallOptions, CreateSessionRequest, StartTurnRequest } from "../../src/protocol/requests.ts";
import type { RunResult } from "../../src/protocol/views.ts";

type Start = { start: string; prompt: string; timeoutMs: number | undefined; onBusy?: StartTurnRequest["onBusy"] };
type Call = { create: CreateSessionRequest } | Start;
const USAGE = { inputTokens: 1, outputTokens: 2 };

/** A service that answers with the prompt, fails for "fail", and has room for `room` sessions. */
function harness(
  options: Partial<SessionRunnerOptions> = {},
  room = 10,
): { runner: SessionRunner; calls: Call[]; run: (line: number, turn: TurnLine) => Promise<object> } {
  const calls: Call[] = [];
  let created = 0;
  const result = (text: string, sessionId: string): RunResult => ({ text, sessionId, turns: 1, toolCalls: 0, usage: USAGE });
  const service = {
    async createSession(create: CreateSessionRequest, call: CallOptions = {}): Promise<RunResult> {
      call.signal?.throwIfAborted();
      calls.push({ create });
      if (created >= room) throw new SessionError("AGENT_ERROR", "agent error: full");
      return result("", `id-${++created}`);
    },
    async startTurn(start: string, { prompt, timeoutMs, onBusy, onEvent }: StartTurnRequest, call: CallOptions = {}): Promise<RunResult> {
      call.signal?.throwIfAborted();
      calls.push({ start, prompt, timeoutMs, ...(onBusy && { onBusy }) });
      await onEvent?.({ eventId: "e", sourceId: "s", seq: 1, timestampMs: 0, payload: { type: "text_delta", delta: prompt } });
      if (prompt === "fail") throw new SessionError("AGENT_ERROR", "agent error: no");
      if (prompt === "cut") throw new SessionError("AGENT_ERROR", "cut", { details: { reason: "signal" } });
      if (prompt === "bug") throw new TypeError("a bug");
      return result(prompt, start);
    },
  };
  const signal = new AbortController().signal;
  const runner = new SessionRunner({ service, timeoutMs: undefined, onEvent: undefined, earlier: NO_RESULTS, signal, ...options });
  return { runner, calls, run: (line, turn) => runner.run({ line, turn }) };
}

describe("session runner", () => {
  test("R1: lines that do not wait for each other have one session, and start in their order", async () => {
    const { run, calls } = harness();
    const first = run(1, { session: "a", prompt: "x" });
    const second = run(2, { session: "a", prompt: "y", onBusy: "enqueue" });
    for (let tick = 0; calls.length < 2; tick++) await Promise.resolve(tick);
    const third = run(3, { session: "a", prompt: "z", onBusy: "interrupt" });
    expect((await Promise.all([first, second, third])).map((result) => (result as { record: { turn: number } }).record.turn)).toEqual([
      1, 2, 3,
    ]);
    expect(calls.map((call) => ("create" in call ? "create" : [call.prompt, call.onBusy]))).toEqual([
      "create",
      ["x", undefined],
      ["y", "enqueue"],
      ["z", "interrupt"],
    ]);
  });

  test("R1: the first line creates the session, deferred, with its labels; later ones run in it, numbered", async () => {
    const { run, calls, runner } = harness({ timeoutMs: 700 });
    const first = await run(3, { session: "a", prompt: "x", labels: { k: "v" } });
    const second = await run(5, { session: "a", prompt: "y", labels: { k: "v" }, timeoutMs: 9 });
    await run(6, { session: "b", prompt: "z" });
    expect(calls).toEqual([
      { create: { prompt: "", initialTurn: "defer", labels: { k: "v" } } },
      { start: "id-1", prompt: "x", timeoutMs: 700 },
      { start: "id-1", prompt: "y", timeoutMs: 9 },
      { create: { prompt: "", initialTurn: "defer", labels: {} } },
      { start: "id-2", prompt: "z", timeoutMs: 700 },
    ]);
    expect([first, second]).toEqual([
      { status: "ok", record: { session: "a", turn: 1, line: 3, ok: true, text: "x", usage: USAGE, durationMs: expect.any(Number) } },
      { status: "ok", record: { session: "a", turn: 2, line: 5, ok: true, text: "y", usage: USAGE, durationMs: expect.any(Number) } },
    ]);
    expect(runner.sessions).toBe(2);
  });

  test("R3: a host that is behind is asked again when it said, and the line does not know", async () => {
    const behind = (reason: string): SessionError =>
      new SessionError("HOST_OVERLOADED", "behind", { details: { reason, retryAfterMs: 1 } });
    const refusals = [behind("main_behind"), behind("lane_behind"), behind("no_lane"), behind("no_lane"), behind("main_behind")];
    const service = {
      createSession: async (): Promise<RunResult> => {
        if (refusals.length > 3) throw refusals.pop();
        return { text: "", sessionId: "s", turns: 0, toolCalls: 0, usage: USAGE };
      },
      startTurn: async (): Promise<RunResult> => {
        if (refusals.length > 0) throw refusals.pop();
        return { text: "done", sessionId: "s", turns: 1, toolCalls: 0, usage: USAGE };
      },
    };
    const { run } = harness({ service });
    expect(await run(1, { session: "a", prompt: "x" })).toMatchObject({ status: "ok", record: { turn: 1, text: "done" } });
    expect(refusals).toEqual([]);
  });

  test("R3: a signal ends the waiting, and other bounds fail the line", async () => {
    const abort = new AbortController();
    const overloaded = (details: object): SessionError => new SessionError("HOST_OVERLOADED", "no", { details: { ...details } });
    const service = {
      createSession: async (): Promise<RunResult> => ({ text: "", sessionId: "s", turns: 0, toolCalls: 0, usage: USAGE }),
      startTurn: async (_: string, { prompt }: StartTurnRequest): Promise<RunResult> => {
        if (prompt === "no room") throw overloaded({ reason: "room", retryAfterMs: 1 });
        throw overloaded(prompt === "no lane" ? { reason: "no_lane" } : { reason: "lane_behind", retryAfterMs: 2 ** 30 });
      },
    };
    const { run } = harness({ service, signal: abort.signal });
    for (const prompt of ["no room", "no lane"]) {
      expect(await run(1, { session: "a", prompt })).toMatchObject({ status: "failed", record: { error: { code: "HOST_OVERLOADED" } } });
    }
    const waiting = run(2, { session: "a", prompt: "x" });
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort(new SessionError("HOST_CLOSED", "the run was interrupted"));
    expect(await waiting).toMatchObject({ status: "interrupted", record: { error: { code: "HOST_CLOSED" } } });
  });

  test("R1: a session that cannot be created fails its line, and the next line tries again", async () => {
    const { run, calls, runner } = harness({}, 0);
    for (const line of [1, 2]) {
      expect(await run(line, { session: "a", prompt: "x" })).toMatchObject({
        status: "failed",
        record: { turn: 1, line, ok: false, error: { code: "AGENT_ERROR" } },
      });
    }
    expect([calls.length, runner.sessions]).toEqual([2, 0]);
  });

  test.each([[{ k: "w" }], [{}], [{ k: "v", l: "v" }], [{ toString: "v" }]])(
    "R2: other labels than the session's make a bad line: %j",
    async (labels) => {
      const { run, calls } = harness();
      await run(1, { session: "a", prompt: "x", labels: { k: "v" } });
      const before = calls.length;
      expect(await run(2, { session: "a", prompt: "y", labels })).toEqual({
        status: "bad_line",
        problem: expect.stringMatching(/^labels: .* line 1$/),
        record: { line: 2, ok: false, error: { code: "INVALID_PARAMS", message: expect.stringMatching(/^line 2: labels: /) } },
      });
      expect(calls.length).toBe(before);
      expect(await run(3, { session: "a", prompt: "y" })).toMatchObject({ status: "ok", record: { turn: 2 } });
    },
  );

  test("an unmet expectation is shown beside what came out; a met one is not", async () => {
    const { run } = harness();
    expect(await run(1, { session: "a", prompt: "x", expect: { text: "y" } })).toMatchObject({
      status: "unmet",
      record: { ok: false, text: "x", expected: { text: "y" } },
    });
    expect(await run(2, { session: "a", prompt: "fail", expect: { text: "" } })).toMatchObject({
      status: "unmet",
      record: { ok: false, error: { code: "AGENT_ERROR", message: "agent error: no" }, expected: { text: "" } },
    });
    const met = await run(3, { session: "a", prompt: "fail", expect: { error: "AGENT_ERROR" } });
    expect(met).toMatchObject({ status: "ok", record: { ok: true, error: { code: "AGENT_ERROR" } } });
    expect(met).not.toHaveProperty("record.expected");
  });

  test("events carry the session's name and the turn's number", async () => {
    const events: EventRecord[] = [];
    const { run } = harness({ onEvent: (record) => void events.push(record) });
    await run(1, { session: "a", prompt: "x" });
    await run(2, { session: "a", prompt: "y" });
    expect(events).toMatchObject([
      { session: "a", turn: 1, event: { payload: { delta: "x" } } },
      { session: "a", turn: 2, event: { payload: { delta: "y" } } },
    ]);
  });

  test("what the run's interrupt cuts off is no success, even where an error was expected", async () => {
    const interrupt = new AbortController();
    const { run } = harness({ signal: interrupt.signal });
    const expectError = { error: "AGENT_ERROR" } as const;
    expect(await run(1, { session: "a", prompt: "cut", expect: expectError })).toMatchObject({ status: "ok" }); // not ours: nobody interrupted
    interrupt.abort(new SessionError("HOST_CLOSED", "the run was interrupted"));
    expect(await run(2, { session: "a", prompt: "x", expect: expectError })).toMatchObject({
      status: "interrupted",
      record: { ok: false, error: { code: "HOST_CLOSED" } },
    });
    expect(await run(3, { session: "b", prompt: "x" })).toMatchObject({ status: "interrupted", record: { turn: 1 } });
  });

  test("an error that is none of the host's is a bug, and not swallowed", async () => {
    await expect(harness().run(1, { session: "a", prompt: "bug" })).rejects.toThrow(TypeError);
  });
});

test("verdict: without expectation text succeeds, with one exactly what it names", () => {
  const text = { text: "a", usage: USAGE };
  const error = { error: { code: "SESSION_BUSY", message: "m" } };
  expect([verdict(text, undefined), verdict(error, undefined)]).toEqual(["ok", "failed"]);
  expect([verdict(text, { text: "a" }), verdict(text, { text: "b" }), verdict(text, { error: "SESSION_BUSY" })]).toEqual([
    "ok",
    "unmet",
    "unmet",
  ]);
  expect([verdict(error, { error: "SESSION_BUSY" }), verdict(error, { error: "AGENT_ERROR" }), verdict(error, { text: "a" })]).toEqual([
    "ok",
    "unmet",
    "unmet",
  ]);
});
