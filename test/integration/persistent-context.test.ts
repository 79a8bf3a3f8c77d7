/** System context staged for sessions that are kept: it outlives the process, and reaches exactly one model call. */
import { expect, test } from "vitest";

import type { PersistentSessionService } from "../../dist/src/index.js";
import { SCRIPTED, codeOf, deferred, errorOf, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, folder, counting } = persistentHosts();
const SEPARATOR = "\n\n---\n\n";
const TAKE = script(["takeSystemPrompt"]);

/** @returns the blocks of context that the next model call of the session sees */
async function taken(service: PersistentSessionService, id: string): Promise<string[]> {
  const [prompt] = JSON.parse((await service.startTurn(id, { prompt: TAKE })).text) as [string];
  return prompt
    .split(SEPARATOR)
    .slice(1)
    .map((block) => block.split("\n").at(-1) as string);
}

test("A28, A29: staged context survives a restart and reaches exactly one model call", async () => {
  const path = folder();
  const first = await open({ store: { kind: "lmdb", path } });
  const id = await deferred(first, { systemPrompt: "system" });
  expect(await first.appendSystemContext(id, { text: "one", idempotencyKey: "k1" })).toEqual({ status: "staged" });
  await first.hibernate(id);
  expect(await first.appendSystemContext(id, { text: "two", idempotencyKey: "k2" })).toEqual({ status: "staged" });
  await first.shutdown();

  const second = await open({ store: { kind: "lmdb", path } });
  expect(second.inspect().sessions.live).toBe(0);
  expect(await second.appendSystemContext(id, { text: "one", idempotencyKey: "k1" })).toEqual({ status: "duplicate" });
  expect(await errorOf(second.appendSystemContext(id, { text: "other", idempotencyKey: "k2" }))).toMatchObject({
    code: "SESSION_SYSTEM_CONTEXT_CONFLICT",
  });
  expect((await second.systemContextState(id))?.pending.map(({ text }) => text)).toEqual(["one", "two"]);
  expect(await taken(second, id)).toEqual(["one", "two"]);
  expect(await taken(second, id)).toEqual([]);
  await second.hibernate(id);
  expect(await second.systemContextState(id)).toMatchObject({ pending: [], seen: { k1: { state: "applied" }, k2: { state: "applied" } } });
  expect(await taken(second, id)).toEqual([]);
  await second.shutdown();

  const third = await open({ store: { kind: "lmdb", path } });
  expect(await taken(third, id)).toEqual([]);
  expect(await third.appendSystemContext(id, { text: "one", idempotencyKey: "k1" })).toEqual({ status: "duplicate" });
  expect(await taken(third, id)).toEqual([]);
});

test("A29: context staged while a create replaces the stored session reaches the one that is created", async () => {
  const service = await open({ agent: { scripted: SCRIPTED, slow: new URL("../fixtures/slow-setup.mjs", import.meta.url) } });
  const id = await deferred(service, { agent: "slow", systemPrompt: "system", build: { setupMs: 0 } });
  const resumeSession = await service.exportSession(id);
  await service.hibernate(id);
  const before = service.appendSystemContext(id, { text: "before" });
  const creating = service.createSession({ agent: "slow", prompt: "", initialTurn: "defer", build: { setupMs: 60, resumeSession } });
  expect(await service.appendSystemContext(id, { text: "meanwhile" })).toEqual({ status: "staged" });
  await settled(creating);
  expect(await before).toEqual({ status: "staged" }); // with what was replaced
  expect((await service.systemContextState(id))?.pending.map(({ text }) => text)).toEqual(["meanwhile"]);
  expect(await taken(service, id)).toEqual(["meanwhile"]);
  await service.hibernate(id);
  expect(await taken(service, id)).toEqual([]);
});

test("A29: context staged while the session wakes reaches the turn after, once, and nothing staged is lost", async () => {
  const service = await open({ agent: { scripted: SCRIPTED, slow: new URL("../fixtures/slow-setup.mjs", import.meta.url) } });
  const id = await deferred(service, { agent: "slow", systemPrompt: "system", build: { setupMs: 60 } });
  await service.hibernate(id);
  await service.appendSystemContext(id, { text: "asleep" });
  const waking = service.startTurn(id, { prompt: "wake up" });
  for (const text of ["waking 1", "waking 2"]) {
    await sleep(10);
    expect(await service.appendSystemContext(id, { text })).toEqual({ status: "staged" });
  }
  expect((await service.systemContextState(id))?.pending.map(({ text }) => text)).toEqual(["asleep", "waking 1", "waking 2"]);
  await settled(waking);
  await service.appendSystemContext(id, { text: "live" });
  expect((await service.systemContextState(id))?.pending.map(({ text }) => text)).toEqual(["asleep", "waking 1", "waking 2", "live"]);
  expect(await taken(service, id)).toEqual(["asleep", "waking 1", "waking 2", "live"]);
  await service.hibernate(id);
  expect(await taken(service, id)).toEqual([]);
});

