import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Message, Usage } from "../../src/protocol/session-model.ts";
import { Message as MessageSchema, Session, addUsage, lastAssistantText } from "../../src/protocol/session-model.ts";

const usages = fc.record(
  { inputTokens: fc.nat(), outputTokens: fc.nat(), cacheCreationTokens: fc.nat(), cacheReadTokens: fc.nat() },
  { requiredKeys: ["inputTokens", "outputTokens"] },
) as fc.Arbitrary<Usage>;

describe("addUsage", () => {
  test("counts add up; an optional one is there when either has it", () => {
    fc.assert(
      fc.property(usages, usages, (a, b) => {
        const sum = addUsage(a, b);
        for (const key of ["inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens"] as const) {
          expect(sum[key]).toBe(a[key] === undefined && b[key] === undefined ? undefined : (a[key] ?? 0) + (b[key] ?? 0));
          expect(key in sum).toBe(key in a || key in b);
        }
      }),
    );
  });

  test("the operands are left as they were", () => {
    const a = Object.freeze({ inputTokens: 1, outputTokens: 2 });
    expect(addUsage(a, Object.freeze({ outputTokens: 3 }))).toEqual({ inputTokens: 1, outputTokens: 5 });
  });
});

describe("lastAssistantText", () => {
  const assistant = (content: string): Message => ({ role: "assistant", content });
  const blocks = (...texts: string[]): Message => ({
    role: "block_assistant",
    blocks: [
      { blockType: "reasoning", data: { text: "hidden" } },
      ...texts.map((text) => ({ blockType: "text" as const, data: { text } })),
    ],
  });
  const user: Message = { role: "user", content: "u" };

  test.each<[string, Message[], string | undefined]>([
    ["none", [], undefined],
    ["only a user's", [user], undefined],
    ["the last assistant's", [assistant("a"), user, assistant("b"), user], "b"],
    ["an empty one is passed over", [assistant("a"), assistant("")], "a"],
    ["text blocks are joined, reasoning is not text", [blocks("a", "b")], "ab"],
    ["blocks without text are passed over", [assistant("a"), blocks()], "a"],
  ])("%s", (_, messages, expected) => {
    expect(lastAssistantText(messages)).toBe(expected);
  });
});

describe("schemas", () => {
  test.each<[string, unknown]>([
    ["an unknown role", { role: "tool", content: "" }],
    ["an unknown block", { role: "block_assistant", blocks: [{ blockType: "image", data: {} }] }],
    ["arguments that are not JSON", { role: "assistant", content: "", toolCalls: [{ id: "1", name: "n", args: () => 1 }] }],
    ["an unknown stop reason", { role: "assistant", content: "", stopReason: "bored" }],
  ])("a message with %s is refused", (_, message) => {
    expect(MessageSchema.safeParse(message).success).toBe(false);
  });

  test("a session's messages and metadata are copied", () => {
    const session = {
      version: 1,
      id: "s",
      messages: [{ role: "user", content: "u" }],
      createdAt: 1,
      updatedAt: 2,
      metadata: { a: { b: 1 } },
      usage: { inputTokens: 0, outputTokens: 0 },
    };
    const parsed = Session.parse(session);
    session.metadata.a.b = 2;
    (session.messages[0] as { content: string }).content = "changed";
    expect(parsed.metadata).toEqual({ a: { b: 1 } });
    expect(parsed.messages).toEqual([{ role: "user", content: "u" }]);
  });
});
