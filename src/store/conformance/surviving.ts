/** Checks of what outlives a store: closing it, killing its process, damage to what it holds. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import type { ConformanceOptions, Bench, Check, CrashHooks } from "./kit.ts";
import { begun, refuses, same } from "./kit.ts";
import { allRuntimes } from "./runtimes.ts";
import { CREATED_AT, eventsOf, inputOf, keyedOf, logUpTo, newSession, stateOf, turnOf } from "./samples.ts";

export const REOPEN: Check[] = [
  {
    name: "all that was acknowledged is there again",
    needs: "reopen",
    run: async (bench) => {
      const { store } = bench;
      for (const id of ["a", "b", "c", "d"]) await store.create(newSession(id, { labels: { id } }));
      for (let turn = 1; turn <= 40; turn++) await store.append(turnOf("a", turn, turn === 7 ? { keyed: keyedOf(7) } : {}));
      await store.answers?.put("answer", { value: new Uint8Array([1, 2, 3]), expiresAt: CREATED_AT + 1000 }, CREATED_AT);
      await store.append(turnOf("b", 1, store.events === undefined ? {} : { events: eventsOf(1, 3) }));
      await store.putContext("b", { staged: 2, pending: [{ text: "t" }], seen: {} });
      await store.fence("b");
      await store.runtimes?.put("a", "idle");
      for (const n of [1, 2, 3]) await store.runtimes?.addInput("a", inputOf(n));
      await store.runtimes?.removeInputs("a", ["input 1"]);
      await store.runtimes?.put("b", "stopped");
      await store.archive("c", 4);
      await store.remove("d");
      const look = async ({ store: open }: Bench): Promise<unknown> => ({
        live: await open.list({}),
        archived: await open.list({ archived: true }),
        byTime: await open.list({ order: "updated" }),
        labelled: await open.list({ labels: { id: "b" } }),
        heads: await Promise.all(["a", "b", "c", "d"].map((id) => open.head(id))),
        context: await open.context("b"),
        log: await open.messages("a", 0, undefined),
        last: await open.events?.last("b"),
        events: await open.events?.readFrom("b", 1, 9),
        keyed: [await open.keyedTurns?.find("a", "key 7", CREATED_AT + 99), await open.keyedTurns?.keys("a")],
        answer: [...((await open.answers?.get("answer", CREATED_AT)) ?? [])],
        runtimes: open.runtimes && (await allRuntimes(open)),
      });
      const before = await look(bench);
      const again = await reopened(bench);
      same(await look({ ...bench, store: again }), before, "what is stored");
      await refuses(again.append(turnOf("b", 2)), "fenced");
      await again.append(turnOf("a", 41));
      await again.append(turnOf("c", 1, { ticket: 4 }));
      same(await again.messages("a", 0, undefined), logUpTo(41), "the log");
      assert.equal(await again.create(newSession("d")), 1);
    },
  },
  {
    name: "a write that was acknowledged just before is there",
    needs: "reopen",
    run: async (bench) => {
      await bench.store.create(newSession("a"));
      await bench.store.append(turnOf("a", 1));
      same(await (await reopened(bench)).messages("a", 0, undefined), logUpTo(1), "the log");
    },
  },
  {
    name: "calls that were made before close are done",
    needs: "reopen",
    run: async (bench) => {
      const calls = [begun(bench.store.create(newSession("a"))), ...[1, 2, 3].map((turn) => begun(bench.store.append(turnOf("a", turn))))];
      const store = await reopened(bench);
      await Promise.all(calls);
      same(await store.messages("a", 0, undefined), logUpTo(3), "the log");
    },
  },
];

async function reopened({ options, store, name, use }: Bench) {
  return use(await (options.reopen as NonNullable<ConformanceOptions["reopen"]>)(store, name));
}

/** Turns that the process acknowledges before it is killed. */
const ACKNOWLEDGED = 400;

export const CRASH: Check[] = [
  {
    name: "of a killed process every acknowledged turn is there, and no half of one",
    needs: "crash",
    run: async ({ options, name, use }) => {
      const crash = options.crash as CrashHooks;
      const acknowledged = await writeAndKill(crash, `${name}-killed`);
      const store = use(await crash.recover(`${name}-killed`));
      for (const [id, version] of acknowledged) {
        const { head, messages } = await store.open(id);
        assert.ok(head.version >= version, `${id} was acknowledged at version ${version} and is at ${head.version}`);
        same(messages, logUpTo(head.version - 1), `the log of ${id}`);
        same({ ...head, ...stateOf(head.version - 1) }, head, `the state of ${id}`);
        const even = Array.from({ length: Math.floor((head.version - 1) / 2) }, (_, n) => keyedOf(2 * (n + 1)).key);
        same((await store.keyedTurns?.keys(id))?.slice(-100) ?? even.slice(-100), even.slice(-100), `the keys of ${id}`);
        await store.append(turnOf(id, head.version, { epoch: head.epoch }));
      }
    },
  },
];

/** @returns the last acknowledged version of each session */
async function writeAndKill(crash: CrashHooks, name: string): Promise<Map<string, number>> {
  const script = fileURLToPath(new URL("./crash-writer.js", import.meta.url));
  const child = spawn(process.execPath, [script, crash.module, JSON.stringify(crash.options(name))], { stdio: ["ignore", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const acknowledged = new Map<string, number>();
  let count = 0;
  for await (const line of createInterface(child.stdout)) {
    const [id = "", version] = line.split(" ");
    acknowledged.set(id, Number(version));
    // What it says while it dies counts as well: it was acknowledged.
    if (++count === ACKNOWLEDGED) child.kill("SIGKILL");
  }
  await exited;
  assert.ok(count >= ACKNOWLEDGED, `the writing process ended by itself: ${complaint}`);
  return acknowledged;
}

export const DAMAGE: Check[] = [
  {
    name: "damage to one session harms no other",
    needs: "corrupt",
    run: async ({ options, store, name, use }) => {
      for (const id of ["a", "b", "c"]) {
        await store.create(newSession(id));
        for (let turn = 1; turn <= 20; turn++) await store.append(turnOf(id, turn));
      }
      const damaged = use(await (options.corrupt as NonNullable<ConformanceOptions["corrupt"]>)(store, name, "b"));
      await refuses(damaged.open("b"), "corrupt");
      const settled = await Promise.allSettled([damaged.open("a"), damaged.open("b"), damaged.append(turnOf("c", 21))]);
      assert.deepEqual(
        settled.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled"],
      );
      same(await damaged.messages("a", 0, undefined), logUpTo(20), "the log of another");
      same(await damaged.messages("c", 0, undefined), logUpTo(21), "the log of one that was written beside it");
      const listed = (await damaged.list({})).map(({ id }) => id);
      assert.deepEqual([listed.includes("a"), listed.includes("c")], [true, true]);
      assert.equal(await damaged.remove("b"), true);
      assert.equal(await damaged.create(newSession("b")), 1);
      same((await damaged.open("b")).messages, logUpTo(0), "the log of its successor");
    },
  },
];
