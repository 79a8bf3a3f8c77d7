import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Message } from "../../src/protocol/session-model.ts";
import { lastAssistantText } from "../../src/protocol/session-model.ts";
import { packMessages } from "../../src/transport/packed-write.ts";
import { StoredLog } from "../../src/transport/stored-log.ts";

const content = fc.oneof(fc.string({ unit: "grapheme", maxLength: 40 }), fc.constantFrom("", "\ufffd", "y".repeat(300)));
const message = fc.oneof(
  fc.record({ role: fc.constantFrom("user" as const, "system" as const), content }),
  fc.record({
    role: fc.constant("assistant" as const),
    content,
    toolCalls: fc.constant([]),
    stopReason: fc.constant("end_turn" as const),
    usage: fc.constant({ inputTokens: 1, outputTokens: 2 }),
  }),
) as fc.Arbitrary<Message>;

const logOf = (messages: readonly Message[]): StoredLog => {
  const log = StoredLog.of(packMessages(messages));
  if (log === undefined) throw new Error("the messages are not ordinary");
  return log;
};

describe("a stored log", () => {
  test("says of its messages what is true of them, and gives them when it is asked", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), (messages) => {
        const log = logOf(messages);
        expect(log).toHaveLength(messages.length);
        expect(log.lastAssistantText).toBe(lastAssistantText(messages));
        expect(log.at(-1)).toEqual(messages.at(-1));
        expect(log.read()).toEqual(messages);
      }),
    );
  });

  test("gives the same messages each time, of which the last is not the one it compares with", () => {
    const log = logOf([{ role: "user", content: "q" }]);
    const [first] = log.read();
    expect(log.read()[0]).toBe(first);
    (first as { content: string }).content = "changed";
    expect(log.at(-1)).toEqual({ role: "user", content: "q" });
  });

  test("keeps bytes of its own: the frame they came in is let go", () => {
    const bytes = Uint8Array.from(packMessages([{ role: "user", content: "mine" }]));
    const log = StoredLog.of(bytes);
    bytes.fill(0);
    expect(log?.read()).toEqual([{ role: "user", content: "mine" }]);
  });

  test("stands behind a system message", () => {
    const system: Message = { role: "system", content: "be brief" };
    const unread = logOf([{ role: "user", content: "q" }]).behind([system]);
    expect(unread).toMatchObject({ length: 2, lastAssistantText: undefined });
    expect(unread.read()).toEqual([system, { role: "user", content: "q" }]);
  });

  test.each<[string, Message]>([
    ["a tool's results", { role: "tool_results", results: [] }],
    ["blocks", { role: "block_assistant", blocks: [] }],
  ])("is none with %s in it: that is checked at once", (_, other) => {
    expect(StoredLog.of(packMessages([{ role: "user", content: "q" }, other]))).toBeUndefined();
  });
});