test("A29: appends and naps of one session in any order lose nothing and repeat nothing", async () => {
  const service = await open({ lanes: { count: 2 } });
  const id = await deferred(service, { systemPrompt: "system" });
  const seen: string[] = [];
  const texts = Array.from({ length: 60 }, (_, i) => `text ${i}`);
  const appending = (async () => {
    for (const text of texts) {
      await service.appendSystemContext(id, { text });
      if (text.endsWith("7")) await sleep(1);
    }
  })();
  let isDone = false;
  void appending.finally(() => (isDone = true)).catch(() => {});
  while (!isDone) {
    await codeOf(service.hibernate(id));
    seen.push(...(await taken(service, id)));
  }
  await appending;
  seen.push(...(await taken(service, id)));
  expect(seen).toEqual(texts);
});

test("A29: what a turn took and did not save comes back at most once", async () => {
  const service = await open();
  const id = await deferred(service, { systemPrompt: "system" });
  await service.appendSystemContext(id, { text: "A" });
  expect(await kindOf(service.startTurn(id, { prompt: script(["takeSystemPrompt"], ["fail", "no"]) }))).toBe("internal_error");
  await service.appendSystemContext(id, { text: "B" });
  expect(await kindOf(settled(service.startTurn(id, { prompt: script(["exit", 1]) })))).toBe("lane_lost");
  const again = await taken(service, id);
  expect(again.filter((text) => text === "B")).toEqual(["B"]);
  for (let nap = 0; nap < 2; nap++) {
    await service.hibernate(id);
    expect(await taken(service, id)).toEqual([]);
  }
});

test("A29: a turn that is lost with its lane gives back what it took", async () => {
  const service = await open();
  const id = await deferred(service, { systemPrompt: "system" });
  await service.appendSystemContext(id, { text: "A" });
  expect(await kindOf(settled(service.startTurn(id, { prompt: script(["takeSystemPrompt"], ["exit", 1]) })))).toBe("lane_lost");
  expect(await taken(service, id)).toEqual(["A"]);
});

test("A28: an append that the store refuses leaves nothing behind, live or asleep: its key is free", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const id = await deferred(service, { systemPrompt: "system" });
  for (const isAsleep of [false, true]) {
    if (isAsleep) await service.hibernate(id);
    const idempotencyKey = `key ${isAsleep}`;
    order({ fail: ["putContext"] });
    expect(await codeOf(service.appendSystemContext(id, { text: "lost", idempotencyKey }))).toBe("SESSION_STORE_ERROR");
    order({});
    expect(await service.appendSystemContext(id, { text: "kept", idempotencyKey })).toEqual({ status: "staged" });
    expect(await taken(service, id)).toEqual(["kept"]);
  }
});

test("A28: staged appends of an unknown session are refused, concurrent ones of one key are one", async () => {
  const service = await open();
  expect(await codeOf(service.appendSystemContext("nobody", { text: "x" }))).toBe("SESSION_NOT_FOUND");
  const id = await deferred(service, { systemPrompt: "system" });
  await service.hibernate(id);
  const statuses = await Promise.all(
    Array.from({ length: 8 }, async () => (await service.appendSystemContext(id, { text: "x", idempotencyKey: "k" })).status),
  );
  expect(statuses.toSorted()).toEqual([...Array.from({ length: 7 }, () => "duplicate"), "staged"]);
  expect(await taken(service, id)).toEqual(["x"]);
});

test("A31: context applied to a sleeping session wakes it, and stands after a restart", async () => {
  const path = folder();
  const first = await open({ store: { kind: "lmdb", path } });
  const { sessionId: id } = await first.createSession({ prompt: "x", systemPrompt: "system" });
  await first.hibernate(id);
  await first.applyRuntimeSystemContext(id, [{ text: "for good" }]);
  await first.shutdown();
  const second = await open({ store: { kind: "lmdb", path } });
  expect((await second.loadPersisted(id))?.messages[0]).toEqual({
    role: "system",
    content: `system${SEPARATOR}[Runtime System Context]\n\nfor good`,
  });
  await second.startTurn(id, { prompt: "y" });
  const { messages } = await second.exportSession(id);
  expect(messages).toHaveLength(5);
  expect(messages[0]).toMatchObject({ content: `system${SEPARATOR}[Runtime System Context]\n\nfor good` });
});

test("A31: context applied to a session without a system message makes one, and the transcript stays whole", async () => {
  const service = await open();
  const { sessionId: id } = await service.createSession({ prompt: "x" });
  await service.applyRuntimeSystemContext(id, [{ text: "late" }]);
  await service.startTurn(id, { prompt: "y" });
  await service.hibernate(id);
  const { messages } = await service.exportSession(id);
  expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user", "assistant"]);
  expect((await service.read(id)).state.messageCount).toBe(5);
});

test("D3, A31: context that cannot be saved is SESSION_STORE_ERROR, and is not there afterwards", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "x", systemPrompt: "system" });
  order({ fail: ["append", "rewrite"] });
  expect(await codeOf(settled(service.applyRuntimeSystemContext(id, [{ text: "lost" }])))).toBe("SESSION_STORE_ERROR");
  order({});
  await until("it has left its lane", () => service.inspect().slots.allocated === 0);
  await service.startTurn(id, { prompt: "y" });
  const { messages } = await service.exportSession(id);
  expect(messages[0]).toEqual({ role: "system", content: "system" });
  expect(messages).toHaveLength(5);
});
