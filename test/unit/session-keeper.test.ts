import { describe, expect, test, vi } from "vitest";

import { SessionKeeper } from "../../src/lane/session-keeper.ts";
import type { PackedWrite } from "../../src/protocol/store-calls.ts";
import type { StoredRequest } from "../../src/protocol/stored-session.ts";
import { unpackSession } from "../../src/transport/packed-session.ts";
import type { StoreClient } from "../../src/transport/store-client.ts";
import { clientOf, JournalStore, NO_USAGE, user, WrittenAgent } from "./support/kept-agent.ts";

const RESULT = { text: "done", turns: 1, toolCalls: 0, usage: NO_USAGE };
const event = (text: string): { type: string; delta: string } => ({ type: "text_delta", delta: text });

/** A session laid down in a store, and its keeper. */
async function kept(): Promise<{
  store: JournalStore;
  client: StoreClient;
  written: WrittenAgent;
  keeper: SessionKeeper;
  session: { lastSeq: number };
}> {
  const store = new JournalStore();
  const client = clientOf(store);
  const written = new WrittenAgent(true);
  const session = { id: "s", agent: written.agent, lastSeq: 0 };
  const what = { agent: "a", request: { prompt: "" } as StoredRequest, snapshot: written.snapshot(), replaces: false };
  const keeper = await SessionKeeper.lay({ store: client, logsEvents: true, remembersTurns: true }, session, what);
  return { store, client, written, keeper, session };
}

async function contentsOf(client: StoreClient): Promise<string[]> {
  return ((await client.call("messages", "s", 0, undefined)) ?? []).map((message) => ("content" in message ? String(message.content) : ""));
}

