/** Checks of runtimes and the inputs they have accepted. */
import assert from "node:assert/strict";

import type { AcceptedInput, StoredRuntime } from "../../protocol/stored-runtime.ts";
import type { RuntimeStore, SessionStore } from "../session-store.ts";
import { refuses, same } from "./kit.ts";
import type { Check } from "./kit.ts";
import { inputOf, newSession, stateOf, turnOf } from "./samples.ts";

const runtimesOf = (store: SessionStore): RuntimeStore => store.runtimes as RuntimeStore;

/** Page by page, in order of id. */
export async function allRuntimes(store: SessionStore): Promise<StoredRuntime[]> {
  const all: StoredRuntime[] = [];
  for (let from: string | undefined; ;) {
    const { runtimes, next } = await runtimesOf(store).page(from);
    all.push(...runtimes);
    if (next === undefined) return all.sort((a, b) => (a.id < b.id ? -1 : 1));
    from = next;
  }
}

const inputsUpTo = (count: number): AcceptedInput[] => Array.from({ length: count }, (_, n) => inputOf(n + 1));

export const RUNTIMES: Check[] = [
  {
    name: "inputs stand in the order in which they were added, whichever are removed",
    needs: "runtimes",
    run: async ({ store }) => {
      const runtimes = runtimesOf(store);
      for (const id of ["a", "b", "c"]) await store.create(newSession(id));
      same(await allRuntimes(store), [], "the runtimes of a new store");
      for (const id of ["a", "b"]) await runtimes.put(id, "idle");
      await Promise.all(inputsUpTo(30).flatMap((input) => [runtimes.addInput("a", input), runtimes.addInput("b", input)]));
      await runtimes.removeInputs("a", ["input 1", "input 2", "input 17", "no such", "input 30"]);
      await runtimes.addInput("a", inputOf(31));
      await runtimes.removeInputs("b", []);
      const left = inputsUpTo(31).filter(({ inputId }) => !["input 1", "input 2", "input 17", "input 30"].includes(inputId));
      const expected = [
        { id: "a", state: "idle", inputs: left },
        { id: "b", state: "idle", inputs: inputsUpTo(30) },
      ];
      same(await allRuntimes(store), expected, "the runtimes");
    },
  },
  {
    name: "a runtime is put and removed; what has none takes no input",
    needs: "runtimes",
    run: async ({ store }) => {
      const runtimes = runtimesOf(store);
      await refuses(runtimes.put("a", "idle"), "not_found");
      await refuses(runtimes.addInput("a", inputOf(1)), "not_found");
      await store.create(newSession("a"));
      await refuses(runtimes.addInput("a", inputOf(1)), "not_found");
      await runtimes.removeInputs("a", ["input 1"]);
      assert.equal(await runtimes.remove("a"), false);
      await runtimes.put("a", "idle");
      await runtimes.addInput("a", inputOf(1));
      await runtimes.put("a", "stopped");
      same(await allRuntimes(store), [{ id: "a", state: "stopped", inputs: inputsUpTo(1) }], "the runtime");
      assert.equal(await runtimes.remove("a"), true);
      same(await allRuntimes(store), [], "what is left");
      await runtimes.put("a", "retired");
      same(await allRuntimes(store), [{ id: "a", state: "retired", inputs: [] }], "a new one");
    },
  },
  {
    name: "a runtime stays when its session is archived or replaced, and goes with it",
    needs: "runtimes",
    run: async ({ store }) => {
      const runtimes = runtimesOf(store);
      for (const id of ["a", "b"]) {
        await store.create(newSession(id));
        await runtimes.put(id, "idle");
        await runtimes.addInput(id, inputOf(1));
      }
      await store.append(turnOf("a", 1));
      await store.create(newSession("a", { replaces: true, state: stateOf(3) }));
      await store.archive("b", undefined);
      await runtimes.put("b", "retired");
      const expected = [
        { id: "a", state: "idle", inputs: inputsUpTo(1) },
        { id: "b", state: "retired", inputs: inputsUpTo(1) },
      ];
      same(await allRuntimes(store), expected, "the runtimes");
      await store.remove("b");
      await store.create(newSession("b"));
      same(await allRuntimes(store), expected.slice(0, 1), "what is left");
      await refuses(runtimes.addInput("b", inputOf(2)), "not_found");
    },
  },
  {
    name: "more than one page of runtimes and of bytes",
    needs: "runtimes",
    run: async ({ store }) => {
      const runtimes = runtimesOf(store);
      const ids = Array.from({ length: 1010 }, (_, n) => `s${String(n).padStart(4, "0")}`);
      await Promise.all(ids.map((id) => store.create(newSession(id))));
      await Promise.all(ids.map((id) => runtimes.put(id, "idle")));
      const large = { ...inputOf(1), request: { prompt: "p".repeat(4 * 1024 * 1024) } };
      for (const id of ["s0003", "s0004", "s0005"]) await runtimes.addInput(id, large);
      const all = await allRuntimes(store);
      same(
        all.map(({ id }) => id),
        ids,
        "the ids",
      );
      same(
        all.filter(({ inputs }) => inputs.length > 0).map(({ id, inputs }) => [id, inputs.length]),
        [
          ["s0003", 1],
          ["s0004", 1],
          ["s0005", 1],
        ],
        "those with inputs",
      );
    },
  },
];
