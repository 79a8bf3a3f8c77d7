/** What is particular to the lmdb store: damaged rows, what it costs on disk, what it reads, copies. Counted, never timed. */
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { RootDatabase } from "lmdb";
import { open as openDatabase } from "lmdb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { randomFrom } from "../../dist/src/store/conformance/kit.js";
import { eventsOf, inputOf, logUpTo, messagesOf, newSession, stateOf, turnOf } from "../../dist/src/store/conformance/samples.js";
import type { Table } from "../../dist/src/store/lmdb-env.js";
import { LmdbEnv } from "../../dist/src/store/lmdb-env.js";
import { numberKey } from "../../dist/src/store/lmdb-keys.js";
import { openLmdbStore } from "../../dist/src/store/lmdb-open.js";
import type { StoreError } from "../../dist/src/protocol/store-error.js";
import type { RuntimeStore, SessionStore } from "../../dist/src/store/session-store.js";
import { decodeValue, encodeValue } from "../../dist/src/transport/codec.js";
import { changeRows, inDatabase, numberOfSession } from "../helpers/store-damage.ts";

let folder: string;
let path: string;
let store: SessionStore;
const open = (more: object = {}): Promise<SessionStore> => openLmdbStore({ path, durability: "commit", ...more });
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "warren-lmdb-"));
  path = join(folder, "store");
  store = await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Count rows and keys of indexes that are read, by whichever environment. */
function countReads(): { reads: number; restore: () => void } {
  const counted = { reads: 0, restore: () => vi.restoreAllMocks() };
  const counting = <T>(good: (...args: never[]) => Iterable<T>) =>
    function* (this: LmdbEnv, ...args: unknown[]): Iterable<T> {
      for (const found of good.apply(this, args as never[])) {
        counted.reads++;
        yield found;
      }
    };
  for (const method of ["entries", "keys"] as const) {
    const good = Reflect.get(LmdbEnv.prototype, method) as (...args: never[]) => Iterable<never>;
    vi.spyOn(LmdbEnv.prototype, method).mockImplementation(counting(good));
  }
  const get = Reflect.get(LmdbEnv.prototype, "get") as (this: LmdbEnv, table: Table, key: Uint8Array) => Uint8Array | undefined;
  vi.spyOn(LmdbEnv.prototype, "get").mockImplementation(function (this: LmdbEnv, table, key) {
    counted.reads++;
    return get.call(this, table, key);
  });
  return counted;
}

type Change = (value: Uint8Array, key: Uint8Array) => Uint8Array | undefined;

/** Close, change the rows of one session, open again. */
async function damage(id: string, table: Table, change: Change, more = {}): Promise<void> {
  const isHead = table === "heads";
  await store.close();
  const number = await numberOfSession(path, id);
  const isOf = (key: Uint8Array): boolean => (isHead ? Buffer.from(key).toString() === id : key[4] === number);
  await changeRows(path, table, (key, value) => (isOf(key) ? change(value, key) : undefined));
  store = await open(more);
}
const cut = (value: Uint8Array): Uint8Array => value.subarray(0, value.length - 1);
const future = (value: Uint8Array): Uint8Array => encodeValue([7, ...(decodeValue(value) as unknown[]).slice(1)]);
const PARTS = { origin: 1, state: 2, turn: 3, context: 4 } as const;

test("an optional member of a request that is there and undefined is one that is left out", async () => {
  const session = newSession("s1");
  const request = {
    prompt: "",
    model: undefined,
    labels: undefined,
    isolation: "dedicated" as const,
    resourceLimits: { maxOldGenerationSizeMb: 64, stackSizeMb: undefined },
  };
  await store.create({ ...session, request });
  await store.close();
  store = await open();
  expect((await store.head("s1"))?.request).toMatchObject({ isolation: "dedicated", resourceLimits: { maxOldGenerationSizeMb: 64 } });
});

