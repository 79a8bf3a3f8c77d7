/** Forks, on both services: what they begin as, what they leave alone, and what keeps one from being made (FK1–FK4, src/host/fork-order.ts). */
import { describe, expect, test } from "vitest";

import type { EphemeralSessionService } from "../../dist/src/index.js";
import { PersistentSessionService } from "../../dist/src/index.js";
import { IdSource } from "../../dist/src/protocol/ids.js";
import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, hosts, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { PEERS, fresh, peer, run } from "../helpers/peers.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const openEphemeral = hosts();
const { open: openPersistent, folder, counting } = persistentHosts();

type Service = EphemeralSessionService | PersistentSessionService;

/** @returns the ids of all sessions, in order */
const idsOf = async (service: Service): Promise<string[]> => (await service.list()).map(({ sessionId }) => sessionId);

describe.each([
  ["ephemeral", openEphemeral],
  ["persistent", openPersistent],
] as [string, (options?: object) => Promise<Service>][])("on the %s service", (_, open) => {
  test("FK1: a fork has a new id, and all that the session has", async () => {
    const service = await open();
    const { sessionId: id } = await service.createSession({ prompt: "one", systemPrompt: "be brief", labels: { kind: "test" } });
    await service.startTurn(id, { prompt: "two" });
    const before = await service.read(id);
    const registered = service.waitSessionRegistered();
    const fork = await service.forkSession(id);
    const { sessionId: forkId, createdAt } = fork.state;
    expect(await registered).toBe(forkId);
    expect(forkId > id).toBe(true);
    expect(createdAt).toBeGreaterThanOrEqual(before.state.updatedAt);
    expect(fork).toEqual({ ...before, state: { ...before.state, sessionId: forkId, createdAt, updatedAt: createdAt } });
    expect(before.billing.usage).toEqual({ inputTokens: 6, outputTokens: 4 });
    const [original, exported] = [await service.exportSession(id), await service.exportSession(forkId)];
    expect(exported).toEqual({ ...original, id: forkId, createdAt, updatedAt: createdAt });
    expect(await service.read(id)).toEqual(before);
    expect(await idsOf(service)).toEqual([id, forkId]);
    expect(await service.read(forkId)).toEqual(fork);
  });

  test("FK1: what becomes of the one is nothing to the other", async () => {
    const service = await open();
    const { sessionId: id } = await service.createSession({ prompt: "common" });
    const { sessionId: forkId } = (await service.forkSession(id)).state;
    await Promise.all([service.startTurn(id, { prompt: "left" }), service.startTurn(forkId, { prompt: "right" })]);
    expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("common", "left"));
    expect(contents((await service.exportSession(forkId)).messages)).toEqual(echoed("common", "right"));
    expect((await service.read(forkId)).billing.usage).toEqual({ inputTokens: 6, outputTokens: 4 });
    await service.archive(id);
    expect((await service.startTurn(forkId, { prompt: "still there" })).text).toBe("still there");
    const again = await service.forkSession(forkId, { messages: 4 });
    expect(contents((await service.exportSession(again.state.sessionId)).messages)).toEqual(echoed("common", "right"));
  });

  test("FK1: the agent is built from the same request, without prompt, session to resume, and first turn", async () => {
    const service = await open({ agent: { recording: RECORDING, other: SCRIPTED } });
    const { sessionId: id } = await service.createSession({
      prompt: "ran",
      agent: "recording",
      model: "m-1",
      systemPrompt: "be brief",
      maxTokens: 17,
      labels: { a: "1" },
      isolation: "dedicated",
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      build: { name: "deep", nested: { options: [1, 2] } },
    });
    const { sessionId: forkId } = (await service.forkSession(id)).state;
    expect(service.inspect().lanes.filter(({ kind }) => kind === "dedicated")).toHaveLength(2);
    expect(JSON.parse((await service.startTurn(forkId, { prompt: "log" })).text)).not.toContain("run:ran");
    const seen = JSON.parse((await service.startTurn(forkId, { prompt: "request" })).text) as { build: object };
    expect(seen).toMatchObject({
      prompt: "",
      agent: "recording",
      agentName: "recording",
      sessionId: forkId,
      model: "m-1",
      systemPrompt: "be brief",
      maxTokens: 17,
      labels: { a: "1" },
      isolation: "dedicated",
      initialTurn: "defer",
    });
    expect(seen.build).toMatchObject({ name: "deep", nested: { options: [1, 2] } });
  });

  test("FK1: numbers of events begin again; staged context and the key of the last turn stay where they are", async () => {
    const service = await open();
    const id = await deferred(service);
    await service.startTurn(id, { prompt: script(["emit", 3], ["say", "once"]), idempotencyKey: "k" });
    await service.appendSystemContext(id, { text: "staged", idempotencyKey: "c" });
    const { sessionId: forkId } = (await service.forkSession(id)).state;
    expect(await service.systemContextState(forkId)).toEqual({ pending: [], seen: {} });
    const events = service.subscribeSessionEvents(forkId);
    expect((await service.startTurn(forkId, { prompt: script(["emit", 1], ["say", "new"]), idempotencyKey: "k" })).text).toBe("new");
    expect((await events.next()).value).toMatchObject({ seq: 1, sourceId: `session:${forkId}` });
    await events.return?.();
    expect((await service.startTurn(forkId, { prompt: script(["takeSystemPrompt"]) })).text).not.toContain("staged");
    expect((await service.startTurn(id, { prompt: script(["takeSystemPrompt"]) })).text).toContain("staged");
  });

  test("FK1: a name among peers stays with its session", async () => {
    const service = await open({ agent: PEERS });
    const [a, b] = fresh("a", "b") as [string, string];
    const id = await deferred(service, peer(a, [b]));
    const other = await deferred(service, peer(b, [a]));
    const { sessionId: forkId } = (await service.forkSession(id)).state;
    expect(await service.commsRuntime(forkId)).toBeUndefined();
    expect(await run(service, forkId, ["has"])).toEqual(["undefined"]);
    await run(service, other, ["say", a, "hello"]);
    expect(await run(service, id, ["receive"])).toMatchObject([{ from: b, body: "hello" }]);
  });

  test("FK1: labels given replace those of the session", async () => {
    const service = await open();
    const id = await deferred(service, { labels: { a: "1", b: "2" } });
    const fork = await service.forkSession(id, { labels: { b: "3" } });
    expect(fork.state.labels).toEqual({ b: "3" });
    expect((await service.exportSession(fork.state.sessionId)).metadata).toEqual({ session_labels: { b: "3" } });
    const bare = await service.forkSession(id, { labels: {} });
    expect(bare.state.labels).toEqual({});
    expect((await service.exportSession(bare.state.sessionId)).metadata).toEqual({});
    expect((await service.list({ labels: { b: "3" } })).map(({ sessionId }) => sessionId)).toEqual([fork.state.sessionId]);
    expect((await service.read(id)).state.labels).toEqual({ a: "1", b: "2" });
  });

  test("FK2: a fork with the first messages, the system message among them", async () => {
    const service = await open();
    const { sessionId: id } = await service.createSession({ prompt: "one", systemPrompt: "be brief" });
    await service.startTurn(id, { prompt: "two" });
    const { messages } = await service.exportSession(id);
    expect(messages).toHaveLength(5);
    const texts = [undefined, undefined, undefined, "one", "one", "two"];
    for (let count = 0; count <= messages.length; count++) {
      const { state, billing } = await service.forkSession(id, { messages: count });
      expect(state).toMatchObject({ messageCount: count });
      expect(state.lastAssistantText).toBe(texts[count]);
      expect(billing.usage).toEqual({ inputTokens: 6, outputTokens: 4 });
      expect((await service.exportSession(state.sessionId)).messages).toEqual(messages.slice(0, count));
    }
  });

  test("FK2: a cut inside a turn leaves what waits for an answer, and the fork may go on from there", async () => {
    const service = await open();
    const { sessionId: id } = await service.createSession({
      prompt: script(["append", { role: "tool_results", results: [] }], ["say", "a"]),
    });
    const { sessionId: forkId } = (await service.forkSession(id, { messages: 1 })).state;
    await service.startTurn(forkId, { prompt: "once more", executionKind: "resume_pending" });
    expect(contents((await service.exportSession(forkId)).messages)).toHaveLength(2);
    expect((await service.exportSession(id)).messages).toHaveLength(3);
  });

  test("FK2, FK4: more messages than there are is refused, and nothing is made", async () => {
    const service = await open({ maxSessions: 1 });
    const { sessionId: id } = await service.createSession({ prompt: "x" });
    const error = await errorOf(service.forkSession(id, { messages: 3 }));
    expect(error).toMatchObject({ code: "INVALID_PARAMS", disposition: "bug", details: { field: "options.messages" } });
    expect(error.message).toContain("options.messages");
    expect(await idsOf(service)).toEqual([id]);
    expect(service.inspect()).toMatchObject({ sessions: { live: 1, building: 0 }, slots: { allocated: 1 } });
  });

  test("FK3: it waits for a running turn, and has it", async () => {
    const service = await open();
    const { sessionId: id } = await service.createSession({ prompt: "one" });
    const turn = service.startTurn(id, { prompt: script(["sleep", 50], ["say", "two"]) });
    const fork = await service.forkSession(id);
    expect((await service.read(id)).state.isActive).toBe(false);
    expect(fork.state).toMatchObject({ messageCount: 4, isActive: false, lastAssistantText: "two" });
    expect((await turn).text).toBe("two");
  });

  test("FK3: a turn that fails or is interrupted meanwhile is not in it", async () => {
    const service = await open();
    const { sessionId: id } = await service.createSession({ prompt: "one" });
    const turn = kindOf(service.startTurn(id, { prompt: script(["sleep", 10_000]) }));
    const fork = service.forkSession(id);
    await service.interrupt(id);
    expect(await settled(turn)).toBe("cancelled");
    expect((await settled(fork)).state).toMatchObject({ messageCount: 2, lastAssistantText: "one" });
  });

  test("FK3: what is unknown or archived cannot be forked", async () => {
    const service = await open();
    expect(await codeOf(service.forkSession("no-such"))).toBe("SESSION_NOT_FOUND");
    const { sessionId: id } = await service.createSession({ prompt: "one" });
    await service.archive(id);
    expect(await codeOf(service.forkSession(id))).toBe("SESSION_NOT_FOUND");
    expect(await idsOf(service)).toEqual([]);
    await until("nothing is live", () => service.inspect().slots.allocated === 0);
  });

  test("FK3: a session that is archived while a turn runs is forked for those who asked before", async () => {
    const service = await open();
    const { sessionId: id } = await service.createSession({ prompt: "one" });
    const turn = service.startTurn(id, { prompt: script(["sleep", 60], ["say", "two"]) });
    const fork = service.forkSession(id);
    await service.archive(id);
    expect(await codeOf(service.forkSession(id))).toBe("SESSION_NOT_FOUND");
    expect((await settled(fork)).state).toMatchObject({ messageCount: 4, lastAssistantText: "two" });
    expect((await turn).text).toBe("two");
    expect(await idsOf(service)).toEqual([(await fork).state.sessionId]);
  });

  test("FK1, FK3: forks of one session at once, while turns run in it", async () => {
    const service = await open({ lanes: { count: 2 } });
    const { sessionId: id } = await service.createSession({ prompt: "0" });
    const forks: Promise<string[]>[] = [];
    const fork = async (): Promise<string[]> => {
      const { sessionId: forkId } = (await service.forkSession(id)).state;
      return contents((await service.exportSession(forkId)).messages);
    };
    const prompts = ["0"];
    for (let turn = 1; turn <= 5; turn++) {
      const running = service.startTurn(id, { prompt: String(turn) });
      prompts.push(String(turn));
      for (let i = 0; i < 4; i++) forks.push(fork());
      await running;
    }
    for (const said of await Promise.all(forks)) expect(said).toEqual(echoed(...prompts.slice(0, said.length / 2)));
    expect(new Set(await idsOf(service)).size).toBe(21);
  });

  test("FK4: an id that is taken while a running turn is waited for: the fork is refused, the session stays", async () => {
    const service = await open();
    const { sessionId: id } = await service.createSession({ prompt: "one" });
    const running = service.startTurn(id, { prompt: script(["untilBoundary"]) });
    const sessionId = new IdSource().next(Date.now());
    const refused = errorOf(service.forkSession(id, { sessionId }));
    await sleep(20);
    await service.createSession({ prompt: "theirs", sessionId });
    await (service instanceof PersistentSessionService ? service.hibernate(sessionId) : service.archive(sessionId));
    const before = await service.read(sessionId);
    await service.cancelAfterBoundary(id);
    await running;
    expect(await refused).toMatchObject({ code: "INVALID_PARAMS", sessionId, details: { reason: "taken" } });
    expect(await service.read(sessionId)).toEqual(before);
  });

  test("FK4: a fork whose agent takes itself for another session leaves nothing", async () => {
    const service = await open({ agent: RECORDING });
    const { sessionId: id } = await service.createSession({ prompt: "x", build: { ownId: "mine" } });
    expect(id).toBe("mine");
    expect(await errorOf(service.forkSession(id))).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "internal_error" } });
    expect(await idsOf(service)).toEqual(["mine"]);
    await until("only one is live", () => service.inspect().slots.allocated === 1);
  });

  test("FK4: no fork is made on a host that is closing", async () => {
    const service = await open({ agent: RECORDING });
    const { sessionId: id } = await service.createSession({ prompt: "x", build: { buildDelayMs: 150 } });
    const fork = codeOf(service.forkSession(id));
    await until("it is being built", () => service.inspect().sessions.building === 1);
    const closed = service.shutdown();
    expect(await codeOf(service.forkSession(id))).toBe("HOST_CLOSED");
    expect(await settled(fork)).toBe("HOST_CLOSED");
    await closed;
  });
});

