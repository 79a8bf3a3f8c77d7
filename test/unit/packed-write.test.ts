import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { StoreError } from "../../src/protocol/store-error.ts";
import type { SessionWrite } from "../../src/protocol/stored-session.ts";
import { decodeValue, encodeValue } from "../../src/transport/codec.ts";
import { packRest, packTurn, packWrite, restOf, turnOf, unpackWrite, usageOf } from "../../src/transport/packed-write.ts";

const count = fc.nat({ max: 2 ** 40 });
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const usage = fc.record({ inputTokens: count, outputTokens: count, cacheCreationTokens: some(count), cacheReadTokens: some(count) });
/** Without `__proto__`, which no frame and no row gives back under that name. */
const json = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => JSON.stringify(value))
  .filter((value) => !value.includes("__proto__"))
  .map((value) => JSON.parse(value) as null);
const result = fc.record(
  { text, turns: count, toolCalls: count, usage, structuredOutput: json, schemaWarnings: fc.array(json), skillDiagnostics: json },
  { requiredKeys: ["text", "turns", "toolCalls", "usage"] },
);
const message = fc.oneof(
  fc.record({ role: fc.constant("user" as const), content: text }),
  fc.record({ role: fc.constant("assistant" as const), content: text, usage: some(usage) }),
  fc.record({
    role: fc.constant("tool_results" as const),
    results: fc.array(fc.record({ toolUseId: text, content: text, isError: fc.boolean() })),
  }),
);
const state = fc.record({
  updatedAt: count,
  usage,
  lastAssistantText: some(text),
  system: some(text),
  metadata: fc.dictionary(
    text.filter((key) => key !== "__proto__"),
    json,
  ),
  lastSeq: count,
  contextTaken: count,
  lastTurn: some(fc.record({ ticket: count, key: some(text), result })),
});
const writes: fc.Arbitrary<SessionWrite> = fc.record({
  id: text,
  epoch: count,
  version: count,
  state,
  messages: fc.array(message, { maxLength: 40 }),
  ticket: some(count),
  events: some(
    fc.array(fc.record({ seq: count, timestampMs: count, payload: fc.record({ type: fc.constant("text_delta" as const), delta: text }) })),
  ),
});

const STATE = { updatedAt: 1, usage: { inputTokens: 0, outputTokens: 0 }, metadata: {}, lastSeq: 0, contextTaken: 0 };

test("the rest keeps nothing else alive: whoever compares it with the next one holds it for long", () => {
  packWrite({ id: "s", epoch: 1, version: 1, messages: [{ role: "user", content: "x".repeat(1 << 20) }], state: STATE });
  const rest = packRest({ metadata: { a: 1 } });
  expect(rest.buffer.byteLength).toBe(rest.length);
});

describe("X1: what is packed and unpacked again is equal", () => {
  test("for any write", () => {
    fc.assert(
      fc.property(writes, (write) => {
        expect(unpackWrite(packWrite(write))).toEqual(write);
      }),
    );
  });

  test("also when the text of the result is that of the last message, and when it is empty", () => {
    for (const [lastAssistantText, said] of [
      ["a", "a"],
      ["a", "b"],
      ["", ""],
      ["a", ""],
      [undefined, ""],
      [undefined, "b"],
    ]) {
      const result = { text: said as string, turns: 1, toolCalls: 0, usage: { inputTokens: 1, outputTokens: 2 } };
      const lastTurn = { ticket: 3, result };
      expect(turnOf(decodeValue(packTurn({ lastAssistantText, lastTurn })) as unknown[])).toEqual({ lastAssistantText, lastTurn });
    }
  });

  test("200,000 messages", () => {
    const messages = Array.from({ length: 200_000 }, (_, at) => ({ role: "user" as const, content: String(at) }));
    const state = { updatedAt: 1, usage: { inputTokens: 0, outputTokens: 0 }, metadata: {}, lastSeq: 0, contextTaken: 0 };
    const write = { id: "a", epoch: 1, version: 1, state, messages };
    expect(unpackWrite(packWrite(write)).messages).toEqual(messages);
  });
});

test("what msgpack cannot hold is refused as invalid", () => {
  expect(() => packRest({ metadata: { big: 2n ** 80n } as never })).toThrow(StoreError);
  expect(() => packRest({ metadata: { big: 2n ** 80n } as never })).toThrow(/cannot be encoded/);
});

describe("rows that were not packed here are told apart", () => {
  const turn = [1, null, "text", 1, 0, [0, 0, null, null], null];
  test.each([
    ["a text that is none", [1, 7, null]],
    ["a turn that is none", [1, "text", {}]],
    ["a turn that is too short", [1, "text", turn.slice(1)]],
    ["a ticket that is none", [1, "text", turn.with(0, "1")]],
    ["a key that is none", [1, "text", turn.with(1, 1)]],
    ["no text at all", [1, null, turn.with(2, null)]],
    ["no usage", [1, "text", turn.with(5, null)]],
    ["more that is a list", [1, "text", turn.with(6, [])]],
  ])("%s", (_, row) => {
    expect(turnOf(row)).toBeUndefined();
  });

  test.each([
    ["a system message that is no text", [1, 7, {}]],
    ["no metadata", [1, null, null]],
    ["metadata that is a list", [1, null, []]],
  ])("%s", (_, row) => {
    expect(restOf(row)).toBeUndefined();
  });

  test("counts that are none", () => {
    for (const counts of [undefined, [1, 2, 3], [1, null, 3, 4], [1, -1, null, null], ["1", 2, null, null]])
      expect(usageOf(counts)).toBeUndefined();
    expect(usageOf([1, 2, null, 4])).toEqual({ inputTokens: 1, outputTokens: 2, cacheReadTokens: 4 });
  });
});

describe("what is no write is refused", () => {
  const good = packWrite({ id: "s", epoch: 1, version: 1, messages: [], state: STATE });
  const with_ = (at: number, value: unknown): never => good.map((member, index) => (index === at ? value : member)) as never;

  test.each<[string, number, unknown]>([
    ["an id that is none", 0, 5],
    ["an epoch that is none", 1, 0.5],
    ["a ticket that is absent", 3, undefined],
    ["a time that is none", 4, Number.NaN],
    ["usage that is none", 5, [1]],
    ["messages that are no bytes", 9, "text"],
    ["messages that are cut short", 9, Uint8Array.of(0x92, 1)],
    ["fewer messages than it says", 10, 3],
    ["messages that are none", 9, Uint8Array.of(5)],
    ["a turn that is none", 11, Uint8Array.of(0x90)],
    ["a turn of no row", 11, Uint8Array.of(0xc0)],
    ["a rest without metadata", 12, encodeValue([1, null, null])],
    ["events that are no list", 14, {}],
  ])("%s", (_, at, value) => {
    expect(() => unpackWrite(with_(at, value))).toThrow(expect.objectContaining({ reason: "invalid" }) as Error);
  });

  test("and what is not even a list", () => {
    for (const packed of [null, 5, {}]) expect(() => unpackWrite(packed as never)).toThrow(StoreError);
  });
});
