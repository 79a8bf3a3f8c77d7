/** Runtimes whose states and accepted inputs are in the store: they outlive the host, and a crash. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { describe, expect, test } from "vitest";

import type { PersistentSessionService, RuntimeAdapter } from "../../dist/src/index.js";
import { openLmdbStore } from "../../dist/src/store.js";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";
import { codeOf, deferred, errorOf, script, settled, until } from "../helpers/hosts.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, folder, counting } = persistentHosts({ runtime: "durable" });

async function attached(service: PersistentSessionService): Promise<{ id: string; adapter: RuntimeAdapter }> {
  const id = await deferred(service);
  const adapter = service.runtimeAdapter() as RuntimeAdapter;
  await adapter.register(id);
  await adapter.attach(id);
  return { id, adapter };
}
const said = async (service: PersistentSessionService, id: string): Promise<string[]> =>
  contents((await service.loadPersisted(id))?.messages);

test("F2: a store that keeps runtimes makes for an adapter; one that does not is refused", async () => {
  const service = await open();
  expect(service.runtimeAdapter()).toBe(service.runtimeAdapter());
  expect((await open()).runtimeAdapter()).not.toBe(service.runtimeAdapter());
  const store = { kind: "module" as const, module: new URL("../fixtures/json-store.mjs", import.meta.url) };
  expect(await errorOf(open({ store }))).toMatchObject({ code: "INVALID_PARAMS", details: { field: "options.runtime" } });
});

test("inputs and states are there again: idle until attached, in order, each once", async () => {
  const store = { kind: "lmdb" as const, path: folder() };
  const first = await open({ store });
  const { id, adapter } = await attached(first);
  await (
    await adapter.acceptInput(id, { prompt: "ran", inputId: "i0" })
  ).outcome;
  await adapter.detach(id);
  const stopped = await deferred(first);
  await adapter.register(stopped);
  await adapter.stop(stopped);
  const tickets = await Promise.all(["a", "b", "c"].map((prompt) => adapter.acceptInput(id, { prompt, inputId: `i-${prompt}` })));
  await first.shutdown();
  for (const { outcome } of tickets) expect(await codeOf(outcome)).toBe("HOST_CLOSED");

  const second = await open({ store });
  const again = second.runtimeAdapter() as RuntimeAdapter;
  expect(again.list().sort((x, y) => y.inputs - x.inputs)).toEqual([
    { id, state: "idle", inputs: 3 },
    { id: stopped, state: "stopped", inputs: 0 },
  ]);
  const known = await again.acceptInput(id, { prompt: "something else", inputId: "i-b" });
  expect([known.position, known.runId]).toEqual([1, tickets[1]?.runId]);
  const last = await again.acceptInput(id, { prompt: "d" });
  await again.attach(id);
  expect(await codeOf(settled(last.outcome, "the last input"))).toBe("ok");
  expect(await said(second, id)).toEqual(echoed("ran", "a", "b", "c", "d"));
  await second.shutdown();
  expect(
    (await open({ store }))
      .runtimeAdapter()
      ?.list()
      .find((runtime) => runtime.id === id),
  ).toEqual({ id, state: "idle", inputs: 0 });
});

test("a shutdown's interrupt is not an input's end: it runs when the store is opened again", async () => {
  const store = { kind: "lmdb" as const, path: folder() };
  const first = await open({ store });
  const { id, adapter } = await attached(first);
  const { outcome } = await adapter.acceptInput(id, { prompt: script(["sleep", 200], ["say", "done"]) });
  await until("it runs", async () => (await first.read(id)).state.isActive);
  await first.shutdown({ deadlineMs: 0 });
  expect(await codeOf(outcome)).toBe("AGENT_ERROR");
  const second = await open({ store });
  await second.runtimeAdapter()?.attach(id);
  await until("it has run", async () => (await said(second, id)).at(-1) === "done");
});

test("one that ran and was committed does not run again, though its row is there still and another turn followed", async () => {
  const path = folder();
  const first = await open({ store: { kind: "lmdb", path } });
  const { id, adapter } = await attached(first);
  const { runId, outcome } = await adapter.acceptInput(id, { prompt: "once", inputId: "i" });
  await outcome;
  await first.startTurn(id, { prompt: "direct" });
  await first.shutdown();
  // As a process leaves it that is killed between the commit and the removal.
  const store = await openLmdbStore({ path });
  const request = { prompt: "once", executionKind: "content_turn" as const, idempotencyKey: "i" };
  await store.runtimes?.addInput(id, { inputId: "i", runId, boundary: "run_start", request });
  await store.close();

  const second = await open({ store: { kind: "lmdb", path } });
  const again = second.runtimeAdapter() as RuntimeAdapter;
  const ticket = await again.acceptInput(id, { prompt: "once", inputId: "i" });
  await again.attach(id);
  expect((await ticket.outcome).terminal).toMatchObject({ kind: "run_result", runResult: { text: "once" } });
  expect([ticket.runId, await said(second, id)]).toEqual([runId, echoed("once", "direct")]);
  const { outcome: another } = await again.acceptInput(id, { prompt: "another", inputId: "i" });
  expect([await codeOf(another), await said(second, id)]).toEqual(["IDEMPOTENCY_CONFLICT", echoed("once", "direct")]);
});

describe("a process that is killed", () => {
  test.each([1, 2, 3])("round %i: every accepted input has run once, in its order", async (round) => {
    const path = folder();
    const random = randomOf(CRASH_SEED + round);
    const accepted: string[] = [];
    const settledInputs: string[] = [];
    let id: string | undefined;
    for (let life = 0; life < 3; life++) {
      const lines = await killed({ path, id, from: accepted.length + 100 * life, count: 40 }, 5 + Math.floor(random() * 60));
      for (const line of lines) {
        id = line.id ?? id;
        if (line.accepted !== undefined) accepted.push(line.accepted);
        if (line.settled !== undefined) settledInputs.push(line.settled);
      }
    }
    const service = await open({ store: { kind: "lmdb", path } });
    const adapter = service.runtimeAdapter() as RuntimeAdapter;
    await adapter.register(id as string);
    await adapter.attach(id as string);
    await until("all have run", () => adapter.list().every(({ inputs }) => inputs === 0));
    const prompts = (await said(service, id as string)).filter((_, index) => index % 2 === 0);
    // The last one of each life may have been accepted without its process living to say so.
    expect({ seed: CRASH_SEED, prompts: prompts.filter((prompt) => accepted.includes(prompt)) }).toEqual({
      seed: CRASH_SEED,
      prompts: accepted,
    });
    expect(new Set(prompts).size).toBe(prompts.length);
    expect(prompts.length - accepted.length).toBeLessThanOrEqual(3);
    expect(settledInputs.every((inputId) => prompts.includes(inputId))).toBe(true);
  });
});

interface Line {
  readonly id?: string;
  readonly accepted?: string;
  readonly settled?: string;
}

/** Start the process, and kill it behind its `lines`-th line. @returns what it said */
async function killed(options: object, lines: number): Promise<Line[]> {
  const fixture = fileURLToPath(new URL("../fixtures/runtime-crash.mjs", import.meta.url));
  const child = spawn(process.execPath, [fixture, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const said: Line[] = [];
  for await (const line of createInterface(child.stdout)) {
    said.push(JSON.parse(line) as Line);
    if (said.length === lines) child.kill("SIGKILL");
  }
  await exited;
  return said;
}

test("F8: a retire that fails archives nothing; an archive that fails leaves the runtime as it was; tried again, both converge", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const { id, adapter } = await attached(service);
  const other = await deferred(service);
  order({ fail: ["putRuntime"] });
  const first = await errorOf(service.archiveWithMobLifecycleAuthority(id));
  expect(first).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "internal_error" } });
  expect(first.agentError?.message).toMatch(/^machine archive retire failed: .*putRuntime fails as told/);
  expect((await errorOf(service.archiveWithMobLifecycleAuthority(other))).agentError?.message).toMatch(
    /^machine archive retire failed after registration: /,
  );
  expect([adapter.state(id), adapter.state(other)]).toEqual(["attached", undefined]);
  expect((await service.list()).map(({ sessionId }) => sessionId).sort()).toEqual([id, other].sort());
  order({ fail: ["archive"] });
  expect(await codeOf(service.archiveWithMobLifecycleAuthority(id))).toBe("SESSION_STORE_ERROR");
  expect(adapter.state(id)).toBe("attached");
  order({});
  expect((await (await adapter.acceptInput(id, { prompt: "lives" })).outcome).receipt.messageCount).toBe(2);
  for (const session of [id, id, other]) await service.archiveWithMobLifecycleAuthority(session);
  expect([adapter.state(id), adapter.state(other), await service.list()]).toEqual(["retired", "retired", []]);
  expect(await codeOf(service.archiveWithMobLifecycleAuthority("no-such"))).toBe("SESSION_NOT_FOUND");
  expect(adapter.state("no-such")).toBeUndefined();
});