test("FK4: a fork needs room like any new session", async () => {
  const service = await openEphemeral({ maxSessions: 2 });
  const id = await deferred(service);
  const { sessionId: forkId } = (await service.forkSession(id)).state;
  expect((await errorOf(service.forkSession(id))).details).toMatchObject({ reason: "capacity" });
  await service.discardLiveSession(forkId);
  expect(await codeOf(service.forkSession(id))).toBe("ok");
});

test("FK3: a session whose lane is lost before it answered cannot be forked", async () => {
  const service = await openEphemeral({ lanes: { count: 2 } });
  const { sessionId: id } = await service.createSession({ prompt: "x" });
  const turn = kindOf(service.startTurn(id, { prompt: script(["sleep", 20], ["exit", 3]) }));
  const fork = kindOf(service.forkSession(id));
  expect(await settled(turn)).toBe("lane_lost");
  expect(await settled(fork)).toBe("lane_lost");
});

describe("in a store", () => {
  test("FK3: a sleeping session is forked without being woken", async () => {
    const { store, calls } = counting();
    const service = await openPersistent({ store });
    const { sessionId: id } = await service.createSession({ prompt: "one", systemPrompt: "be brief", labels: { a: "1" } });
    await service.startTurn(id, { prompt: "two" });
    const whole = await service.exportSession(id);
    await service.hibernate(id);
    for (let count = 0; count <= 5; count++) {
      const { state, billing } = await service.forkSession(id, { messages: count });
      expect(state).toMatchObject({ messageCount: count, labels: { a: "1" } });
      expect(billing.usage).toEqual(whole.usage);
      expect((await service.exportSession(state.sessionId)).messages).toEqual(whole.messages.slice(0, count));
    }
    expect((await service.forkSession(id)).state).toMatchObject({ messageCount: 5, lastAssistantText: "two" });
    expect((await errorOf(service.forkSession(id, { messages: 6 }))).details).toMatchObject({ field: "options.messages" });
    expect(calls(id)).not.toContain("open");
    expect(service.inspect().sessions.live).toBe(7);
  });

  test("FK3: a fork is made where the session is, whatever it is about to do", async () => {
    const service = await openPersistent();
    const { sessionId: id } = await service.createSession({ prompt: "one" });
    const prompts = ["one"];
    for (let round = 0; round < 5; round++) {
      const [, a] = await Promise.all([service.hibernate(id), service.forkSession(id)]); // it falls asleep
      const [, b] = await Promise.all([service.startTurn(id, { prompt: `turn ${round}` }), service.forkSession(id)]); // it wakes
      expect(contents((await service.exportSession(a.state.sessionId)).messages)).toEqual(echoed(...prompts));
      prompts.push(`turn ${round}`);
      expect(contents((await service.exportSession(b.state.sessionId)).messages)).toEqual(echoed(...prompts));
    }
  });

  test("FK4: a fork that is answered is on disk", async () => {
    const store = { kind: "lmdb" as const, path: folder() };
    const first = await openPersistent({ store });
    const { sessionId: id } = await first.createSession({ prompt: "one", build: { note: "kept" } });
    const { sessionId: forkId } = (await first.forkSession(id, { messages: 1, labels: { of: id } })).state;
    expect(await first.loadPersisted(forkId)).toEqual(await first.exportSession(forkId));
    await first.shutdown();
    const second = await openPersistent({ store });
    expect(await second.read(forkId)).toMatchObject({ state: { messageCount: 1, labels: { of: id } } });
    await second.startTurn(forkId, { prompt: "two" });
    expect(contents((await second.exportSession(forkId)).messages)).toEqual(["one", ...echoed("two")]);
  });

  test("FK4: a fork that cannot be saved is SESSION_STORE_ERROR, and leaves nothing", async () => {
    const { store, order } = counting();
    const service = await openPersistent({ store });
    const { sessionId: id } = await service.createSession({ prompt: "x" });
    order({ fail: ["create"] });
    expect(await errorOf(service.forkSession(id))).toMatchObject({ code: "SESSION_STORE_ERROR", details: { reason: "io" } });
    await service.hibernate(id);
    order({ fail: ["messages"] });
    expect(await codeOf(service.forkSession(id))).toBe("SESSION_STORE_ERROR");
    order({});
    expect(await idsOf(service)).toEqual([id]);
    expect((await service.forkSession(id)).state.messageCount).toBe(2);
  });

  test("FK4: one that was laid down when the host began to close is taken out again", async () => {
    const { store, order, calls } = counting();
    const service = await openPersistent({ store });
    const { sessionId: id } = await service.createSession({ prompt: "x" });
    order({ hold: ["create"] });
    const fork = codeOf(service.forkSession(id));
    await until("it is being saved", () => calls().filter((call) => call === "create").length === 2);
    const closed = service.shutdown();
    order({});
    expect(await settled(fork)).toBe("HOST_CLOSED");
    await closed;
    expect(calls().filter((call) => call === "remove")).toHaveLength(1);
  });

  test("FK4: at capacity another session is put to sleep for it, be it the one it is made from", async () => {
    const service = await openPersistent({ maxSessions: 1 });
    const { sessionId: id } = await service.createSession({ prompt: "x" });
    const { sessionId: forkId } = (await service.forkSession(id)).state;
    expect(service.inspect().sessions.live).toBe(1);
    expect((await service.startTurn(id, { prompt: "y" })).text).toBe("y");
    expect((await service.startTurn(forkId, { prompt: "z" })).text).toBe("z");
  });
});
