/** Each shortcut gives what its schema gives, or leaves the decision to it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { StartTurnRequestSchema } from "../../src/protocol/requests.ts";
import { list } from "../../src/protocol/list.ts";
import { Message, Session, SessionSnapshot } from "../../src/protocol/session-model.ts";
import { ordinaryMessages, ordinaryResult, ordinarySession, ordinarySnapshot, promptOnly } from "../../src/protocol/shortcuts.ts";
import { RunResultSchema } from "../../src/protocol/views.ts";

/** Values near the edge of what a member may be. */
const anything = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<unknown>("", "text", 0, 1, -0, -1, 1.5, 2 ** 53, NaN, Infinity, null, undefined, true, [], {}) },
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.anything({ maxDepth: 1 }),
);
/** Mostly absent. */
const rare = fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, anything);
const count = fc.oneof({ weight: 20, arbitrary: fc.nat() }, anything);
const usage = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ inputTokens: count, outputTokens: count, cacheReadTokens: rare, other: anything }, { requiredKeys: [] }),
  },
  anything,
);
const result = fc.record(
  {
    text: fc.oneof({ weight: 6, arbitrary: fc.string() }, anything),
    turns: count,
    toolCalls: count,
    usage,
    structuredOutput: rare,
    other: anything,
  },
  { requiredKeys: [] },
);
const snapshot = fc.record(
  { createdAt: count, updatedAt: count, messageCount: count, totalTokens: rare, usage, lastAssistantText: fc.oneof(fc.string(), rare) },
  { requiredKeys: [] },
);
const message = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record(
      {
        role: fc.oneof({ weight: 9, arbitrary: fc.constantFrom("system", "user", "assistant") }, anything),
        content: fc.oneof({ weight: 20, arbitrary: fc.string() }, anything),
        toolCalls: fc.oneof({ weight: 9, arbitrary: fc.constant([]) }, anything),
        stopReason: fc.oneof({ weight: 9, arbitrary: fc.constant("end_turn") }, anything),
        usage,
        other: rare,
      },
      { requiredKeys: ["role", "content"] },
    ),
  },
  anything,
);
const messages = fc.oneof({ weight: 20, arbitrary: fc.array(message, { maxLength: 4 }) }, anything);
const session = fc.record(
  {
    version: fc.oneof({ weight: 20, arbitrary: fc.constant(1) }, anything),
    id: fc.oneof({ weight: 9, arbitrary: fc.string() }, anything),
    messages,
    createdAt: count,
    updatedAt: count,
    metadata: fc.oneof({ weight: 9, arbitrary: fc.dictionary(fc.string(), fc.oneof(fc.jsonValue(), anything)) }, anything),
    usage,
    other: anything,
  },
  { requiredKeys: [] },
);
const request = fc.record({ prompt: fc.oneof(fc.string(), anything), hostMode: rare }, { requiredKeys: [] });

const USAGE = { inputTokens: 1, outputTokens: 2 };
const MESSAGES = [
  { role: "system", content: "s" },
  { role: "user", content: "u" },
  {
    role: "assistant",
    content: "a",
    toolCalls: [],
    stopReason: "end_turn",
    usage: { ...USAGE, cacheCreationTokens: 0, cacheReadTokens: 3 },
  },
];

describe.each([
  ["promptOnly", promptOnly, StartTurnRequestSchema, request, { prompt: "hello" }],
  [
    "ordinaryResult",
    ordinaryResult,
    RunResultSchema,
    result,
    { text: "a", turns: 1, toolCalls: 0, usage: { inputTokens: 1, outputTokens: 2 }, sessionId: "stripped" },
  ],
  [
    "ordinarySnapshot",
    ordinarySnapshot,
    SessionSnapshot,
    snapshot,
    { createdAt: 1, updatedAt: 2.5, messageCount: 3, usage: { inputTokens: 1, outputTokens: 2 }, lastAssistantText: "a" },
  ],
  ["ordinaryMessages", ordinaryMessages, list(Message), messages, MESSAGES],
  [
    "ordinarySession",
    ordinarySession,
    Session,
    session,
    { version: 1, id: "a", messages: MESSAGES, createdAt: 1, updatedAt: 2.5, metadata: { a: [1, { b: null }] }, usage: USAGE },
  ],
] as const)("%s", (_, shortcut, schema, arbitrary, ordinary) => {
  test("takes the ordinary case, and makes of it what the schema makes of it", () => {
    const taken = shortcut(ordinary);
    expect(taken).toBeDefined();
    expect(taken).toStrictEqual(schema.parse(ordinary));
    expect(taken).not.toBe(ordinary); // a copy: its maker may change the original
  });

  test("never differs from the schema", () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 9, arbitrary: arbitrary as fc.Arbitrary<unknown> }, anything), (value) => {
        const given = shortcut(value);
        if (given === undefined) return;
        taken++;
        const parsed = schema.safeParse(value);
        expect(parsed.success).toBe(true);
        expect(given).toEqual(parsed.data); // an absent member and one that is undefined are the same to everybody behind
      }),
      { numRuns: 5000 },
    );
    expect(taken).toBeGreaterThan(20);
  });

  test("reads every member once", () => {
    const reads: Record<string, number> = {};
    const counted = Object.defineProperties(
      Array.isArray(ordinary) ? [] : {},
      Object.fromEntries(
        Object.entries(ordinary).map(([name, value]) => [
          name,
          { enumerable: true, get: () => ((reads[name] = (reads[name] ?? 0) + 1), value as unknown) },
        ]),
      ),
    );
    expect(shortcut(counted)).toEqual(schema.parse(ordinary));
    expect(Object.values(reads).every((n) => n === 1)).toBe(true);
  });
});

class Request {
  prompt = "p";
  get timeoutMs(): number {
    return 50;
  }
  onEvent(): void {}
}

describe("promptOnly leaves to the schema what", () => {
  test.each([
    ["is inherited", Object.create({ hostMode: true }, { prompt: { value: "p", enumerable: true } }) as object],
    ["is a class with a getter and a method", new Request()],
    ["has a member that is not enumerable", Object.defineProperty({ prompt: "p" }, "hostMode", { value: true })],
    ["answers for a member that it does not list", new Proxy({ prompt: "p" }, { get: (_, member) => member === "hostMode" || "p" })],
  ])("%s", (_, value) => {
    expect(promptOnly(value)).toBeUndefined();
  });

  test("has any member of the schema, also one that will be added to it", () => {
    for (const member of Object.keys(StartTurnRequestSchema.shape)) {
      if (member === "prompt") continue;
      const hidden = Object.defineProperty({ prompt: "p" }, member, { value: 1 });
      expect([member, promptOnly(hidden)]).toEqual([member, undefined]);
    }
  });
});
