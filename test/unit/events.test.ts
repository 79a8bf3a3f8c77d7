import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { EventEnvelope, KnownEventType } from "../../src/protocol/events.ts";
import { compareEnvelopes, gapMarker, parseEvent } from "../../src/protocol/events.ts";

const USAGE = { inputTokens: 3, outputTokens: 4 };

/** One good event of every known type. */
const KNOWN: { [T in KnownEventType]: Record<string, unknown> } = {
  run_started: { sessionId: "s", prompt: "p" },
  run_completed: { sessionId: "s", result: "r", usage: USAGE },
  run_failed: { sessionId: "s", error: "e" },
  hook_started: { hookId: "h", point: "p" },
  hook_completed: { hookId: "h", point: "p", durationMs: 1 },
  hook_failed: { hookId: "h", point: "p", error: "e" },
  hook_denied: { hookId: "h", point: "p", reasonCode: "c", message: "m" },
  hook_rewrite_applied: { hookId: "h", point: "p", patch: [1] },
  hook_patch_published: { hookId: "h", point: "p", envelope: {} },
  turn_started: { turnNumber: 1 },
  reasoning_delta: { delta: "d" },
  reasoning_complete: { content: "c" },
  text_delta: { delta: "d" },
  text_complete: { content: "c" },
  tool_call_requested: { id: "1", name: "n", args: { a: 1 } },
  tool_result_received: { id: "1", name: "n", isError: false },
  turn_completed: { stopReason: "end_turn", usage: USAGE },
  tool_execution_started: { id: "1", name: "n" },
  tool_execution_completed: { id: "1", name: "n", result: "r", isError: true, durationMs: 2 },
  tool_execution_timed_out: { id: "1", name: "n", timeoutMs: 3 },
  compaction_started: { inputTokens: 1, estimatedHistoryTokens: 2, messageCount: 3 },
  compaction_completed: { summaryTokens: 1, messagesBefore: 2, messagesAfter: 3 },
  compaction_failed: { error: "e" },
  budget_warning: { budgetType: "tokens", used: 1, limit: 2, percent: 50.5 },
  retrying: { attempt: 1, maxAttempts: 2, error: "e", delayMs: 3 },
  skills_resolved: { skills: [{}], injectionBytes: 1 },
  skill_resolution_failed: { reference: "x", error: "e" },
  interaction_complete: { interactionId: "i", result: "r" },
  interaction_failed: { interactionId: "i", error: "e" },
  stream_truncated: { reason: { kind: "stream_lagged", dropped: 1 } },
  tool_config_changed: { payload: { a: 1 } },
};
const GOOD = Object.entries(KNOWN).map(([type, fields]) => [type, { type, ...fields }] as const);
const FIELDS = GOOD.flatMap(([type, event]) =>
  Object.keys(event)
    .filter((field) => field !== "type")
    .map((field) => [type, field, event] as const),
);

describe("known events", () => {
  test.each(GOOD)("%s passes as a copy", (_, event) => {
    const parsed = parseEvent(event);
    expect(parsed).toEqual({ ok: true, event });
    expect(parsed.ok && parsed.event).not.toBe(event);
  });

  test.each(FIELDS)("%s without its %s is refused by name", (type, field, event) => {
    const { [field]: _, ...rest } = event as Record<string, unknown>;
    const parsed = parseEvent(rest);
    expect(parsed.ok).toBe(false);
    expect(!parsed.ok && parsed.problem).toContain(`event ${type}: ${field}: `);
  });

  test.each(FIELDS)("%s whose %s is a function is refused", (type, field, event) => {
    const parsed = parseEvent({ ...event, [field]: () => 1 });
    expect(!parsed.ok && parsed.problem).toContain(`event ${type}: ${field}`);
  });

  test("members that the type does not name are kept", () => {
    expect(parseEvent({ type: "text_delta", delta: "d", index: 3 })).toEqual({
      ok: true,
      event: { type: "text_delta", delta: "d", index: 3 },
    });
  });

  test("counts are not negative", () => {
    expect(parseEvent({ type: "turn_started", turnNumber: -1 }).ok).toBe(false);
  });
});

describe("events of other types", () => {
  const types = fc.string({ minLength: 1 }).filter((type) => !Object.hasOwn(KNOWN, type));

  test("any type with any JSON members passes unchanged", () => {
    fc.assert(
      fc.property(types, fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue()), (type, members) => {
        fc.pre(!JSON.stringify(members).includes("__proto__"));
        expect(parseEvent({ ...members, type })).toEqual({ ok: true, event: { ...members, type } });
      }),
    );
  });

  test.each(["constructor", "toString", "__proto__"])("a type named %s is only a name", (type) => {
    expect(parseEvent({ type, a: 1 })).toEqual({ ok: true, event: { type, a: 1 } });
  });

  test("a member that is not JSON is named with its path", () => {
    expect(parseEvent({ type: "mine", data: { list: [1, NaN] } })).toEqual({
      ok: false,
      problem: "event mine: data.list.1: must be a finite number, not NaN",
    });
  });
});

