import { describe, expect, test } from "vitest";

import { SystemContextLedger } from "../../src/core/system-context.ts";
import { StagedContexts } from "../../src/host/staged-contexts.ts";
import { StoreError } from "../../src/protocol/store-error.ts";
import type { StoredContext } from "../../src/protocol/stored-session.ts";
import type { StoreClient } from "../../src/transport/store-client.ts";

/** A store that takes context when the test lets it, one call after the other. */
class SlowStore {
  readonly puts: { id: string; context: StoredContext; end: (error?: StoreError) => void }[] = [];

  readonly client = {
    call: (_method: string, id: string, context: StoredContext) =>
      new Promise<void>((resolve, reject) => {
        this.puts.push({ id, context, end: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
  } as unknown as StoreClient;
}

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const texts = (context: StoredContext | undefined): string[] => context?.pending.map(({ text }) => text) ?? [];

describe("StagedContexts", () => {
  test("G1: appends of one session are written one after the other, each with all before it; other sessions do not wait", async () => {
    const store = new SlowStore();
    const contexts = new StagedContexts(store.client);
    const ledgers = { a: new SystemContextLedger(), b: new SystemContextLedger() };
    const stage = (id: "a" | "b", text: string) => contexts.stage(id, { text }, 1, async () => ledgers[id]);
    const outcomes = [stage("a", "1"), stage("a", "2"), stage("b", "3")];
    await soon();
    expect(store.puts.map(({ id, context }) => [id, texts(context)])).toEqual([
      ["a", ["1"]],
      ["b", ["3"]],
    ]);
    expect(ledgers.a.snapshot().pending).toEqual([]); // not before it is stored
    store.puts[0]?.end();
    await soon();
    expect(texts(store.puts[2]?.context)).toEqual(["1", "2"]);
    store.puts[1]?.end();
    store.puts[2]?.end();
    expect((await Promise.all(outcomes)).map(({ status }) => status)).toEqual(["staged", "staged", "staged"]);
    expect(ledgers.a.snapshot().pending.map(({ text }) => text)).toEqual(["1", "2"]);
  });

  test("G1: an append that could not be stored has changed nothing, its key is free, and those behind it go on", async () => {
    const store = new SlowStore();
    const contexts = new StagedContexts(store.client);
    const ledger = new SystemContextLedger();
    const stage = (text: string) => contexts.stage("a", { text, idempotencyKey: "k" }, 1, async () => ledger);
    const [lost, kept] = [stage("1"), stage("2")];
    await soon();
    store.puts[0]?.end(new StoreError("io", "disk"));
    await expect(lost).rejects.toMatchObject({ reason: "io" });
    await soon();
    expect(texts(store.puts[1]?.context)).toEqual(["2"]);
    store.puts[1]?.end();
    expect((await kept).status).toBe("staged");
    expect((await stage("2")).status).toBe("duplicate");
    expect((await stage("other")).status).toBe("conflict");
    expect(store.puts).toHaveLength(2); // nothing is written for those
  });

  test("settled: resolves when nothing is being written, also what came while it waited; undefined when nothing is", async () => {
    const store = new SlowStore();
    const contexts = new StagedContexts(store.client);
    const ledger = new SystemContextLedger();
    expect(contexts.settled("a")).toBeUndefined();
    const stage = (text: string) => contexts.stage("a", { text }, 1, async () => ledger);
    const first = stage("1");
    let isSettled = false;
    const settled = contexts.settled("a")?.then(() => (isSettled = true));
    const second = stage("2");
    await soon();
    store.puts[0]?.end();
    await first;
    await soon();
    expect(isSettled).toBe(false);
    store.puts[1]?.end(new StoreError("io", "disk"));
    await expect(second).rejects.toThrow("disk");
    await settled;
    expect(contexts.settled("a")).toBeUndefined();
  });

  test("a session whose ledger cannot be had is told to its caller, and leaves nothing waiting", async () => {
    const contexts = new StagedContexts(new SlowStore().client);
    await expect(contexts.stage("a", { text: "1" }, 1, () => Promise.reject(new Error("no such session")))).rejects.toThrow("no such");
    expect(contexts.settled("a")).toBeUndefined();
  });
});
