import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Transcript } from "../../src/core/transcript.ts";
import type { Message, Session, SessionSnapshot, Usage } from "../../src/protocol/session-model.ts";
import { addUsage, lastAssistantText } from "../../src/protocol/session-model.ts";

const RESUMED: Session = {
  version: 1,
  id: "s",
  messages: [
    { role: "system", content: "be brief" },
    { role: "user", content: "hi" },
    { role: "assistant", content: "hello" },
  ],
  createdAt: 10,
  updatedAt: 20,
  metadata: { kept: true },
  usage: { inputTokens: 5, outputTokens: 6 },
};
const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
/** Everything a transcript shows. */
const shown = (transcript: Transcript): [SessionSnapshot, Session] => structuredClone([transcript.snapshot(), transcript.session("s", {})]);

describe("a new transcript", () => {
  test("has the system prompt, if any, as message 0", () => {
    expect(new Transcript(1, undefined, "be brief").messages).toEqual([{ role: "system", content: "be brief" }]);
    expect(new Transcript(1, undefined, "be brief").systemPrompt).toBe("be brief");
    expect(new Transcript(1, undefined, undefined).messages).toEqual([]);
    expect(new Transcript(1, undefined, "").systemPrompt).toBe("");
  });

  test("goes on from a resumed session as it stood, whatever the system prompt says", () => {
    const transcript = new Transcript(99, RESUMED, "ignored");
    expect(transcript.session("s", { more: 1 })).toEqual({ ...RESUMED, metadata: { kept: true, more: 1 } });
    expect(transcript.snapshot()).toEqual({
      createdAt: 10,
      updatedAt: 20,
      messageCount: 3,
      usage: RESUMED.usage,
      lastAssistantText: "hello",
    });
  });

  test("leaves the session it was resumed from alone", () => {
    const before = structuredClone(RESUMED);
    const transcript = new Transcript(99, RESUMED, undefined);
    transcript.begin();
    transcript.push(user("more"));
    transcript.complete(100);
    transcript.applyContext([{ text: "context" }], 101);
    expect(RESUMED).toEqual(before);
  });
});

describe("transcript: runs", () => {
  test("B2: a run shows once it is completed, not before", () => {
    const transcript = new Transcript(1, RESUMED, undefined);
    const before = shown(transcript);
    transcript.begin();
    for (const message of [user("q"), assistant("a")]) transcript.push(message);
    transcript.addUsage({ inputTokens: 1 });
    expect(shown(transcript)).toEqual(before);
    transcript.complete(30);
    expect(transcript.snapshot()).toEqual({
      createdAt: 10,
      updatedAt: 30,
      messageCount: 5,
      usage: { inputTokens: 6, outputTokens: 6 },
      lastAssistantText: "a",
    });
  });

  test.each([
    ["before", false],
    ["after", true],
  ])("B1: a run can be taken back %s it completed, once", (_, isCompleted) => {
    const transcript = new Transcript(1, RESUMED, undefined);
    const before = shown(transcript);
    transcript.begin();
    for (const message of [user("q"), assistant("a")]) transcript.push(message);
    transcript.addUsage({ outputTokens: 9 });
    if (isCompleted) transcript.complete(30);
    transcript.rollBack();
    expect(shown(transcript)).toEqual(before);
    transcript.rollBack();
    expect(shown(transcript)).toEqual(before);
  });

  test("a run without an answer leaves the last text as it was", () => {
    const transcript = new Transcript(1, RESUMED, undefined);
    transcript.begin();
    for (const message of [user("q"), assistant("")]) transcript.push(message);
    transcript.complete(30);
    expect(transcript.snapshot().lastAssistantText).toBe("hello");
  });
});

