/** What a lane remembers of keyed turns: Q1, Q2; and what tells one request from another. */
import { describe, expect, test } from "vitest";

import { RememberedTurns, StoredKeys } from "../../src/lane/keyed-turns.ts";
import { fingerprintOf } from "../../src/lane/turn-fingerprint.ts";
import type { TurnCommand, TurnExtras } from "../../src/protocol/frames.ts";
import { COMMANDS, TURN_FLAGS } from "../../src/protocol/frames.ts";
import { KEYED_TURNS_MAX, KEYED_TURN_KEPT_MS } from "../../src/protocol/stored-session.ts";
import type { KeyedTurn } from "../../src/protocol/stored-session.ts";
import type { StoreClient } from "../../src/transport/store-client.ts";

const NOW = 1000;
const turnOf = (key: string, text = "t", at = NOW): KeyedTurn => ({
  key,
  at,
  fingerprint: "f",
  ticket: 1,
  result: { text, turns: 1, toolCalls: 0, usage: { inputTokens: 0, outputTokens: 0 } },
});
const keysOf = (turns: readonly KeyedTurn[]): string[] => turns.map(({ key }) => key);

describe("in memory", () => {
  test("a turn is found until its time is over, under the key that it was given last", () => {
    const turns = new RememberedTurns().ofSession();
    expect(turns.find("k", NOW)).toBeUndefined();
    turns.add(turnOf("k", "first"));
    turns.add(turnOf("l"));
    turns.add(turnOf("k", "second"));
    expect([turns.find("k", NOW + KEYED_TURN_KEPT_MS - 1), turns.find("k", NOW + KEYED_TURN_KEPT_MS)]).toEqual([
      turnOf("k", "second"),
      undefined,
    ]);
    expect(keysOf(turns.all)).toEqual(["l", "k"]);
    turns.add(turnOf("m", "t", NOW + KEYED_TURN_KEPT_MS));
    expect(keysOf(turns.all)).toEqual(["m"]);
  });

  test("of a session so many, the oldest out", () => {
    const lane = new RememberedTurns();
    const [turns, others] = [lane.ofSession(), lane.ofSession()];
    others.add(turnOf("other"));
    for (let n = 0; n < KEYED_TURNS_MAX + 2; n++) turns.add(turnOf(`k${n}`));
    expect([turns.all.length, turns.all[0]?.key, keysOf(others.all)]).toEqual([KEYED_TURNS_MAX, "k2", ["other"]]);
  });

  test("Q2: of a lane so many bytes, the oldest out, of whatever session; what a session leaves is free", () => {
    const lane = new RememberedTurns();
    const [turns, others] = [lane.ofSession(), lane.ofSession()];
    const large = "x".repeat(3 * 1024 * 1024); // 6 MiB, as texts are counted
    others.add(turnOf("small"));
    others.add(turnOf("a", large));
    turns.add(turnOf("b", large));
    expect([keysOf(others.all), keysOf(turns.all)]).toEqual([["small", "a"], ["b"]]);
    turns.add(turnOf("c", large));
    expect([keysOf(others.all), keysOf(turns.all)]).toEqual([[], ["b", "c"]]);
    turns.clear();
    others.add(turnOf("d", large));
    others.add(turnOf("e", large));
    expect([keysOf(others.all), keysOf(turns.all)]).toEqual([["d", "e"], []]);
  });

  test("Q2: structured output counts", () => {
    const turns = new RememberedTurns().ofSession();
    const turn = turnOf("a");
    turns.add({ ...turn, result: { ...turn.result, structuredOutput: { list: ["y".repeat(9 * 1024 * 1024)] } } });
    expect(turns.all).toEqual([]);
  });
});

describe("in a store", () => {
  const storeOf = (keys: string[]) => {
    const calls: string[] = [];
    const call = async (method: string, _id: string, key = "") => {
      calls.push(key === "" ? method : `${method} ${key}`);
      return method === "turnKeys" ? keys : keys.includes(key) ? turnOf(key) : null;
    };
    return { store: { call } as unknown as StoreClient, calls };
  };

  test("Q1: a session that wakes asks once for all its keys, and then for those only", async () => {
    const { store, calls } = storeOf(["a", "b"]);
    const turns = new StoredKeys(store, "s", false);
    expect(await turns.find("x", NOW)).toBeUndefined();
    expect(turns.find("y", NOW)).toBeUndefined();
    turns.add(turnOf("y"));
    await turns.find("y", NOW);
    expect([await turns.find("b", NOW), calls]).toEqual([turnOf("b"), ["turnKeys", "keyedTurn x", "keyedTurn y", "keyedTurn b"]]);
  });

  test("Q1: a new session asks for none; when it has had many, it asks again what there is", async () => {
    const { store, calls } = storeOf(["k0"]);
    const turns = new StoredKeys(store, "s", true);
    for (let n = 0; n < 2 * KEYED_TURNS_MAX; n++) {
      expect(turns.find(`k${n}`, NOW)).toBeUndefined();
      turns.add(turnOf(`k${n}`));
    }
    expect(calls).toEqual([]);
    turns.add(turnOf("one more"));
    expect([await turns.find("k0", NOW), calls]).toEqual([turnOf("k0"), ["turnKeys", "keyedTurn k0"]]);
  });
});

describe("a fingerprint", () => {
  const of = (prompt: string, extras?: TurnExtras, flags = 0): string => {
    const command: TurnCommand = [COMMANDS.TURN.op, 1, 1, 1, prompt, flags, extras];
    return fingerprintOf(command);
  };

  test("says what is asked for, and not by whom, how long or in what words of its own", () => {
    const plain = of("p");
    expect([
      of("p", { executionKind: "content_turn" }),
      of("p", { wantsBoundary: true, idempotencyKey: "k" }),
      of("p", {}, TURN_FLAGS.hasConsumer),
    ]).toEqual([plain, plain, plain]);
    const append = { text: "t", source: "s" };
    expect(of("p", { contextAppends: [{ ...append, acceptedAt: 1 }] })).toBe(of("p", { contextAppends: [append] }));
    expect(of("p", { overlay: { allowedTools: ["a"] } })).toBe(of("p", { overlay: { allowedTools: ["a"], blockedTools: undefined } }));
  });

  test("differs where the request does", () => {
    const all = [
      of("p"),
      of("q"),
      of("p\ud83d"),
      of("p", undefined, TURN_FLAGS.hostMode),
      of("p", { executionKind: "resume_pending" }),
      of("p", { skillReferences: [{ sourceUuid: "u", skillName: "n" }] }),
      of("p", { skillReferences: [{ sourceUuid: "u", skillName: "m" }] }),
      of("p", { overlay: {} }),
      of("p", { overlay: { allowedTools: [] } }),
      of("p", { overlay: { blockedTools: [] } }),
      of("p", { contextAppends: [{ text: "t" }] }),
      of("p", { contextAppends: [{ text: "t", source: "s" }] }),
      of("p", { contextAppends: [{ text: "t", idempotencyKey: "s" }] }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
