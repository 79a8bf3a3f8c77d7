/** Checks of what is written and read back: one session at a time, then many callers at once. */
import assert from "node:assert/strict";

import type { SessionHead } from "../../protocol/stored-session.ts";
import { begun, randomFrom, refuses, same } from "./kit.ts";
import type { Bench, Check } from "./kit.ts";
import { CREATED_AT, logUpTo, messagesOf, newSession, stateOf, turnOf } from "./samples.ts";

/** The head that a store gives of a sample session. */
function headOf(id: string, turn: number, more: Partial<SessionHead> = {}): SessionHead {
  const { agent, request, labels } = newSession(id);
  const standing = { epoch: 1, version: turn + 1, createdAt: CREATED_AT, logLength: 2 * (turn + 1), isArchived: false };
  return { ...stateOf(turn), id, agent, request, labels, ...standing, ...more };
}

export const BASELINE: Check[] = [
  {
    name: "what is created is read back whole",
    run: async ({ store }) => {
      assert.equal(await store.create(newSession("a")), 1);
      same(await store.head("a"), headOf("a", 0), "the head");
      same(await store.messages("a", 0, undefined), messagesOf(0), "the log");
    },
  },
  {
    name: "what is not there is undefined, false or not_found",
    run: async ({ store }) => {
      const [head, log, context] = [await store.head("a"), await store.messages("a", 0, undefined), await store.context("a")];
      assert.deepEqual([head, log, context, await store.fence("a")], [undefined, undefined, undefined, undefined]);
      assert.deepEqual([await store.archive("a", undefined), await store.remove("a")], [false, false]);
      assert.deepEqual(await store.list({}), []);
      await refuses(store.open("a"), "not_found");
      await refuses(store.append(turnOf("a", 1)), "not_found");
      await refuses(store.rewrite(turnOf("a", 1)), "not_found");
    },
  },
  {
    name: "a session without messages and without optional members",
    run: async ({ store }) => {
      const state = { ...stateOf(0), lastAssistantText: undefined, lastTurn: undefined, metadata: {} };
      await store.create(newSession("a", { messages: [], state, labels: {} }));
      const { head, messages } = await store.open("a");
      same(
        [head.logLength, head.lastAssistantText, head.lastTurn, head.labels, messages],
        [0, undefined, undefined, {}, []],
        "the session",
      );
    },
  },
  {
    name: "an id that is stored already is refused, and nothing changes",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      await refuses(store.create(newSession("a", { state: stateOf(9) })), "exists");
      same(await store.head("a"), headOf("a", 0), "the head");
    },
  },
  {
    name: "replacing: epoch grows, log and state are the new ones; not by an older one",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      await store.append(turnOf("a", 1));
      await refuses(store.create(newSession("a", { replaces: true })), "stale");
      const same1 = { replaces: true, state: stateOf(1) };
      await refuses(store.create(newSession("a", { ...same1, messages: messagesOf(0) })), "stale");
      const epoch = await store.create(newSession("a", { replaces: true, state: stateOf(5), messages: messagesOf(7), labels: { b: "c" } }));
      assert.equal(epoch, 2);
      same(await store.head("a"), headOf("a", 0, { ...stateOf(5), epoch: 2, labels: { b: "c" } }), "the head");
      same(await store.messages("a", 0, undefined), messagesOf(7), "the log");
      await refuses(store.append(turnOf("a", 1)), "fenced");
    },
  },
  {
    name: "a removed session leaves nothing to one of its id",
    run: async ({ store }) => {
      await store.create(newSession("a", { state: stateOf(0, { system: "be brief" }) }));
      for (let turn = 1; turn <= 300; turn++) await store.append(turnOf("a", turn, { state: stateOf(turn, { system: "be brief" }) }));
      await store.putContext("a", { staged: 1, pending: [{ text: "t" }], seen: {} });
      assert.deepEqual([await store.remove("a"), await store.remove("a"), await store.list({})], [true, false, []]);
      assert.equal(await store.create(newSession("a")), 1);
      same(await store.open("a"), { head: headOf("a", 0, { epoch: 2 }), messages: messagesOf(0) }, "the session");
      assert.equal(await store.context("a"), undefined);
    },
  },
  {
    name: "what is given and got is the caller's own",
    run: async ({ store }) => {
      const session = newSession("a");
      await store.create(session);
      const write = turnOf("a", 1);
      await store.append(write);
      for (const message of [...session.messages, ...write.messages]) (message as { role: string }).role = "changed";
      (write.state.metadata as Record<string, unknown>)["turn"] = "changed";
      const first = await store.open("a");
      (first.head.labels as Record<string, string>)["team"] = "changed";
      (first.head.metadata as Record<string, unknown>)["turn"] = "changed";
      first.messages.length = 0;
      const [message] = (await store.messages("a", 0, undefined)) ?? [];
      (message as { role: string }).role = "changed";
      same(await store.messages("a", 0, undefined), logUpTo(1), "the log");
      same(await store.head("a"), headOf("a", 1, { epoch: 2 }), "the head");
    },
  },
  {
    name: "keys that mean something to JavaScript are keys",
    run: async ({ store }) => {
      const metadata = { constructor: 1, toString: "x", hasOwnProperty: [] };
      await store.create(newSession("a", { state: stateOf(0, { metadata: metadata as never }), labels: { constructor: "x" } }));
      const head = await store.head("a");
      same([head?.metadata, head?.labels], [metadata, { constructor: "x" }], "the head");
      assert.equal((await store.list({ labels: { toString: "x" } })).length, 0);
      assert.equal((await store.list({ labels: { constructor: "x" } })).length, 1);
    },
  },
  {
    name: "after close every call is refused",
    run: async ({ store }) => {
      await store.close();
      await refuses(store.head("a"), "closed");
      await refuses(store.create(newSession("a")), "closed");
      await store.close();
    },
  },
];