describe("rows that cannot be read", () => {
  beforeEach(async () => {
    for (const id of ["a", "b"]) {
      await store.create(newSession(id));
      for (let turn = 1; turn <= 3; turn++) await store.append(turnOf(id, turn, { events: eventsOf(turn, turn) }));
      await store.putContext(id, { staged: 1, pending: [], seen: {} });
    }
  });

  const others = async (): Promise<void> => {
    expect((await store.open("b")).messages).toEqual(logUpTo(3));
    await store.append(turnOf("b", 4, { epoch: 2 }));
  };

  test.each(Object.entries(PARTS))("%s: cut short, of another schema, of another shape", async (row, kind) => {
    // A small turn has no row of its own.
    if (row === "turn") await store.append(turnOf("a", 4, { state: stateOf(4, { lastAssistantText: "long ".repeat(300) }) }));
    const read = (): Promise<unknown> => (row === "context" ? store.context("a") : store.open("a"));
    const only =
      (change: (value: Uint8Array) => Uint8Array): Change =>
      (value, key) =>
        key[5] === kind ? change(value) : undefined;
    await damage("a", "parts", only(future));
    await expect(read()).rejects.toMatchObject({ reason: "schema", details: { session: "a", row, found: 7, known: 1 } });
    for (const change of [cut, () => encodeValue([1, 2]), () => encodeValue({ not: "a row" })]) {
      await damage("a", "parts", only(change));
      await expect(read()).rejects.toMatchObject({ reason: "corrupt", details: { session: "a", row } });
    }
    await others();
  });

  test("a turn that is in the head's row", async () => {
    const only: Change = (value) => encodeValue([...(decodeValue(value) as unknown[]).slice(0, -1), cut(encodeValue([1, null, null]))]);
    await damage("a", "heads", only);
    await expect(store.open("a")).rejects.toMatchObject({ reason: "corrupt", details: { session: "a", row: "turn" } });
    await others();
  });

  test("a head: the session is left out of listings, which say so, and can be removed", async () => {
    const told: string[] = [];
    await damage("a", "heads", cut, { onUnreadable: (error: Error) => told.push(error.message) });
    await expect(store.head("a")).rejects.toMatchObject({ reason: "corrupt", details: { session: "a", row: "head" } });
    for (const query of [{}, { order: "updated" }, { labels: { team: "red" } }] as const) {
      expect((await store.list(query)).map(({ id }) => id)).toEqual(["b"]);
    }
    expect(told.length).toBe(3);
    expect(told[0]).toMatch(/row head of session a/);
    await others();
    expect(await store.remove("a")).toBe(true);
    expect(await store.create(newSession("a"))).toBe(1);
    expect((await store.list({ labels: { team: "red" } })).map(({ id }) => id)).toEqual(["a", "b"]);
  });

  test("a row of the log that is missing, or holds no messages", async () => {
    await damage("a", "log", () => encodeValue([1, [{ role: "stranger" }]]));
    await expect(store.open("a")).rejects.toMatchObject({ reason: "corrupt", details: { session: "a", row: "log 0" } });
    await store.close();
    const number = await numberOfSession(path, "a");
    await inDatabase(path, (env) => env.remove("log", Buffer.from([0, 0, 0, 0, number, 0, 0, 0, 2])));
    store = await open();
    await expect(store.messages("a", 2, undefined)).rejects.toMatchObject({ reason: "corrupt", details: { session: "a" } });
    await others();
  });

  test("a row of the event log", async () => {
    await damage("a", "events", cut);
    await expect(store.events?.last("a")).rejects.toMatchObject({ reason: "corrupt", details: { session: "a", row: "events 3" } });
    await others();
  });

  test("a failed wake-up leaves the epoch as it was", async () => {
    await damage("a", "log", cut);
    await expect(store.open("a")).rejects.toMatchObject({ reason: "corrupt" });
    expect((await store.head("a"))?.epoch).toBe(1);
  });
});

