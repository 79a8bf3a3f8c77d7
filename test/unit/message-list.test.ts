import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";

import { MessageList } from "../../src/core/message-list.ts";
import type { UnreadMessages } from "../../src/core/unread-messages.ts";
import type { Message } from "../../src/protocol/session-model.ts";
import { lastAssistantText } from "../../src/protocol/session-model.ts";

const unreadOf = (messages: readonly Message[]) => ({
  length: messages.length,
  lastAssistantText: lastAssistantText(messages),
  read: vi.fn<UnreadMessages["read"]>(() => messages),
});
const message = fc.oneof(
  fc.string({ maxLength: 3 }).map((content): Message => ({ role: "user", content })),
  fc.constantFrom("", "x", "y").map((content): Message => ({ role: "assistant", content })),
);
const place = fc.nat({ max: 12 });
const step = fc.oneof(
  fc.record({ do: fc.constant("push" as const), message }),
  fc.record({ do: fc.constant("truncate" as const), at: place }),
  fc.record({ do: fc.constant("slice" as const), at: place, end: place }),
  fc.record({ do: fc.constant("lastAssistantText" as const), at: place }),
  fc.record({ do: fc.constant("all" as const) }),
);

describe("a list of messages", () => {
  test("is what an array would be, whenever those it began with are read", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.array(step, { maxLength: 20 }), (begin, steps) => {
        const list = new MessageList(unreadOf(begin));
        const plain = [...begin];
        for (const one of steps) {
          if (one.do === "push") {
            list.push(one.message);
            plain.push(one.message);
          } else if (one.do === "truncate") {
            list.truncate(Math.min(one.at, plain.length));
            plain.length = Math.min(one.at, plain.length);
          } else if (one.do === "slice") expect(list.slice(one.at, one.end)).toEqual(plain.slice(one.at, one.end));
          else if (one.do === "lastAssistantText") expect(list.lastAssistantText(one.at)).toBe(lastAssistantText(plain, one.at));
          else expect(list.all()).toEqual(plain);
          expect(list).toHaveLength(plain.length);
        }
        expect(list.all()).toEqual(plain);
      }),
    );
  });

  test("reads nothing for what is done behind those it began with", () => {
    const unread = unreadOf([
      { role: "user", content: "q" },
      { role: "assistant", content: "a" },
    ]);
    const list = new MessageList(unread);
    list.push({ role: "user", content: "more" });
    expect(list.lastAssistantText(0)).toBe("a");
    expect(list.slice(2, 3)).toEqual([{ role: "user", content: "more" }]);
    list.truncate(2);
    expect(list).toHaveLength(2);
    expect(unread.read).not.toHaveBeenCalled();
  });

  test("is one array from then on", () => {
    const list = new MessageList(unreadOf([{ role: "user", content: "q" }]));
    const all = list.all();
    list.push({ role: "user", content: "more" });
    expect(list.all()).toBe(all);
    list.truncate(1);
    expect(all).toEqual([{ role: "user", content: "q" }]);
  });
});