describe("SessionKeeper", () => {
  test("a turn is saved with its result, its events and how far its context was taken", async () => {
    const { client, written, keeper, session } = await kept();
    keeper.turnBegins(7);
    session.lastSeq = 2;
    for (const seq of [1, 2]) void keeper.events?.add(seq, 1, event(String(seq)));
    keeper.contextTaken = 3;
    await keeper.saveTurn({ ticket: 7, result: RESULT, key: "k" }, written.add("q", "a").snapshot());
    expect(await client.call("head", "s")).toMatchObject({
      version: 2,
      logLength: 2,
      lastSeq: 2,
      contextTaken: 3,
      lastTurn: { ticket: 7, key: "k" },
    });
    expect((await client.call("readEvents", "s", 0, 10)).map(({ seq }) => seq)).toEqual([1, 2]);
    expect(keeper.events?.isEmpty).toBe(true);
  });

  test("K1: writes go one after the other, each with the version the one before made", async () => {
    const { store, client, written, keeper } = await kept();
    let go!: () => void;
    store.wait = new Promise((resolve) => (go = resolve));
    const writes = [
      keeper.checkpoint(written.add("1").sessionClone(), undefined),
      keeper.checkpoint(written.add("2").sessionClone(), undefined),
      keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("3").snapshot()),
    ];
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(store.writes).toHaveLength(1);
    go();
    await Promise.all(writes);
    expect(store.writes.map(([, , version]) => version)).toEqual([1, 2, 3]);
    expect(await contentsOf(client)).toEqual(["1", "2", "3"]);
  });

  test("K2: a write that failed changed nothing: the next one has it all", async () => {
    const { store, client, written, keeper } = await kept();
    store.fails = "before";
    await expect(keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("1").snapshot())).rejects.toMatchObject({ reason: "io" });
    store.fails = undefined;
    await keeper.saveTurn({ ticket: 2, result: RESULT }, written.add("2").snapshot());
    expect(await contentsOf(client)).toEqual(["1", "2"]);
  });

  test("K2: nothing is written behind a write that was done and reported as failed", async () => {
    const { store, client, written, keeper } = await kept();
    store.fails = "after";
    await expect(keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("1").snapshot())).rejects.toMatchObject({ reason: "io" });
    store.fails = undefined;
    await expect(keeper.saveTurn({ ticket: 2, result: RESULT }, written.add("2").snapshot())).rejects.toMatchObject({ reason: "version" });
    expect(await contentsOf(client)).toEqual(["1"]);
  });

  test("K2: a session that somebody else made live meanwhile is written no more", async () => {
    const { client, written, keeper } = await kept();
    await client.call("open", "s");
    await expect(keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("1").snapshot())).rejects.toMatchObject({ reason: "fenced" });
    await expect(keeper.saveRest(written.snapshot())).rejects.toMatchObject({ reason: "fenced" });
    void keeper.events?.add(1, 1, event("1"));
    await expect(keeper.saveEvents()).rejects.toMatchObject({ reason: "fenced" });
    expect(await contentsOf(client)).toEqual([]);
  });

  test("the rest is saved once: nothing changed, nothing is written", async () => {
    const { store, client, written, keeper } = await kept();
    await keeper.saveRest(written.snapshot());
    expect(store.writes).toEqual([]);
    await keeper.saveRest(written.add("between").snapshot());
    await keeper.saveRest(written.snapshot());
    keeper.contextTaken = 1;
    await keeper.saveRest(written.snapshot());
    expect(store.writes.map(([how, messages]) => [how, messages])).toEqual([
      ["append", 1],
      ["append", 0],
    ]);
    expect(await contentsOf(client)).toEqual(["between"]);
  });

  test("a system message that was written to is saved although nothing grew", async () => {
    const { client, written, keeper } = await kept();
    await keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("1").snapshot());
    written.messages = [{ role: "system", content: "be brief" }, ...written.messages];
    await keeper.saveRest(written.snapshot(), true);
    expect(await client.call("head", "s")).toMatchObject({ system: "be brief", logLength: 1, lastTurn: { ticket: 1 } });
  });

  test("E2, E3: a checkpoint of what is saved writes nothing; one that failed is made up for by the next", async () => {
    const { store, client, written, keeper } = await kept();
    await keeper.checkpoint(written.sessionClone(), undefined);
    expect(store.writes).toEqual([]);
    store.fails = "before";
    await expect(keeper.checkpoint(written.add("1").sessionClone(), undefined)).rejects.toMatchObject({ reason: "io" });
    store.fails = undefined;
    await keeper.checkpoint(written.add("2").sessionClone(), undefined);
    await keeper.checkpoint(written.sessionClone(), undefined);
    expect(store.writes.map(([how, messages]) => [how, messages])).toEqual([
      ["append", 1],
      ["append", 2],
    ]);
    await keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("3").snapshot());
    expect(await contentsOf(client)).toEqual(["1", "2", "3"]);
  });

  test("K3: of checkpoints that nobody awaits one waits, the last; a turn's save behind it stands where it was", async () => {
    const { store, client, written, keeper } = await kept();
    let go!: () => void;
    store.wait = new Promise((resolve) => (go = resolve));
    const first = keeper.checkpoint(written.add("first").sessionClone(), undefined);
    const waiting = Array.from({ length: 1000 }, (_, i) => keeper.checkpoint(written.add(String(i)).sessionClone(), undefined));
    expect(new Set(waiting).size).toBe(1);
    const turn = keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("turn").snapshot());
    const behind = keeper.checkpoint(written.sessionClone(), undefined);
    expect(behind).not.toBe(waiting[0]);
    go();
    await Promise.all([first, ...waiting, turn, behind]);
    expect(store.writes.map(([how, messages]) => [how, messages])).toEqual([
      ["append", 1],
      ["append", 1000],
      ["append", 1],
    ]);
    expect(await contentsOf(client)).toHaveLength(1002);
  });

  test("K3: a checkpoint of the agent as it is costs what was added, and takes the place of one that waits", async () => {
    const { store, client, written, keeper } = await kept();
    await keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("1", "2").snapshot());
    const clones = vi.spyOn(written, "sessionClone");
    await keeper.checkpointAgent(written.add("3").snapshot());
    await keeper.checkpointAgent(written.snapshot());
    let go!: () => void;
    store.wait = new Promise((resolve) => (go = resolve));
    const first = keeper.checkpointAgent(written.add("4").snapshot());
    const waiting = Array.from({ length: 100 }, (_, i) => keeper.checkpointAgent(written.add(String(i)).snapshot()));
    expect(new Set(waiting).size).toBe(1);
    go();
    await Promise.all([first, ...waiting]);
    expect(clones).not.toHaveBeenCalled();
    expect(store.writes.map(([how, messages]) => [how, messages])).toEqual([
      ["append", 2],
      ["append", 1],
      ["append", 1],
      ["append", 100],
    ]);
    expect(await contentsOf(client)).toHaveLength(104);
  });

  test("E6: a checkpoint that is cancelled is not taken for saved", async () => {
    const { client, written, keeper } = await kept();
    await client.call("cancelCheckpoints");
    await keeper.checkpoint(written.add("1").sessionClone(), undefined);
    expect(await contentsOf(client)).toEqual([]);
    await keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("2").snapshot());
    expect(await contentsOf(client)).toEqual(["1", "2"]);
  });

  test("events of a turn that saved nothing are logged on their own; what could not be logged stays for the next", async () => {
    const { store, client, written, keeper } = await kept();
    expect(keeper.saveEvents()).toBeUndefined();
    void keeper.events?.add(1, 1, event("1"));
    const append = vi.spyOn(store.events, "append").mockRejectedValue(new Error("disk"));
    await expect(keeper.saveEvents()).rejects.toMatchObject({ reason: "io" });
    append.mockRestore();
    void keeper.events?.add(2, 1, event("2"));
    await keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("1").snapshot());
    expect((await client.call("readEvents", "s", 0, 10)).map(({ seq }) => seq)).toEqual([1, 2]);
  });

  test("a turn that emits much sends events ahead, and none of them twice", async () => {
    const { client, written, keeper, session } = await kept();
    keeper.turnBegins(1);
    for (let seq = 1; seq <= 1300; seq++) {
      session.lastSeq = seq;
      void keeper.events?.add(seq, 1, event("x"));
      if (seq % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("1").snapshot());
    const seqs: number[] = [];
    for (let page; (page = await client.call("readEvents", "s", seqs.length + 1, 512)).length > 0;)
      seqs.push(...page.map(({ seq }) => seq));
    expect(seqs).toEqual(Array.from({ length: 1300 }, (_, i) => i + 1));
  });

  test("a session that is gone on with is written from where it stands", async () => {
    const { store, client, written, keeper } = await kept();
    await keeper.saveTurn({ ticket: 1, result: RESULT }, written.add("1", "2").snapshot());
    const { head, rest } = unpackSession("s", await client.call("open", "s"));
    const messages = (await client.call("messages", "s", 0, undefined)) ?? [];
    const woken = new WrittenAgent(true);
    woken.messages = [...messages];
    const session = { id: "s", agent: woken.agent, lastSeq: 0 };
    const resumed = SessionKeeper.resume(
      { store: client, logsEvents: false, remembersTurns: true },
      session,
      head,
      { log: messages, rest },
      undefined,
    );
    const calls = vi.spyOn(client, "call");
    await resumed.saveTurn({ ticket: 2, result: RESULT }, woken.add("3").snapshot());
    expect(store.writes.at(-1)).toEqual(["append", 1, 2]);
    const [, write] = calls.mock.calls[0] as unknown as ["append", PackedWrite];
    expect([write[12], write[13]]).toEqual([new Uint8Array(rest), false]); // what the store has of the state is known, and has not changed
    expect(await client.call("messages", "s", 2, undefined)).toEqual([user("3")]);
  });
});
