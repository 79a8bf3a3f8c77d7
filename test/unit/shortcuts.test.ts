/** Each shortcut gives what its schema gives, or leaves the decision to it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { StartTurnRequestSchema } from "../../src/protocol/requests.ts";
import { SessionSnapshot } from "../../src/protocol/session-model.ts";
import { ordinaryResult, ordinarySnapshot, promptOnly } from "../../src/protocol/shortcuts.ts";
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
const request = fc.record({ prompt: fc.oneof(fc.string(), anything), hostMode: rare }, { requiredKeys: [] });

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
      {},
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
