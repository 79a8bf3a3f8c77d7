/** Checks of turns that are remembered by their keys, and of answers. */
import assert from "node:assert/strict";

import { ANSWER_BYTES_MAX, ANSWER_KEY_MAX } from "../../protocol/answers.ts";
import { KEYED_TURNS_MAX, KEYED_TURN_KEPT_MS } from "../../protocol/stored-session.ts";
import type { AnswerStore, KeyedTurnStore, SessionStore } from "../session-store.ts";
import { refuses, same } from "./kit.ts";
import type { Check } from "./kit.ts";
import { CREATED_AT, eventsOf, keyedOf, keyedTurnOf, messagesOf, newSession, stateOf, turnOf } from "./samples.ts";

const turnsOf = (store: SessionStore): KeyedTurnStore => store.keyedTurns as KeyedTurnStore;
const answersOf = (store: SessionStore): AnswerStore => store.answers as AnswerStore;
const NOW = CREATED_AT + 10_000;

export const KEYED: Check[] = [
  {
    name: "a turn is found by its key, however many follow it, and by no other session's",
    needs: "keyedTurns",
    run: async ({ store }) => {
      const turns = turnsOf(store);
      assert.equal(await turns.find("a", "key 1", NOW), undefined);
      same(await turns.keys("a"), [], "the keys of no session");
      for (const id of ["a", "b"]) await store.create(newSession(id));
      await store.append(turnOf("a", 1, { keyed: keyedOf(1) }));
      for (let turn = 2; turn <= 40; turn++) await store.append(turnOf("a", turn, turn % 3 === 0 ? { keyed: keyedOf(turn) } : {}));
      await store.rewrite(turnOf("a", 41, { keyed: keyedOf(41) }));
      await store.append(turnOf("b", 1, { keyed: { ...keyedOf(1), fingerprint: "b's" } }));
      same(await turns.find("a", "key 1", NOW), keyedTurnOf(1), "the first turn");
      same(await turns.find("a", "key 39", NOW), keyedTurnOf(39), "a later turn");
      same(await turns.find("a", "key 41", NOW), keyedTurnOf(41), "the turn of a rewrite");
      same(await turns.find("b", "key 1", NOW), { ...keyedTurnOf(1), fingerprint: "b's" }, "the other session's");
      same([await turns.find("a", "key 2", NOW), await turns.find("b", "key 3", NOW)], [undefined, undefined], "what has no such key");
      same(
        (await turns.keys("a")).sort(),
        [1, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 41].map((n) => `key ${n}`).sort(),
        "the keys",
      );
    },
  },
  {
    name: "a write that is refused leaves no turn to be found",
    needs: "keyedTurns",
    run: async ({ store }) => {
      const turns = turnsOf(store);
      await store.create(newSession("a"));
      await refuses(store.append(turnOf("a", 1, { version: 7, keyed: keyedOf(1) })), "version");
      await store.open("a");
      await refuses(store.append(turnOf("a", 1, { keyed: keyedOf(1) })), "fenced");
      if (store.events !== undefined) {
        await store.append(turnOf("a", 1, { epoch: 2, events: eventsOf(1, 3) }));
        await refuses(store.append(turnOf("a", 2, { epoch: 2, events: eventsOf(2, 4), keyed: keyedOf(2) })), "version");
      }
      same([await turns.find("a", "key 1", NOW), await turns.keys("a")], [undefined, []], "what is remembered");
    },
  },
  {
    name: "turns are kept for their time, and no longer",
    needs: "keyedTurns",
    run: async ({ store }) => {
      const turns = turnsOf(store);
      await store.create(newSession("a"));
      await store.append(turnOf("a", 1, { keyed: keyedOf(1) }));
      const { at } = keyedOf(1);
      same(await turns.find("a", "key 1", at + KEYED_TURN_KEPT_MS - 1), keyedTurnOf(1), "in its time");
      assert.equal(await turns.find("a", "key 1", at + KEYED_TURN_KEPT_MS), undefined);
      const later = at + 3 * KEYED_TURN_KEPT_MS;
      for (let turn = 2; turn <= 20; turn++) await store.append(turnOf("a", turn, { keyed: { ...keyedOf(turn), at: later } }));
      assert.ok(!(await turns.keys("a")).includes("key 1"), "what is over goes with the writes that follow");
      assert.equal((await turns.keys("a")).length, 19);
    },
  },
  {
    name: "a key is given to a turn anew",
    needs: "keyedTurns",
    run: async ({ store }) => {
      const turns = turnsOf(store);
      await store.create(newSession("a"));
      const again = { ...keyedOf(1), at: keyedOf(1).at + KEYED_TURN_KEPT_MS + 5, fingerprint: "another" };
      await store.append(turnOf("a", 1, { keyed: keyedOf(1) }));
      await store.append(turnOf("a", 2, { keyed: again }));
      for (let turn = 3; turn <= 20; turn++) await store.append(turnOf("a", turn, { keyed: { ...keyedOf(turn), at: again.at + turn } }));
      same(await turns.find("a", "key 1", again.at + 100), { ...keyedTurnOf(2), ...again }, "the turn that came last");
      assert.equal((await turns.keys("a")).filter((key) => key === "key 1").length, 1);
    },
  },
  {
    name: "of a session so many are remembered, the oldest out",
    needs: "keyedTurns",
    run: async ({ store }) => {
      const turns = turnsOf(store);
      await store.create(newSession("a"));
      await store.create(newSession("b"));
      await store.append(turnOf("b", 1, { keyed: keyedOf(1) }));
      const last = KEYED_TURNS_MAX + 3;
      const writes = Array.from({ length: last }, (_, n) => store.append(turnOf("a", n + 1, { messages: [], keyed: keyedOf(n + 1) })));
      await Promise.all(writes);
      same(
        await Promise.all(["key 3", "key 4", `key ${last}`].map(async (key) => (await turns.find("a", key, NOW))?.key)),
        [undefined, "key 4", `key ${last}`],
        "the ends",
      );
      assert.equal((await turns.keys("a")).length, KEYED_TURNS_MAX);
      same(await turns.keys("b"), ["key 1"], "the other session's");
    },
  },
  {
    name: "turns stay when their session is archived or replaced, and go with it",
    needs: "keyedTurns",
    run: async ({ store }) => {
      const turns = turnsOf(store);
      await store.create(newSession("a"));
      await store.append(turnOf("a", 1, { keyed: keyedOf(1) }));
      await store.create(newSession("a", { replaces: true, state: stateOf(3), messages: messagesOf(7) }));
      same(await turns.find("a", "key 1", NOW), keyedTurnOf(1), "of the replaced session");
      await store.archive("a", 3);
      await store.append(turnOf("a", 1, { epoch: 2, ticket: 3, keyed: keyedOf(2) }));
      same((await turns.keys("a")).sort(), ["key 1", "key 2"], "of the archived session");
      await store.remove("a");
      same([await turns.find("a", "key 1", NOW), await turns.keys("a")], [undefined, []], "of the removed session");
      await store.create(newSession("a"));
      same([await turns.find("a", "key 1", NOW), await turns.keys("a")], [undefined, []], "of a new one of its id");
    },
  },
  {
    name: "keys of every length, and such as mean something to JavaScript",
    needs: "keyedTurns",
    run: async ({ store }) => {
      const turns = turnsOf(store);
      await store.create(newSession("a"));
      const keys = ["k", "__proto__", "constructor", "ü\u{1f407}\0", "k".repeat(1024), "\u{1f407}".repeat(512)];
      for (const [n, key] of keys.entries()) await store.append(turnOf("a", n + 1, { keyed: { ...keyedOf(n), key } }));
      for (const [n, key] of keys.entries()) same(await turns.find("a", key, NOW), { ...keyedTurnOf(n + 1), ...keyedOf(n), key }, "a turn");
      same((await turns.keys("a")).sort(), [...keys].sort(), "the keys");
    },
  },
];

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);

