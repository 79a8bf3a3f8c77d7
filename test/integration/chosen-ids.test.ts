/** Sessions that are created under an id of their caller's, and the key of their first turn. */
import { describe, expect, test } from "vitest";

import type { MobSessionService } from "../../dist/src/index.js";
import { IdSource } from "../../dist/src/protocol/ids.js";
import { SCRIPTED, codeOf, deferred, errorOf, hosts, script, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

const ids = new IdSource();
const newId = (): string => ids.next(Date.now());
const openEphemeral = hosts();
const { open: openPersistent, counting, folder } = persistentHosts();
const SLOW_SETUP = new URL("../fixtures/slow-setup.mjs", import.meta.url);
const taken = { code: "INVALID_PARAMS", disposition: "give-up", details: { field: "request.sessionId", reason: "taken" } };

const KINDS: Record<string, () => Promise<MobSessionService>> = {
  ephemeral: () => openEphemeral(),
  "persistent, memory": () => openPersistent(),
  "persistent, lmdb": () => openPersistent({ store: { kind: "lmdb", path: folder() } }),
};

describe.each(Object.entries(KINDS))("%s", (_, openHost) => {
  test("a session has the id that it was given; its first turn's key is remembered", async () => {
    const service = await openHost();
    const sessionId = newId();
    const request = { prompt: "first", idempotencyKey: "k" };
    const first = await service.createSession({ ...request, sessionId, labels: { a: "b" } });
    expect([first.sessionId, (await service.read(sessionId)).state.labels]).toEqual([sessionId, { a: "b" }]);
    await service.startTurn(sessionId, { prompt: "second" });
    expect(await service.startTurn(sessionId, request)).toEqual(first);
    expect(await codeOf(service.startTurn(sessionId, { ...request, prompt: "other" }))).toBe("IDEMPOTENCY_CONFLICT");
    expect((await service.readHistory(sessionId)).messageCount).toBe(4);
  });

  test("a first turn that failed is run by whoever asks with its key", async () => {
    const service = await openHost();
    const sessionId = newId();
    const failing = { prompt: script(["throw", "no"]), idempotencyKey: "k" };
    expect(await errorOf(service.createSession({ ...failing, sessionId }))).toMatchObject({ code: "AGENT_ERROR", sessionId });
    expect((await service.startTurn(sessionId, { prompt: "now", idempotencyKey: "k" })).text).toBe("now");
  });

  test("an id that is taken, live, being created or archived, is refused, and nothing changes", async () => {
    const service = await openHost();
    const sessionId = newId();
    const creating = [1, 2, 3].map((n) => service.createSession({ prompt: `${n}`, sessionId }));
    const outcomes = await Promise.allSettled(creating);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    for (const outcome of outcomes.slice(1)) expect(outcome).toMatchObject({ reason: { ...taken, sessionId } });
    expect(await errorOf(service.createSession({ prompt: "x", sessionId }))).toMatchObject(taken);
    await service.archive(sessionId);
    expect(await errorOf(service.createSession({ prompt: "x", sessionId }))).toMatchObject(taken);
    expect(service.inspect().sessions).toMatchObject({ live: 0, building: 0 });
    await deferred(service, { sessionId: newId() });
  });

  test.each(["", "no uuid", "0198C0DE-0000-7000-8000-000000000000", "0198c0de-0000-4000-8000-000000000000", 5])(
    "%j is no id",
    async (sessionId) => {
      const service = await openHost();
      const error = await errorOf(service.createSession({ prompt: "x", sessionId: sessionId as string }));
      expect(error).toMatchObject({ code: "INVALID_PARAMS", disposition: "bug", details: { field: "request.sessionId" } });
    },
  );

  test("a session that is resumed has its id", async () => {
    const service = await openHost();
    const session = await service.exportSession(await deferred(service));
    const error = await errorOf(service.createSession({ prompt: "x", sessionId: newId(), build: { resumeSession: session } }));
    expect(error).toMatchObject({ code: "INVALID_PARAMS", details: { field: "request.sessionId" } });
  });

  test("a caller that gives up leaves its id free", async () => {
    const service = await openHost();
    const sessionId = newId();
    const reason = new Error("changed my mind");
    const abort = new AbortController();
    const create = service.createSession({ prompt: "x", sessionId }, { signal: abort.signal });
    abort.abort(reason);
    await expect(create).rejects.toBe(reason);
    await until("it is gone", async () => (await codeOf(deferred(service, { sessionId }))) === "ok");
  });
});

describe("in a store", () => {
  test("the id of a session that sleeps is taken; that of one that was removed is free", async () => {
    const service = await openPersistent();
    const sessionId = newId();
    await service.createSession({ prompt: "first", sessionId });
    await service.hibernate(sessionId);
    expect(await errorOf(service.createSession({ prompt: "x", sessionId }))).toMatchObject(taken);
    await service.archive(sessionId);
    await service.purge(sessionId);
    expect((await service.createSession({ prompt: "again", sessionId })).text).toBe("again");
  });

  test("id and key are the call's own: a wake-up's builder does not see them", async () => {
    const { store } = counting();
    const service = await openPersistent({ store });
    const sessionId = newId();
    await service.createSession({ prompt: script(["say", "x"]), sessionId, idempotencyKey: "k" });
    await service.hibernate(sessionId);
    await settled(service.startTurn(sessionId, { prompt: "wakes" }));
    expect((await service.exportSession(sessionId)).messages.length).toBe(4);
  });

  test.each(["append", "create"])(
    "asked for again after its lane was lost, while the store is at that lane's %s: it stays",
    async (call) => {
      const { store, order, calls } = counting();
      const service = await openPersistent({ store, agent: { scripted: SCRIPTED, slow: SLOW_SETUP } });
      const sessionId = newId();
      const [other, ending] = [await deferred(service, { agent: "scripted" }), await deferred(service, { agent: "scripted" })];
      order({ hold: [call] });
      const agent = call === "create" ? "scripted" : "slow";
      const first = service.createSession({ prompt: "x", sessionId, agent, build: { setupMs: 60_000 } });
      const lost = [first, service.startTurn(other, { prompt: "is being saved" })].map(codeOf);
      await until("the store holds the call", () => calls(call === "create" ? sessionId : other).includes(call));
      lost.push(codeOf(service.startTurn(ending, { prompt: script(["exit", 0]) })));
      expect(await errorOf(first)).toMatchObject({ agentError: { kind: "lane_lost" } });
      const again = service.createSession({ prompt: "kept", sessionId, agent: "scripted" });
      await until("a lane is up", () => service.inspect().lanes[0]?.state === "ready");
      await Promise.race([again, sleep(200)]);
      order({});
      expect((await settled(again)).text).toBe("kept");
      await Promise.all(lost);
      await until("the first is removed", () => calls(sessionId).includes("remove"));
      await service.hibernate(sessionId);
      expect((await service.startTurn(sessionId, { prompt: "wakes" })).text).toBe("wakes");
    },
  );

  test("a store that fails while it is asked for the id: nothing is created", async () => {
    const { store, order, writes } = counting();
    const service = await openPersistent({ store });
    const sessionId = newId();
    order({ fail: ["head"] });
    expect(await codeOf(service.createSession({ prompt: "x", sessionId }))).toBe("SESSION_STORE_ERROR");
    order({});
    expect([writes(), service.inspect().sessions.live]).toEqual([[], 0]);
    expect(await codeOf(deferred(service, { sessionId }))).toBe("ok");
  });
});