describe("what is not an event", () => {
  test.each([
    [undefined, "an event is an object with a type, not undefined"],
    [null, "an event is an object with a type, not null"],
    ["text_delta", "an event is an object with a type, not string"],
    [{}, "an event's type must be a non-empty string"],
    [{ type: "" }, "an event's type must be a non-empty string"],
    [{ type: 7 }, "an event's type must be a non-empty string"],
    [["text_delta"], "an event's type must be a non-empty string"],
  ])("%j is refused in words", (value, problem) => {
    expect(parseEvent(value)).toEqual({ ok: false, problem });
  });

  test("an event whose members throw what cannot be described, or throw later, is none", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const thrower = (type: () => unknown, value: () => unknown) =>
      Object.defineProperties({}, { value: { enumerable: true, get: value }, type: { enumerable: true, get: type } });
    const refuse = (): never => {
      throw proxy;
    };
    expect(parseEvent(thrower(() => "custom", refuse))).toMatchObject({ ok: false });
    expect(parseEvent(thrower(refuse, () => () => {}))).toMatchObject({ ok: false });
  });

  test("an instance of a class is refused, also when it looks like a delta", () => {
    class Delta {
      type = "text_delta";
      delta = "d";
    }
    expect(parseEvent(new Delta()).ok).toBe(false);
  });

  test.each([
    ["type", "an open one"],
    ["delta", "text_delta"],
    ["content", "text_complete"],
    ["data", "mine"],
  ])("a getter of %s that throws makes a refused event, not an exception", (member, type) => {
    const event = { type };
    Object.defineProperty(event, member, {
      enumerable: true,
      get: () => {
        throw new Error("no entry");
      },
    });
    expect(parseEvent(event).ok).toBe(false);
  });
});

describe("the copy", () => {
  test("a later change of the original does not reach it", () => {
    const original = { type: "mine", data: { n: 1 } };
    const parsed = parseEvent(original);
    original.data.n = 2;
    expect(parsed).toEqual({ ok: true, event: { type: "mine", data: { n: 1 } } });
  });

  test.each([
    ["text_delta", "delta"],
    ["text_complete", "content"],
    ["turn_started", "turnNumber"],
  ])("what was checked is what is stamped: a getter in %s that changes its answer does not get a wrong value through", (type, member) => {
    let reads = 0;
    const event = { type };
    const good: unknown = KNOWN[type as KnownEventType][member];
    Object.defineProperty(event, member, { enumerable: true, get: () => (reads++ === 0 ? good : { wrong: true }) });
    const parsed = parseEvent(event);
    if (parsed.ok) expect((parsed.event as Record<string, unknown>)[member]).toEqual(good);
    else expect(parsed.problem).toContain(type);
  });
});

describe("compareEnvelopes", () => {
  const envelope = (timestampMs: number, sourceId: string, seq: number, eventId: string): EventEnvelope => ({
    eventId,
    sourceId,
    seq,
    timestampMs,
    payload: { type: "x" },
  });

  test("time, then source, then number, then id", () => {
    const ordered = [
      envelope(1, "b", 9, "z"),
      envelope(2, "a", 9, "z"),
      envelope(2, "b", 1, "z"),
      envelope(2, "b", 2, "a"),
      envelope(2, "b", 2, "b"),
    ];
    for (const shuffled of [[...ordered].reverse(), [ordered[2], ordered[4], ordered[0], ordered[3], ordered[1]] as EventEnvelope[]]) {
      expect(shuffled.sort(compareEnvelopes)).toEqual(ordered);
    }
  });

  test("it is a total order", () => {
    const envelopes = fc
      .tuple(fc.nat(2), fc.constantFrom("a", "b"), fc.nat(2), fc.constantFrom("a", "b"))
      .map((parts) => envelope(...parts));
    fc.assert(
      fc.property(envelopes, envelopes, envelopes, (a, b, c) => {
        expect(Math.sign(compareEnvelopes(a, b)) + Math.sign(compareEnvelopes(b, a))).toBe(0);
        if (compareEnvelopes(a, b) <= 0 && compareEnvelopes(b, c) <= 0) expect(compareEnvelopes(a, c)).toBeLessThanOrEqual(0);
        expect(compareEnvelopes(a, b) === 0).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });
});

test("a gap marker is itself a known event", () => {
  const marker = gapMarker(7);
  expect(marker).toEqual({ type: "stream_truncated", reason: { kind: "stream_lagged", dropped: 7 } });
  expect(parseEvent(marker)).toEqual({ ok: true, event: marker });
});
