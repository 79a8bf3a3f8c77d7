/** The receipt's digest: of messages only, and the same for a session that was stored and read again. */
import { createHash } from "node:crypto";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { boundaryOf } from "../../src/lane/boundary-state.ts";
import type { Message, Session } from "../../src/protocol/session-model.ts";
import { decodeValue, encodeValue } from "../../src/transport/codec.ts";

const text = fc.string({ unit: "binary", maxLength: 12 });
const usage = fc.record(
  { inputTokens: fc.nat(), outputTokens: fc.nat(), cacheReadTokens: fc.nat() },
  { requiredKeys: ["inputTokens", "outputTokens"] },
);
const args = fc.jsonValue({ maxDepth: 2, stringUnit: "binary" }).filter((value) => !JSON.stringify(value).includes("__proto__"));
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ role: fc.constant("system" as const), content: text }),
  fc.record({ role: fc.constant("user" as const), content: text }),
  fc.record(
    {
      role: fc.constant("assistant" as const),
      content: text,
      toolCalls: fc.array(fc.record({ id: text, name: text, args }), { maxLength: 2 }),
      stopReason: fc.constantFrom("end_turn" as const, "tool_use" as const),
      usage,
    },
    { requiredKeys: ["role", "content"] },
  ),
  fc.record({
    role: fc.constant("tool_results" as const),
    results: fc.array(fc.record({ toolUseId: text, content: text, isError: fc.boolean() }, { requiredKeys: ["toolUseId", "content"] }), {
      maxLength: 2,
    }),
  }),
) as fc.Arbitrary<Message>;
const session = (messages: Message[]): Session => ({
  version: 1,
  id: "s",
  messages,
  createdAt: 1,
  updatedAt: 2,
  metadata: {},
  usage: { inputTokens: 0, outputTokens: 0 },
});
const messages = fc.array(message, { maxLength: 5 });
const digestOf = (given: unknown): string => boundaryOf(given).digest;
/** The same members in another order. */
const shuffled = (value: Message): Message => Object.fromEntries(Object.entries(value).reverse()) as Message;

describe("boundaryOf", () => {
  test("the digest depends on the messages only", () => {
    fc.assert(
      fc.property(
        messages,
        fc.nat(),
        fc.string(),
        usage,
        fc.dictionary(fc.string({ minLength: 1 }), fc.string()),
        (all, time, id, used, metadata) => {
          const other = { ...session(all.map(shuffled)), id: `x${id}`, createdAt: time, updatedAt: time, usage: used, metadata };
          expect(digestOf(other)).toBe(digestOf(session(all)));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("other messages have another digest", () => {
    fc.assert(
      fc.property(messages, messages, (a, b) => {
        const [one, two] = [a, b].map((all) => decodeValue(encodeValue(all)));
        fc.pre(JSON.stringify(one) !== JSON.stringify(two));
        expect(digestOf(session(a))).not.toBe(digestOf(session(b)));
      }),
      { numRuns: 300 },
    );
  });

  test("it is stable over reload, however often", () => {
    fc.assert(
      fc.property(messages, (all) => {
        let stored = session(all);
        const before = digestOf(stored);
        for (let i = 0; i < 3; i++) {
          stored = decodeValue(encodeValue(stored)) as Session;
          expect(digestOf(stored)).toBe(before);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("anybody can compute it from the snapshot", () => {
    fc.assert(
      fc.property(messages, (all) => {
        const { digest, messageCount, snapshot } = boundaryOf(session(all));
        const told = JSON.parse(new TextDecoder().decode(snapshot)) as Session;
        expect(createHash("sha256").update(JSON.stringify(told.messages)).digest("hex")).toBe(digest);
        expect(told.messages).toHaveLength(messageCount);
      }),
      { numRuns: 300 },
    );
  });

  test("what is no session is refused", () => {
    expect(() => boundaryOf({ ...session([]), messages: [{ role: "?" }] })).toThrow("role");
  });
});