describe("what belongs to no session", () => {
  const inMeta = async (row: string, value: Uint8Array): Promise<void> => {
    await store.close();
    await inDatabase(path, (env) => env.put("meta", Buffer.from(row), value));
  };

  test.each<readonly [string, Uint8Array]>([
    ["half of it", Buffer.of(0xcd)],
    ...[-1, 0, 0.5, 2 ** 41, "one", null].map((value) => [String(value), encodeValue(value).slice()] as const),
  ])("the counter of sessions: %s", async (_, value) => {
    await store.create(newSession("a"));
    await inMeta("next", value);
    store = await open();
    await expect(store.create(newSession("b"))).rejects.toMatchObject({ reason: "corrupt", details: { row: "next" } });
    await store.append(turnOf("a", 1));
  });

  test("a counter that was set back gives no session the rows of another", async () => {
    await store.create(newSession("a"));
    await inMeta("next", encodeValue(1).slice());
    store = await open();
    await expect(store.create(newSession("b"))).rejects.toMatchObject({ reason: "corrupt", details: { row: "next" } });
    expect((await store.open("a")).messages).toEqual(newSession("a").messages);
  });

  test.each<readonly [string, Uint8Array]>([
    ["cut short", Buffer.of(0x95, 1)],
    ...[5, [1, 2, "boot", "file"], [0, 1, "", "", ""], ["1", 1, "", "", ""]].map(
      (value) => [JSON.stringify(value), encodeValue(value).slice()] as const,
    ),
  ])("the owner's record: %s", async (_, value) => {
    await inMeta("owner", value);
    await expect(open()).rejects.toMatchObject({ reason: "corrupt", details: { path, row: "owner" } });
    await inDatabase(path, (env) => env.remove("meta", Buffer.from("owner")));
    store = await open();
  });

  test("keys of the indexes that are none are passed over", async () => {
    await store.create(newSession("a"));
    await store.close();
    await inDatabase(path, (env) => {
      for (const key of ["00", "0040", "01", "ff"]) env.put("updated", Buffer.from(key, "hex"), new Uint8Array(0));
    });
    store = await open();
    expect((await store.list({ order: "updated" })).map(({ id }) => id)).toEqual(["a"]);
  });

  test("a key among the numbers of removed sessions that is none goes, and does not keep the store busy for ever", async () => {
    await store.close();
    await inDatabase(path, (env) => env.put("doomed", Buffer.from("000000000101", "hex"), new Uint8Array(0)));
    store = await open();
    for (let turns = 0; turns < 20; turns++) await store.list({}).then(() => new Promise(setImmediate));
    await store.close();
    const left = await inDatabase(path, (env) => [...env.keys("doomed", { start: Buffer.of(0), end: Buffer.of(0xff) })].length);
    expect(left).toBe(0);
  });

  test("a tail that cannot be read keeps its session from being written to, and no other", async () => {
    for (const id of ["a", "b"]) await store.create(newSession(id));
    await damage("a", "log", (value) => value.subarray(0, 3));
    const long = Array.from({ length: 60 }, () => ({ role: "user" as const, content: "x".repeat(400) }));
    await expect(store.append(turnOf("a", 1, { messages: long }))).rejects.toMatchObject({ reason: "corrupt", details: { session: "a" } });
    await store.append(turnOf("b", 1, { messages: long }));
  });
});

describe("what is not storable", () => {
  test("ids that UTF-8 or a key cannot hold", async () => {
    for (const id of ["", "half \ud800", "x".repeat(1025)]) {
      await expect(store.create(newSession(id))).rejects.toMatchObject({ reason: "invalid" });
    }
    const long = "\u{1f407}".repeat(256);
    const labels = { ["k".repeat(256)]: "v".repeat(4096) };
    await store.create(newSession(long, { labels }));
    expect((await store.list({ labels }))[0]?.id).toBe(long);
  });
});

