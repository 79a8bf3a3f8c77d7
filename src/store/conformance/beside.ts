/** Checks of what stands beside the log: staged context, events, large messages. */
import assert from "node:assert/strict";

import type { StoredContext } from "../../protocol/stored-session.ts";
import type { EventStore, SessionStore } from "../session-store.ts";
import { refuses, same } from "./kit.ts";
import type { Check } from "./kit.ts";
import { eventsOf, logUpTo, messagesOf, newSession, stateOf, turnOf } from "./samples.ts";

export const CONTEXT: Check[] = [
  {
    name: "staged context is replaced, and a turn does not touch it",
    run: async ({ store }) => {
      await refuses(store.putContext("a", { staged: 0, pending: [], seen: {} }), "not_found");
      await store.create(newSession("a"));
      assert.equal(await store.context("a"), undefined);
      const context: StoredContext = {
        staged: 3,
        pending: [{ text: "t", source: "s", acceptedAt: 1 }],
        seen: { k: { text: "t", state: "pending" } },
      };
      await store.putContext("a", { staged: 1, pending: [], seen: {} });
      await store.putContext("a", context);
      await store.append(turnOf("a", 1));
      await store.open("a");
      same(await store.context("a"), context, "the context");
      await store.archive("a", undefined);
      same(await store.context("a"), context, "the context of the archived session");
    },
  },
];

const withEvents = (store: SessionStore): EventStore => store.events as EventStore;
const withEpoch = (epoch: number, from: number, to: number) => eventsOf(from, to).map((event) => ({ ...event, epoch }));

export const EVENTS: Check[] = [
  {
    name: "events are read from any number on, whichever way they came",
    needs: "events",
    run: async ({ store }) => {
      const events = withEvents(store);
      await store.create(newSession("a"));
      same([await events.last("a"), await events.readFrom("a", 1, 10)], [undefined, []], "the empty log");
      assert.equal(await events.append({ id: "a", epoch: 1, events: eventsOf(1, 5) }), 5);
      await store.append(turnOf("a", 1, { events: eventsOf(6, 8) }));
      await store.open("a");
      assert.equal(await events.append({ id: "a", epoch: 2, events: eventsOf(9, 20) }), 20);
      assert.equal(await events.append({ id: "a", epoch: 2, events: [] }), 20);
      const all = [...withEpoch(1, 1, 8), ...withEpoch(2, 9, 20)];
      for (const [seq, limit] of [
        [0, 100],
        [1, 100],
        [1, 3],
        [4, 3],
        [7, 4],
        [8, 100],
        [20, 5],
        [21, 5],
      ] as const) {
        same(await events.readFrom("a", seq, limit), all.filter((event) => event.seq >= seq).slice(0, limit), `${limit} from ${seq} on`);
      }
      same(
        [await events.last("a"), await events.last("a", 1)],
        [
          { seq: 20, epoch: 2 },
          { seq: 8, epoch: 1 },
        ],
        "the last ones",
      );
      assert.equal(await events.last("a", 0), undefined);
    },
  },
  {
    name: "numbers that are in the log, and owners that are fenced, are refused with all they brought",
    needs: "events",
    run: async ({ store }) => {
      const events = withEvents(store);
      await refuses(events.append({ id: "a", epoch: 1, events: eventsOf(1, 1) }), "not_found");
      await store.create(newSession("a"));
      await events.append({ id: "a", epoch: 1, events: eventsOf(1, 5) });
      await refuses(events.append({ id: "a", epoch: 1, events: eventsOf(5, 6) }), "version");
      await refuses(store.append(turnOf("a", 1, { events: eventsOf(4, 6) })), "version");
      same(await store.messages("a", 0, undefined), messagesOf(0), "the log");
      assert.equal((await store.head("a"))?.version, 1);
      await refuses(store.append(turnOf("a", 1, { version: 4, events: eventsOf(6, 7) })), "version");
      await store.open("a");
      await refuses(events.append({ id: "a", epoch: 1, events: eventsOf(6, 6) }), "fenced");
      same(await events.last("a"), { seq: 5, epoch: 1 }, "the last event");
      await store.archive("a", 3);
      await refuses(events.append({ id: "a", epoch: 2, events: eventsOf(6, 6) }), "archived");
      assert.equal(await events.append({ id: "a", epoch: 2, events: eventsOf(6, 6), ticket: 3 }), 6);
    },
  },
  {
    name: "events go with their session, and stay when it is replaced",
    needs: "events",
    run: async ({ store }) => {
      const events = withEvents(store);
      await store.create(newSession("a"));
      await events.append({ id: "a", epoch: 1, events: eventsOf(1, 5) });
      await store.create(newSession("a", { replaces: true, state: stateOf(3) }));
      same(await events.last("a"), { seq: 5, epoch: 1 }, "the last event");
      await store.remove("a");
      await store.create(newSession("a"));
      same([await events.last("a"), await events.readFrom("a", 0, 9)], [undefined, []], "the log of the new session");
    },
  },
];

export const LARGE: Check[] = [
  {
    name: "messages of 4 MiB, among small ones",
    run: async ({ store }) => {
      const large = { role: "user" as const, content: "4".repeat(4 * 1024 * 1024) };
      await store.create(newSession("a", { messages: [large] }));
      const expected = [large, ...logUpTo(3).slice(2), large, large];
      for (let turn = 1; turn <= 3; turn++) await store.append(turnOf("a", turn));
      await store.append(turnOf("a", 4, { messages: [large, large], state: stateOf(4, { system: large.content }) }));
      const { head, messages } = await store.open("a");
      assert.equal(head.system?.length, large.content.length);
      same(messages, expected, "the log");
      same(await store.messages("a", 2, 4), expected.slice(2, 6), "a page");
    },
  },
  {
    name: "a log of 10,000 messages at once",
    run: async ({ store }) => {
      const messages = logUpTo(4999);
      await store.create(newSession("a", { messages }));
      await store.append(turnOf("a", 1));
      same((await store.open("a")).messages, [...messages, ...messagesOf(1)], "the log");
      same(await store.messages("a", 9990, 5), messages.slice(9990, 9995), "a page");
    },
  },
];