export const APPENDING: Check[] = [
  {
    name: "turns are added in order, and each replaces the state",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      for (let turn = 1; turn <= 500; turn++) {
        await store.append(turnOf("a", turn));
        if (turn % 100 === 0) same(await store.head("a"), headOf("a", turn), `the head after turn ${turn}`);
      }
      same(await store.open("a"), { head: headOf("a", 500, { epoch: 2 }), messages: logUpTo(500) }, "the session");
    },
  },
  {
    name: "members that a state lacks are gone; a system message comes and goes",
    run: async ({ store }) => {
      await store.create(newSession("a", { state: stateOf(0, { system: "one" }) }));
      await store.append(turnOf("a", 1, { state: stateOf(1, { system: "two" }) }));
      same([(await store.head("a"))?.system, (await store.list({}))[0]?.messageCount], ["two", 5], "the system message");
      await store.append(turnOf("a", 2, { state: stateOf(2, { lastAssistantText: undefined, lastTurn: undefined }) }));
      const head = await store.head("a");
      same([head?.system, head?.lastAssistantText, head?.lastTurn], [undefined, undefined, undefined], "the head");
      assert.equal((await store.list({}))[0]?.messageCount, 6);
    },
  },
  {
    name: "a write that brings no messages grows the version",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      await store.append(turnOf("a", 1, { messages: [] }));
      same(await store.head("a"), headOf("a", 1, { logLength: 2 }), "the head");
    },
  },
  {
    name: "a version that is not the last one is refused, and nothing changes",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      await store.append(turnOf("a", 1));
      for (const version of [0, 1, 3]) await refuses(store.append(turnOf("a", 2, { version })), "version");
      await refuses(store.rewrite(turnOf("a", 2, { version: 1 })), "version");
      same(await store.head("a"), headOf("a", 1), "the head");
      same(await store.messages("a", 0, undefined), logUpTo(1), "the log");
    },
  },
  {
    name: "a rewrite replaces the log, and appends go on behind it",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      for (let turn = 1; turn <= 400; turn++) await store.append(turnOf("a", turn));
      await store.rewrite(turnOf("a", 401, { messages: messagesOf(9) }));
      same(await store.head("a"), headOf("a", 401, { logLength: 2 }), "the head");
      await store.append(turnOf("a", 402));
      same(await store.messages("a", 0, undefined), [...messagesOf(9), ...messagesOf(402)], "the log");
    },
  },
  {
    name: "a page of the log from anywhere",
    run: async ({ store }) => {
      const log = logUpTo(999);
      await store.create(newSession("a"));
      for (let turn = 1; turn < 1000; turn++) await store.append(turnOf("a", turn));
      for (const [offset, limit] of [
        [0, 1],
        [0, 0],
        [1, 3],
        [777, 250],
        [1998, 10],
        [1999, undefined],
        [2000, 1],
        [5000, undefined],
      ] as const) {
        const expected = log.slice(offset, limit === undefined ? undefined : offset + limit);
        same(await store.messages("a", offset, limit), expected, `${String(limit)} messages from ${offset} on`);
      }
    },
  },
];