describe("what it costs", () => {
  /** @returns bytes of the file by bytes of the deltas, for sessions of 1,000 turns that are written in random order */
  async function ratio(sessions: number, characters: number): Promise<number> {
    const random = randomFrom(7);
    const turns = new Map<string, number>();
    let bytes = 0;
    for (let n = 0; n < sessions; n++) {
      turns.set(`s${n}`, 0);
      await store.create(newSession(`s${n}`, { messages: [] }));
    }
    const left = [...turns.keys()];
    while (left.length > 0) {
      const group: Promise<void>[] = [];
      for (let n = 0; n < 64 && left.length > 0; n++) {
        const at = random(left.length);
        const id = left[at] as string;
        const turn = (turns.get(id) as number) + 1;
        const messages = [
          { role: "user" as const, content: "u".repeat(random(characters)) },
          { role: "assistant" as const, content: "a".repeat(random(characters)) },
        ];
        bytes += encodeValue(messages).length;
        group.push(store.append(turnOf(id, turn, { messages })));
        turns.set(id, turn);
        if (turn === 1000) left.splice(at, 1);
      }
      await Promise.all(group);
    }
    await store.close();
    return statSync(join(path, "data.mdb")).size / bytes;
  }

  test.each([
    { sessions: 40, characters: 80 },
    { sessions: 10, characters: 2000 },
  ])("1,000-turn sessions take at most twice the bytes of their deltas: %o", async ({ sessions, characters }) => {
    expect(await ratio(sessions, characters)).toBeLessThan(1.6);
  });

  test("a turn writes as much behind 10,000 messages as behind 10, and does not write a large system message again", async () => {
    const puts = vi.spyOn(LmdbEnv.prototype, "put");
    const state = (turn: number) => stateOf(turn, { system: "s".repeat(50_000), metadata: {} });
    const writtenBy = async (id: string, turns: number): Promise<number> => {
      puts.mockClear();
      for (let turn = 1; turn <= turns; turn++) await store.append(turnOf(id, turn, { state: state(turn) }));
      return puts.mock.calls.reduce((bytes, [, key, value]) => bytes + key.length + value.length, 0);
    };
    try {
      await store.create(newSession("short", { state: state(0), messages: logUpTo(4) }));
      await store.create(newSession("long", { state: state(0), messages: logUpTo(4999) }));
      const short = await writtenBy("short", 300);
      expect(await writtenBy("long", 300)).toBeLessThan(1.2 * short);
      expect(short).toBeLessThan(300 * 1500);
    } finally {
      puts.mockRestore();
    }
  });

  test("opening reads none of the sessions, and a page reads as many as it holds", async () => {
    const id = (n: number): string => `s${String(n).padStart(4, "0")}`;
    await Promise.all(
      Array.from({ length: 3000 }, (_, n) => store.create(newSession(id(n), { labels: { all: "1", few: String(n % 300) } }))),
    );
    await store.close();
    const counted = countReads();
    const reads = async (work: () => Promise<unknown>): Promise<number> => {
      counted.reads = 0;
      await work();
      return counted.reads;
    };
    const labels = { all: "1", few: "7" };
    try {
      expect(await reads(async () => (store = await open()))).toBeLessThan(10);
      expect(await reads(() => store.list({ limit: 20 }))).toBeLessThan(30);
      expect(await reads(() => store.list({ limit: 20, after: "s2000" }))).toBeLessThan(30);
      expect(await reads(() => store.list({ limit: 20, order: "updated" }))).toBeLessThan(60);
      expect(await reads(() => store.list({ limit: 20, labels: { all: "1" } }))).toBeLessThan(60);
      expect(await reads(() => store.list({ limit: 20, labels }))).toBeLessThan(60);
      expect(await reads(() => store.list({ limit: 20, labels, order: "updated" }))).toBeLessThan(60);
    } finally {
      counted.restore();
    }
  });
});

describe("removing", () => {
  test("the rows of a large session are erased by and by, also when it is closed in between", async () => {
    const large = "x".repeat(20_000);
    await store.create(newSession("a", { messages: Array.from({ length: 2500 }, () => ({ role: "user", content: large })) }));
    await store.events?.append({ id: "a", epoch: 1, events: eventsOf(1, 10) });
    await store.create(newSession("b"));
    const removed = store.remove("a");
    const head = store.head("a");
    expect(await removed).toBe(true);
    expect(await head).toBeUndefined();
    await store.close();
    store = await open();
    for (let turns = 0; turns < 20; turns++) await store.head("b").then(() => new Promise(setImmediate));
    await store.close();
    const left = await inDatabase(path, (env) => {
      const range = { start: Buffer.of(0), end: Buffer.from("ffffffffffffffffffff", "hex") };
      return (["log", "events", "doomed"] as const).map((table) => [...env.keys(table, range)].length);
    });
    expect(left).toEqual([1, 0, 0]);
  });
});

describe("a copy", () => {
  test("is made while the store is written, opens by itself, and holds whole turns", async () => {
    await store.create(newSession("a", { messages: [] }));
    let turn = 0;
    let isDone = false;
    const writing = (async () => {
      while (!isDone) {
        turn++;
        await store.append(turnOf("a", turn));
      }
    })();
    while (turn < 50) await new Promise(setImmediate);
    const before = turn - 1;
    const copy = join(folder, "deep", "copy");
    await store.backup?.(copy);
    isDone = true;
    await writing;
    const opened = await openLmdbStore({ path: copy });
    const { head, messages } = await opened.open("a");
    expect(head.version).toBeGreaterThan(before);
    expect(messages).toEqual(Array.from({ length: head.version - 1 }, (_, n) => messagesOf(n + 1)).flat());
    await opened.append(turnOf("a", head.version, { epoch: head.epoch }));
    await opened.close();
    expect((await store.head("a"))?.version).toBe(turn + 1);
  });

  test("is refused where something is or nothing can be, and one that is closed meanwhile is finished", async () => {
    await expect(store.backup?.(path)).rejects.toMatchObject({ reason: "unwritable", details: { path } });
    const inFile = join(path, "data.mdb", "copy");
    await expect(store.backup?.(inFile)).rejects.toMatchObject({ reason: "unwritable", details: { path: inFile } });
    await store.create(newSession("a"));
    const copy = join(folder, "copy");
    const made = store.backup?.(copy);
    await store.close();
    await made;
    expect(existsSync(join(copy, "data.mdb"))).toBe(true);
  });
});