export const ANSWERS: Check[] = [
  {
    name: "an answer is there until it expires, or is replaced or removed",
    needs: "answers",
    run: async ({ store }) => {
      const answers = answersOf(store);
      assert.equal(await answers.get("a", NOW), undefined);
      const value = bytes("first");
      await answers.put("a", { value, expiresAt: NOW + 10 }, NOW);
      value.fill(0);
      await answers.put("b", { value: bytes(""), expiresAt: NOW + 10 }, NOW);
      same([textOf(await answers.get("a", NOW)), textOf(await answers.get("b", NOW))], ["first", ""], "the answers");
      (await answers.get("a", NOW))?.fill(0);
      same([textOf(await answers.get("a", NOW + 9)), await answers.get("a", NOW + 10)], ["first", undefined], "in time, and later");
      await answers.put("a", { value: bytes("second"), expiresAt: NOW + 100 }, NOW);
      assert.equal(textOf(await answers.get("a", NOW + 50)), "second");
      assert.deepEqual([await answers.remove("a"), await answers.remove("a"), await answers.get("a", NOW)], [true, false, undefined]);
    },
  },
  {
    name: "one of several claims lays its answer down, and the others are given that",
    needs: "answers",
    run: async ({ store }) => {
      const answers = answersOf(store);
      const claims = ["1", "2", "3"].map((text) => answers.claim("a", { value: bytes(text), expiresAt: NOW + 10 }, NOW));
      same((await Promise.all(claims)).map(textOf), [undefined, "1", "1"], "what the claims were given");
      await answers.put("a", { value: bytes("done"), expiresAt: NOW + 10 }, NOW);
      assert.equal(textOf(await answers.claim("a", { value: bytes("4"), expiresAt: NOW + 99 }, NOW + 9)), "done");
      assert.equal(await answers.claim("a", { value: bytes("5"), expiresAt: NOW + 99 }, NOW + 10), undefined);
      assert.equal(textOf(await answers.get("a", NOW + 20)), "5");
    },
  },
  {
    name: "what has expired goes; what was laid down again does not",
    needs: "answers",
    run: async ({ store }) => {
      const answers = answersOf(store);
      for (let n = 0; n < 50; n++) await answers.put(`old ${n}`, { value: bytes("x"), expiresAt: NOW + 5 }, NOW);
      for (let n = 0; n < 10; n++) await answers.put(`old ${n}`, { value: bytes("y"), expiresAt: NOW + 500 }, NOW);
      for (let n = 0; n < 50; n++) await answers.put(`new ${n}`, { value: bytes("z"), expiresAt: NOW + 500 }, NOW + 6);
      for (let n = 0; n < 10; n++) assert.equal(textOf(await answers.get(`old ${n}`, NOW + 6)), "y");
      for (let n = 10; n < 50; n++) assert.equal(await answers.get(`old ${n}`, NOW + 6), undefined);
      for (let n = 0; n < 50; n++) assert.equal(textOf(await answers.get(`new ${n}`, NOW + 6)), "z");
    },
  },
  {
    name: "keys and answers that are too long are refused, and change nothing",
    needs: "answers",
    run: async ({ store }) => {
      const answers = answersOf(store);
      const whole = { value: new Uint8Array(ANSWER_BYTES_MAX).fill(7), expiresAt: NOW + 10 };
      const longest = "\u{1f407}".repeat(ANSWER_KEY_MAX / 2);
      await answers.put(longest, whole, NOW);
      same(
        [(await answers.get(longest, NOW))?.length, await answers.get(longest.slice(2), NOW)],
        [ANSWER_BYTES_MAX, undefined],
        "the longest",
      );
      for (const key of ["", "k".repeat(ANSWER_KEY_MAX + 1), "half \ud83d"]) {
        await refuses(answers.get(key, NOW), "invalid");
        await refuses(answers.put(key, whole, NOW), "invalid");
        await refuses(answers.claim(key, whole, NOW), "invalid");
        await refuses(answers.remove(key), "invalid");
      }
      for (const answer of [
        { ...whole, value: new Uint8Array(ANSWER_BYTES_MAX + 1) },
        { ...whole, expiresAt: Number.NaN },
      ]) {
        await refuses(answers.put(longest, answer, NOW), "invalid");
        await refuses(answers.claim("b", answer, NOW), "invalid");
      }
      same([(await answers.get(longest, NOW))?.length, await answers.get("b", NOW)], [ANSWER_BYTES_MAX, undefined], "what is there");
    },
  },
];
