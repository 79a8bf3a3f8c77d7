import { describe, expect, test } from "vitest";

import fc from "fast-check";

import { cloneOf, SavedTranscript } from "../../src/lane/saved-transcript.ts";
import type { Message, Session } from "../../src/protocol/session-model.ts";
import { apart, metadataOf } from "../../src/protocol/stored-session.ts";
import { user, WrittenAgent } from "./support/kept-agent.ts";

const system = (content: string): Message => ({ role: "system", content });

/** A transcript that is saved as it stands. */
function savedOf(written: WrittenAgent): SavedTranscript {
  return new SavedTranscript(apart(written.messages), written.revision);
}

describe.each([true, false])("SavedTranscript, of an agent with messagesFrom: %s", (isDelta) => {
  test("Z1: what grew is written by what it grew", () => {
    const written = new WrittenAgent(isDelta).add("1", "2");
    const saved = savedOf(written);
    written.add("3");
    const change = saved.changeOf(written.agent, written.snapshot());
    expect(change).toMatchObject({ messages: [user("3")], isWhole: false });
    saved.saved(change, undefined);
    expect(saved.changeOf(written.add("4").agent, written.snapshot())).toMatchObject({ messages: [user("4")], isWhole: false });
  });

  test("Z1: what is not saved is written with the next, and nothing twice", () => {
    const written = new WrittenAgent(isDelta).add("1");
    const saved = savedOf(written);
    saved.changeOf(written.add("2").agent, written.snapshot()); // could not be written
    expect(saved.changeOf(written.add("3").agent, written.snapshot()).messages).toEqual([user("2"), user("3")]);
  });

  test("Z1: a transcript that shrank, or says that it was rewritten, is written whole", () => {
    for (const rewrite of [
      (written: WrittenAgent): void => void (written.messages = [user("summary")]),
      (written: WrittenAgent): void => {
        written.messages = [user("other"), ...written.messages.slice(1), user("more")];
        written.revision = 1;
      },
    ]) {
      const written = new WrittenAgent(isDelta).add("1", "2", "3");
      const saved = savedOf(written);
      rewrite(written);
      const change = saved.changeOf(written.agent, written.snapshot());
      expect(change).toMatchObject({ messages: written.messages, isWhole: true });
      saved.saved(change, written.revision);
      expect(saved.messageCount).toBe(written.messages.length);
      expect(saved.changeOf(written.add("after").agent, written.snapshot())).toMatchObject({ messages: [user("after")], isWhole: false });
    }
  });

  test("metadata that changed is written with a new revision", () => {
    const written = new WrittenAgent(isDelta).add("1");
    const saved = savedOf(written);
    written.metadata = { mood: "calm" };
    written.revision = 1;
    const change = saved.changeOf(written.add("2").agent, written.snapshot());
    expect(change).toMatchObject({ messages: [user("1"), user("2")], isWhole: true, metadata: { mood: "calm" } });
  });

  test("the leading system message is apart from the log, and counts", () => {
    const written = new WrittenAgent(isDelta);
    const saved = savedOf(written);
    written.messages = [system("be brief"), user("1")];
    const change = saved.changeOf(written.agent, written.snapshot());
    expect(change).toMatchObject({ messages: [user("1")], system: "be brief" });
    saved.saved(change, undefined);
    expect(saved.messageCount).toBe(2);
    expect(saved.changeOf(written.add("2").agent, written.snapshot())).toMatchObject({
      messages: [user("2")],
      isWhole: false,
      system: "be brief",
    });
  });

  test("Z1: whatever happens to a transcript that says so, what was written is what it is", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("grow" as const), by: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ kind: fc.constant("rewrite" as const), by: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant("system" as const), by: fc.nat(3) }),
      fc.record({ kind: fc.constant("lost" as const), by: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const written = new WrittenAgent(isDelta);
        written.revision = 0;
        const saved = savedOf(written);
        let stored: { log: Message[]; system: string | undefined } = { log: [], system: undefined };
        let next = 0;
        for (const { kind, by } of steps) {
          if (kind === "rewrite") written.messages = written.messages.slice(by);
          if (kind === "system") written.messages = [system(`system ${by}`), ...apart(written.messages).log];
          if (kind === "rewrite" || kind === "system") written.revision++;
          if (kind === "grow" || kind === "rewrite") for (let i = 0; i < by; i++) written.add(String(next++));
          const change = saved.changeOf(written.agent, written.snapshot());
          if (kind === "lost") continue;
          saved.saved(change, written.revision);
          stored = { log: [...(change.isWhole ? [] : stored.log), ...change.messages], system: change.system };
          expect(stored).toEqual({ ...apart(written.messages), log: [...apart(written.messages).log] });
          expect(saved.messageCount).toBe(written.messages.length);
        }
      }),
    );
  });
});

test("messages that came after the snapshot are left to the next save", () => {
  const written = new WrittenAgent(true).add("1");
  for (const saved of [savedOf(written), new SavedTranscript({ system: undefined, log: [] }, undefined)]) {
    const snapshot = written.add("asked").snapshot();
    const change = saved.changeOf(written.add("late").agent, snapshot);
    expect(change.messages.at(-1)).toEqual(user("asked"));
    saved.saved(change, undefined);
    expect(saved.changeOf(written.agent, written.snapshot())).toMatchObject({ messages: [user("late")], isWhole: false });
  }
});

describe("what an agent gives that is no transcript", () => {
  test("messagesFrom that leaves messages out: all are written; that never gives as many as the snapshot says: refused", () => {
    const written = new WrittenAgent(true).add("1");
    const saved = savedOf(written);
    written.add("2", "3");
    const lying = { messagesFrom: (index: number) => written.messages.slice(index === 0 ? 0 : index + 1) };
    expect(saved.changeOf(lying as never, written.snapshot())).toMatchObject({ messages: written.messages, isWhole: true });
    const always = { messagesFrom: () => [user("one")] };
    expect(() => saved.changeOf(always as never, written.snapshot())).toThrow(
      "messagesFrom(0) gives 1 messages, the agent's snapshot says 3",
    );
  });

  test("no messages, no session: named and refused", () => {
    const saved = savedOf(new WrittenAgent(true));
    for (const given of [undefined, [{ role: "nobody" }], "text"]) {
      expect(() => saved.changeOf({ messagesFrom: () => given } as never, new WrittenAgent(true).add("1").snapshot())).toThrow(
        "messagesFrom()",
      );
    }
    expect(() => cloneOf({ sessionClone: () => ({}) } as never)).toThrow("sessionClone()");
  });

  test("metadata is kept without what the store has in fields of its own", () => {
    const metadata = { session_labels: { a: "b" }, session_archived: true, own: [1] };
    expect(metadataOf({ metadata } as unknown as Session)).toEqual({ own: [1] });
  });
});