describe("runtimes", () => {
  const runtimes = (): RuntimeStore => store.runtimes as RuntimeStore;
  const reopened = async (): Promise<void> => {
    await store.close();
    store = await open();
  };

  test("a store that was made before there were runtimes opens, for reading and for writing", async () => {
    await store.create(newSession("a"));
    await store.close();
    await inDatabaseOf(path, (root) => root.openDB({ name: "runtimes" }).dropSync());
    const reading = await open({ readOnly: true });
    expect(await reading.runtimes?.page(undefined)).toEqual({ runtimes: [] });
    expect(await reading.messages("a", 0, undefined)).toEqual(messagesOf(0));
    await reading.close();
    store = await open();
    await runtimes().put("a", "idle");
    await reopened();
    expect((await runtimes().page(undefined)).runtimes).toEqual([{ id: "a", state: "idle", inputs: [] }]);
  });

  test("rows that cannot be read are left out, and said; the others are given, and can be removed", async () => {
    for (const id of ["a", "b"]) {
      await store.create(newSession(id));
      await runtimes().put(id, "idle");
      for (const n of [1, 2, 3]) await runtimes().addInput(id, inputOf(n));
    }
    await store.close();
    const damaged: number[][] = [];
    // Of the first session its runtime, of the second its second input: a row's key is a number in 5 bytes, and that of an input in 6.
    await changeRows(path, "runtimes", (key, value) => {
      const isDamaged = (key[4] === 1 && key.length === 5) || (key[4] === 2 && key[10] === 2);
      if (isDamaged) damaged.push([...key]);
      return isDamaged ? value.subarray(0, value.length - 2) : undefined;
    });
    expect(damaged).toHaveLength(2);
    const unreadable: string[] = [];
    store = await open({ onUnreadable: (error: StoreError) => unreadable.push(error.reason) });
    expect((await runtimes().page(undefined)).runtimes).toEqual([{ id: "b", state: "idle", inputs: [inputOf(1), inputOf(3)] }]);
    expect(unreadable).toEqual(["corrupt", "corrupt"]);
    await runtimes().removeInputs("b", ["input 3"]);
    await runtimes().addInput("b", inputOf(4));
    expect(await runtimes().remove("a")).toBe(true);
    expect((await runtimes().page(undefined)).runtimes).toEqual([{ id: "b", state: "idle", inputs: [inputOf(1), inputOf(4)] }]);
    await expect(runtimes().page("x")).rejects.toMatchObject({ reason: "invalid" });
  });

  test("inputs whose runtime's row is missing are nobody else's", async () => {
    for (const id of ["a", "b"]) {
      await store.create(newSession(id));
      await runtimes().put(id, "idle");
      await runtimes().addInput(id, inputOf(1));
    }
    await store.close();
    await inDatabase(path, (env) => env.remove("runtimes", numberKey(2)));
    store = await open();
    expect((await runtimes().page(undefined)).runtimes).toEqual([{ id: "a", state: "idle", inputs: [inputOf(1)] }]);
  });

  test("what an input takes on disk does not depend on those before it", async () => {
    await store.create(newSession("a"));
    await runtimes().put("a", "idle");
    const reads = async (n: number): Promise<number> => {
      const counted = countReads();
      await runtimes().addInput("a", inputOf(n));
      counted.restore();
      return counted.reads;
    };
    const first = await reads(1);
    for (let n = 2; n <= 200; n++) await runtimes().addInput("a", inputOf(n));
    expect(await reads(201)).toBeLessThanOrEqual(first + 2);
  });
});

async function inDatabaseOf(folderOf: string, work: (root: RootDatabase) => unknown): Promise<void> {
  const root = openDatabase({ path: folderOf, keyEncoding: "binary", encoding: "binary", noSubdir: false });
  work(root);
  await root.close();
}
