/** Checks of archives and listings. */
import assert from "node:assert/strict";

import type { SessionStore } from "../session-store.ts";
import { refuses, same } from "./kit.ts";
import type { Check } from "./kit.ts";
import { CREATED_AT, logUpTo, messagesOf, newSession, stateOf, turnOf } from "./samples.ts";

const ids = async (store: SessionStore, query: Parameters<SessionStore["list"]>[0]): Promise<string[]> =>
  (await store.list(query)).map(({ id }) => id);

export const ARCHIVE: Check[] = [
  {
    name: "an archived session is hidden, refuses everything, and can be read",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      assert.deepEqual([await store.archive("a", undefined), await store.archive("a", 5)], [true, true]);
      assert.deepEqual([await ids(store, {}), await ids(store, { archived: true })], [[], ["a"]]);
      await refuses(store.open("a"), "archived");
      await refuses(store.append(turnOf("a", 1)), "archived");
      await refuses(store.append(turnOf("a", 1, { ticket: 5 })), "archived");
      await refuses(store.rewrite(turnOf("a", 1)), "archived");
      await refuses(store.putContext("a", { staged: 0, pending: [], seen: {} }), "archived");
      await refuses(store.create(newSession("a")), "exists");
      await refuses(store.create(newSession("a", { replaces: true, state: stateOf(9) })), "archived");
      assert.equal((await store.head("a"))?.isArchived, true);
      same(await store.messages("a", 0, undefined), messagesOf(0), "the log");
      assert.deepEqual([await store.remove("a"), await ids(store, { archived: true })], [true, []]);
    },
  },
  {
    name: "the turn that ran at the archive is taken, once, and no other",
    run: async ({ store }) => {
      await store.create(newSession("a"));
      await store.archive("a", 7);
      await refuses(store.append(turnOf("a", 1)), "archived");
      await refuses(store.append(turnOf("a", 1, { ticket: 6 })), "archived");
      await refuses(store.append(turnOf("a", 1, { ticket: 7, version: 9 })), "version");
      await store.append(turnOf("a", 1, { ticket: 7 }));
      await refuses(store.append(turnOf("a", 2, { ticket: 7 })), "archived");
      same(await store.messages("a", 0, undefined), logUpTo(1), "the log");
      const [summary] = await store.list({ archived: true });
      same([summary?.updatedAt, summary?.messageCount, summary?.isArchived], [CREATED_AT + 1, 4, true], "the listing");
    },
  },
];

export const LISTING: Check[] = [
  {
    name: "a row says what the head says",
    run: async ({ store }) => {
      await store.create(newSession("a", { state: stateOf(0, { system: "s" }) }));
      await store.append(turnOf("a", 1, { state: stateOf(1, { system: "s" }) }));
      const { usage } = stateOf(1);
      const row = {
        id: "a",
        createdAt: CREATED_AT,
        updatedAt: CREATED_AT + 1,
        messageCount: 5,
        usage,
        labels: { team: "red" },
        isArchived: false,
      };
      same(await store.list({}), [row], "the listing");
    },
  },
  {
    name: "by id ascending, by time the latest first, each session once however often it was written",
    run: async ({ store }) => {
      for (const [n, id] of ["c", "a", "e", "b", "d"].entries()) await store.create(newSession(id, { state: stateOf(n) }));
      await store.append(turnOf("a", 1, { state: stateOf(50) }));
      await store.append(turnOf("a", 2, { state: stateOf(60) }));
      await store.append(turnOf("e", 1, { state: stateOf(55) }));
      assert.deepEqual(await ids(store, {}), ["a", "b", "c", "d", "e"]);
      assert.deepEqual(await ids(store, { order: "updated" }), ["a", "e", "d", "b", "c"]);
      await store.archive("a", undefined);
      await store.remove("e");
      assert.deepEqual(await ids(store, { order: "updated" }), ["d", "b", "c"]);
      assert.deepEqual(await ids(store, { order: "updated", archived: true }), ["a"]);
    },
  },
  {
    name: "pages follow one another without a gap, also while sessions come and go",
    run: async ({ store }) => {
      const all = Array.from({ length: 95 }, (_, n) => `s${String(n).padStart(3, "0")}`);
      for (const id of all) await store.create(newSession(id));
      const seen: string[] = [];
      for (let after: string | undefined; ;) {
        const page = await ids(store, { limit: 10, ...(after !== undefined && { after }) });
        seen.push(...page);
        if (page.length < 10) break;
        after = page.at(-1) as string;
        await store.remove(after);
      }
      assert.deepEqual(seen, all);
      const left = await ids(store, {});
      for (const [offset, limit] of [
        [0, 5],
        [80, 10],
        [84, 1],
        [200, 5],
        [3, 0],
      ] as const) {
        assert.deepEqual(await ids(store, { offset, limit }), left.slice(offset, offset + limit), `${limit} from ${offset} on`);
        assert.deepEqual(
          await ids(store, { offset, limit, after: "s010" }),
          left.filter((id) => id > "s010").slice(offset, offset + limit),
        );
      }
      assert.equal((await ids(store, { order: "updated", offset: 80 })).length, left.length - 80);
    },
  },
  {
    name: "times as filters are inclusive",
    run: async ({ store }) => {
      for (let n = 0; n < 6; n++) await store.create(newSession(`s${n}`, { createdAt: CREATED_AT + n, state: stateOf(10 - n) }));
      assert.deepEqual(await ids(store, { createdAfter: CREATED_AT + 4 }), ["s4", "s5"]);
      assert.deepEqual(await ids(store, { updatedAfter: CREATED_AT + 9 }), ["s0", "s1"]);
      assert.deepEqual(await ids(store, { updatedAfter: CREATED_AT + 9, order: "updated" }), ["s0", "s1"]);
      assert.deepEqual(await ids(store, { createdAfter: CREATED_AT + 4, order: "updated" }), ["s4", "s5"]);
    },
  },
  {
    name: "labels: every pair must match, and ids do not run into values",
    run: async ({ store }) => {
      const labels = (n: number): Record<string, string> => ({ two: String(n % 2), three: String(n % 3), ["key\u0000"]: `v${n}` });
      for (let n = 0; n < 30; n++)
        await store.create(newSession(`s${String(n).padStart(2, "0")}`, { labels: labels(n), state: stateOf(n) }));
      assert.deepEqual(await ids(store, { labels: { two: "1", three: "2" } }), ["s05", "s11", "s17", "s23", "s29"]);
      assert.deepEqual(await ids(store, { labels: { two: "1", three: "2" }, after: "s11", limit: 2 }), ["s17", "s23"]);
      assert.deepEqual(await ids(store, { labels: { two: "1", three: "2" }, order: "updated", limit: 2 }), ["s29", "s23"]);
      assert.deepEqual(await ids(store, { labels: { three: "3" } }), []);
      assert.deepEqual(await ids(store, { labels: { "key\u0000": "v7" } }), ["s07"]);
      await store.archive("s05", undefined);
      assert.deepEqual(await ids(store, { labels: { two: "1", three: "2" }, limit: 1 }), ["s11"]);
      assert.deepEqual(await ids(store, { labels: { two: "1", three: "2" }, archived: true }), ["s05"]);
    },
  },
];