describe("applyContext", () => {
  test.each([
    ["behind the system message", "be brief", "be brief\n\n---\n\n[Runtime System Context]\n\nc"],
    ["as the system message, when there is none", undefined, "[Runtime System Context]\n\nc"],
  ])("writes %s", (_, systemPrompt, expected) => {
    const transcript = new Transcript(1, undefined, systemPrompt);
    transcript.begin();
    transcript.push(user("q"));
    transcript.complete(2);
    transcript.applyContext([{ text: "c" }], 3);
    expect(transcript.messages).toEqual([{ role: "system", content: expected }, user("q")]);
    expect(transcript.snapshot().updatedAt).toBe(3);
  });

  test("of nothing changes nothing", () => {
    const transcript = new Transcript(1, undefined, undefined);
    transcript.applyContext([], 9);
    expect(transcript.snapshot()).toMatchObject({ messageCount: 0, updatedAt: 1 });
  });

  test("what was written for good is not taken back with the run before it", () => {
    const transcript = new Transcript(1, undefined, undefined);
    transcript.begin();
    transcript.push(user("q"));
    transcript.complete(2);
    transcript.applyContext([{ text: "c" }], 3);
    const before = shown(transcript);
    transcript.rollBack();
    expect(shown(transcript)).toEqual(before);
  });
});

describe("transcript: model", () => {
  interface Plain {
    messages: Message[];
    usage: Usage;
    updatedAt: number;
    lastText: string | undefined;
  }
  const messages = fc.oneof(fc.string({ maxLength: 3 }).map(user), fc.constantFrom("", "x", "y").map(assistant));
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("push" as const), message: messages }),
      fc.record({
        kind: fc.constantFrom("begin" as const, "complete" as const, "rollBack" as const, "addUsage" as const, "apply" as const),
      }),
    ),
    { maxLength: 60 },
  );

  test("B1, B2: whatever runs begin, complete, fail or are taken back, it shows what plain copies would", () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const transcript = new Transcript(0, undefined, undefined);
        let now: Plain = { messages: [], usage: { inputTokens: 0, outputTokens: 0 }, updatedAt: 0, lastText: undefined };
        let mark: Plain | undefined;
        let isOpen = false;
        for (const [at, step] of sequence.entries()) {
          // What an agent's adapter does: messages and usage within a run, everything else between two.
          if (step.kind === "push" && isOpen) {
            transcript.push(step.message);
            now = { ...now, messages: [...now.messages, step.message] };
          } else if (step.kind === "addUsage" && isOpen) {
            transcript.addUsage({ inputTokens: 2, cacheReadTokens: 1 });
            now = { ...now, usage: addUsage(now.usage, { inputTokens: 2, cacheReadTokens: 1 }) };
          } else if (step.kind === "begin" && !isOpen) {
            transcript.begin();
            mark = now;
            isOpen = true;
          } else if (step.kind === "complete" && isOpen) {
            transcript.complete(at);
            now = { ...now, updatedAt: at, lastText: lastAssistantText(now.messages.slice(mark?.messages.length)) ?? now.lastText };
            isOpen = false;
          } else if (step.kind === "rollBack") {
            transcript.rollBack();
            now = mark ?? now;
            mark = undefined;
            isOpen = false;
          } else if (step.kind === "apply" && !isOpen) {
            transcript.applyContext([{ text: "c" }], at);
            const [first, ...rest] = now.messages;
            const block = "[Runtime System Context]\n\nc";
            const content = first?.role === "system" ? `${first.content}\n\n---\n\n${block}` : block;
            now = { ...now, messages: [{ role: "system", content }, ...(first?.role === "system" ? rest : now.messages)], updatedAt: at };
            mark = undefined;
          }
          const expected = isOpen && mark ? mark : now;
          expect(transcript.session("s", {})).toMatchObject({
            messages: expected.messages,
            usage: expected.usage,
            updatedAt: expected.updatedAt,
          });
          expect(transcript.snapshot()).toMatchObject({ messageCount: expected.messages.length, updatedAt: expected.updatedAt });
          expect(transcript.snapshot().lastAssistantText).toBe(expected.lastText);
        }
      }),
    );
  });
});