test("archive, purge and discard end the queue, and what is stored of it", async () => {
  const { store, calls } = counting();
  const service = await open({ store });
  const adapter = service.runtimeAdapter() as RuntimeAdapter;
  const { id } = await attached(service);
  await adapter.detach(id);
  await service.startTurn(id, { prompt: "live" });
  const discarded = await adapter.acceptInput(id, { prompt: "x" });
  await service.discardLiveSession(id);
  expect([await codeOf(discarded.outcome), adapter.state(id)]).toEqual(["SESSION_NOT_FOUND", "stopped"]);
  await adapter.register(id);
  const archived = await adapter.acceptInput(id, { prompt: "x" });
  await service.archive(id);
  expect([await codeOf(archived.outcome), adapter.state(id)]).toEqual(["SESSION_NOT_FOUND", "retired"]);
  await service.purge(id);
  expect(adapter.state(id)).toBe("destroyed");
  expect(await codeOf(adapter.register(id))).toBe("SESSION_NOT_FOUND");
  expect(calls(id)).toEqual(expect.arrayContaining(["removeInputs", "removeRuntime"]));
});

test("an input wakes a session that sleeps, and waits for a turn that is waking it", async () => {
  const service = await open();
  const { id, adapter } = await attached(service);
  await service.hibernate(id);
  const direct = service.startTurn(id, { prompt: "direct" });
  const { outcome } = await adapter.acceptInput(id, { prompt: "input" });
  await settled(Promise.all([direct, outcome]), "the input");
  await service.hibernate(id);
  await settled((await adapter.acceptInput(id, { prompt: "again" })).outcome, "the second input");
  expect(await said(service, id)).toEqual(echoed("direct", "input", "again"));
});
