import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Message } from "../../src/protocol/session-model.ts";
import { STOP_REASONS } from "../../src/protocol/session-model.ts";
import { encodeValue } from "../../src/transport/codec.ts";
import { readMessages, surveyMessages } from "../../src/transport/message-reader.ts";
import { packMessages, unpackMessages } from "../../src/transport/packed-write.ts";

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 80 }),
  fc.string({ maxLength: 80 }),
  fc.constantFrom("\ufeffx", "é".repeat(200), "y".repeat(70_000), "\u0000"),
);
const count = fc.oneof(fc.nat({ max: 2 ** 32 - 1 }), fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536));
const usage = fc.record(
  { inputTokens: count, outputTokens: count, cacheCreationTokens: count, cacheReadTokens: count },
  { requiredKeys: ["inputTokens", "outputTokens"] },
);
const message = fc.oneof(
  fc.record({ role: fc.constantFrom("user" as const, "system" as const), content: text }),
  fc.record({
    role: fc.constant("assistant" as const),
    content: text,
    toolCalls: fc.constant([]),
    stopReason: fc.constantFrom(...STOP_REASONS),
    usage,
  }),
) as fc.Arbitrary<Message>;
const messages = fc.array(message, { maxLength: 12 });

/** What the decoder makes of it; undefined when it is not msgpack. */
function decoded(bytes: Uint8Array): unknown[] | undefined {
  try {
    return unpackMessages(bytes);
  } catch {
    return undefined;
  }
}

describe("MR1", () => {
  test("ordinary messages are read as they were packed", () => {
    fc.assert(
      fc.property(messages, (given) => {
        const packed = packMessages(given);
        expect(readMessages(packed)).toEqual(given);
        expect(unpackMessages(packed)).toEqual(given);
      }),
    );
  });

  test("of bytes that were changed, cut or are any others nothing is read that the decoder does not give", () => {
    const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), cut: fc.boolean() });
    let read = 0;
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 2 }), fc.array(change, { minLength: 1, maxLength: 3 }), (given, changes) => {
        let bytes = Uint8Array.from(packMessages(given));
        for (const { at, to, cut } of changes) {
          if (cut) bytes = bytes.slice(0, Math.max(1, at % bytes.length));
          else bytes[at % Math.min(bytes.length, 100)] = to;
        }
        const taken = readMessages(bytes);
        const survey = surveyMessages(bytes);
        if (survey !== undefined) expect(decoded(bytes)).toHaveLength(survey.length); // MR2
        if (taken === undefined) return;
        read++;
        expect(survey?.length).toBe(taken.length);
        expect(taken).toStrictEqual(decoded(bytes));
      }),
      { numRuns: 5000 },
    );
    expect(read).toBeGreaterThan(50);
  });

  test.each<[string, unknown]>([
    ["tool results", { role: "tool_results", results: [] }],
    ["an assistant that called tools", { role: "assistant", content: "", toolCalls: [{}], stopReason: "end_turn", usage: {} }],
    ["members in another order", { content: "", role: "user" }],
    ["a member more", { role: "user", content: "", name: "x" }],
    ["a text with what stands for bytes that are no UTF-8", { role: "user", content: "\ufffd" }],
    [
      "a count of more than 32 bits",
      { role: "assistant", content: "", toolCalls: [], stopReason: "end_turn", usage: { inputTokens: 2 ** 33, outputTokens: 1 } },
    ],
    ["no message", "text"],
  ])("%s: the decoder decides", (_, given) => {
    const packed = encodeValue([given]).subarray(1);
    expect(readMessages(packed)).toBeUndefined();
    expect(unpackMessages(packed)).toEqual([given]);
  });
});