export const FENCING: Check[] = [
  {
    name: "each wake-up raises the epoch and fences the owner before",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      assert.equal((await store.open("a")).head.epoch, 2);
      await refuses(store.append(turnOf("a", 1)), "fenced");
      await refuses(store.rewrite(turnOf("a", 1)), "fenced");
      await refuses(store.append(turnOf("a", 1, { epoch: 3 })), "fenced");
      await store.append(turnOf("a", 1, { epoch: 2 }));
      assert.equal((await store.fence("a"))?.epoch, 3);
      await refuses(store.append(turnOf("a", 2, { epoch: 2 })), "fenced");
      same(await store.head("a"), headOf("a", 1, { epoch: 3 }), "the head");
    },
  },
  {
    name: "a write that is fenced and has a wrong version too, or comes after the archive, is fenced",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      await store.open("a");
      await refuses(store.append(turnOf("a", 1, { version: 77 })), "fenced");
      await store.archive("a", undefined);
      await refuses(store.append(turnOf("a", 1)), "fenced");
      assert.equal((await store.fence("a"))?.epoch, 3);
    },
  },
];

export const CONCURRENT: Check[] = [
  {
    name: "calls take effect in the order they were made, awaited or not",
    run: async ({ store }) => {
      const calls = [begun(store.create(newSession("a"))), ...[1, 2, 3].map((turn) => begun(store.append(turnOf("a", turn))))];
      const head = begun(store.head("a"));
      const later = begun(store.append(turnOf("a", 4)));
      await Promise.all(calls);
      same(await head, headOf("a", 3), "the head as of the call");
      await later;
      same(await store.messages("a", 0, undefined), logUpTo(4), "the log");
    },
  },
  {
    name: "of writers of one version one wins, and the log has its messages only",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      for (let turn = 1; turn <= 30; turn++) {
        const settled = await Promise.allSettled([0, 1, 2, 3].map(() => store.append(turnOf("a", turn))));
        assert.equal(settled.filter(({ status }) => status === "fulfilled").length, 1);
      }
      same(await store.messages("a", 0, undefined), logUpTo(30), "the log");
    },
  },
  {
    name: "many sessions at once, refusals among them: each is what its own calls made of it",
    run: manyAtOnce,
  },
];

async function manyAtOnce({ store, options }: Bench): Promise<void> {
  const random = randomFrom(options.seed ?? 0);
  const turns = new Map<string, number>();
  const wrong: Promise<void>[] = [];
  const good: Promise<unknown>[] = [];
  for (let n = 0; n < 20; n++) {
    turns.set(`s${n}`, 0);
    good.push(begun(store.create(newSession(`s${n}`))));
  }
  for (let n = 0; n < 2000; n++) {
    const id = `s${random(20)}`;
    const turn = (turns.get(id) as number) + 1;
    const kind = random(10);
    if (kind === 0) wrong.push(begun(refuses(store.append(turnOf(id, turn, { epoch: 9 })), "fenced")));
    else if (kind === 1) wrong.push(begun(refuses(store.append(turnOf(id, turn, { version: turn + 1 })), "version")));
    else {
      turns.set(id, turn);
      good.push(begun(store.append(turnOf(id, turn))));
    }
    if (random(50) === 0) await good.at(-1);
  }
  await Promise.all([...good, ...wrong]);
  for (const [id, turn] of turns) {
    same(await store.head(id), headOf(id, turn), `the head of ${id}`);
    same(await store.messages(id, 0, undefined), logUpTo(turn), `the log of ${id}`);
  }
}
