/** Sessions that are kept: what is saved when, what a second host over the same store finds, and who wins when live and stored differ. */
import { expect, test } from "vitest";

import type { PersistentSessionService } from "../../dist/src/index.js";
import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { EDITING, contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, folder, counting } = persistentHosts();

/** @returns how many messages the store has of the session */
async function storedCount(service: PersistentSessionService, id: string): Promise<number | undefined> {
  return (await service.loadPersisted(id))?.messages.length;
}

test("D1: a session is saved when it is created and after each turn that succeeds", async () => {
  const service = await open();
  const id = await deferred(service);
  expect(await storedCount(service, id)).toBe(0);
  for (let turn = 1; turn <= 3; turn++) {
    await service.startTurn(id, { prompt: `turn ${turn}` });
    expect(await storedCount(service, id)).toBe(2 * turn);
  }
  const { sessionId } = await service.createSession({ prompt: "first", systemPrompt: "be brief", labels: { kind: "test" } });
  expect(await service.loadPersisted(sessionId)).toMatchObject({
    version: 1,
    id: sessionId,
    messages: [
      { role: "system", content: "be brief" },
      { role: "user", content: "first" },
      { role: "assistant", content: "first", stopReason: "end_turn" },
    ],
    usage: { inputTokens: 3, outputTokens: 2 },
    metadata: { session_labels: { kind: "test" } },
  });
});

test("D1: a turn's write is as long as the turn, and one session's writes are its own", async () => {
  const { store, calls } = counting();
  const service = await open({ store });
  const [a, b] = [await deferred(service), await deferred(service)];
  for (const prompt of ["1", "2"]) await service.startTurn(a, { prompt });
  await service.startTurn(b, { prompt: "3" });
  expect(calls(a)).toEqual(["create", "append", "append"]);
  expect(calls(b)).toEqual(["create", "append"]);
});

test("D2: a turn that fails or is cancelled is not saved, and the next one goes on from the boundary before it", async () => {
  const { store, writes } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "kept" });
  expect(await kindOf(service.startTurn(id, { prompt: script(["fail", "no"]) }))).toBe("internal_error");
  const turn = service.startTurn(id, { prompt: script(["sleep", 10_000]) });
  await service.interrupt(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  expect(writes(id)).toEqual(["append"]);
  expect(contents((await service.loadPersisted(id))?.messages)).toEqual(echoed("kept"));
  await service.startTurn(id, { prompt: "after" });
  expect(contents((await service.loadPersisted(id))?.messages)).toEqual(echoed("kept", "after"));
});

test("D2, A7: a first turn that fails leaves a session that is stored, empty, and usable", async () => {
  const service = await open();
  const { sessionId } = await errorOf(service.createSession({ prompt: script(["fail", "no"]) }));
  expect(await storedCount(service, sessionId as string)).toBe(0);
  expect((await service.startTurn(sessionId as string, { prompt: "x" })).text).toBe("x");
  expect(await storedCount(service, sessionId as string)).toBe(2);
});

test("D3: a create that cannot be saved is SESSION_STORE_ERROR, and leaves nothing", async () => {
  const { store, order } = counting();
  const service = await open({ store, maxSessions: 1 });
  order({ fail: ["create"] });
  expect(await errorOf(service.createSession({ prompt: "x" }))).toMatchObject({
    code: "SESSION_STORE_ERROR",
    disposition: "retry",
    details: { reason: "io" },
  });
  order({});
  expect(await service.list()).toEqual([]);
  expect(service.inspect()).toMatchObject({ sessions: { live: 0, building: 0 }, slots: { allocated: 0 } });
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
});

test("D3: a turn that cannot be saved is SESSION_STORE_ERROR; the session is dropped and comes back as it was", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "kept" });
  order({ fail: ["append"] });
  expect(await errorOf(settled(service.startTurn(id, { prompt: "lost" })))).toMatchObject({
    code: "SESSION_STORE_ERROR",
    sessionId: id,
    details: { reason: "io" },
  });
  order({});
  await until("it has left its lane", () => service.inspect().slots.allocated === 0);
  expect(await service.read(id)).toMatchObject({ state: { isActive: false, messageCount: 2, lastAssistantText: "kept" } });
  expect((await service.startTurn(id, { prompt: "again" })).text).toBe("again");
  expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("kept", "again"));
});

test("D3: a write that was done and reported as failed is not done again, and not lost", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "kept" });
  order({ failAfter: ["append"] });
  expect(await codeOf(settled(service.startTurn(id, { prompt: "done" })))).toBe("SESSION_STORE_ERROR");
  order({});
  await service.startTurn(id, { prompt: "again" });
  expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("kept", "done", "again"));
});

test("D4: a new host over the same store reads what is stored, without making it live", async () => {
  const path = folder();
  const first = await open({ store: { kind: "lmdb", path } });
  const { sessionId: id } = await first.createSession({ prompt: "hello", labels: { kind: "test" } });
  const before = await first.read(id);
  await first.shutdown();

  const second = await open({ store: { kind: "lmdb", path } });
  expect(await second.read(id)).toEqual(before);
  expect(before).toMatchObject({
    state: { isActive: false, messageCount: 2, lastAssistantText: "hello", labels: { kind: "test" } },
    billing: { totalTokens: 5, usage: { inputTokens: 3, outputTokens: 2 } },
  });
  expect(contents((await second.readHistory(id)).messages)).toEqual(echoed("hello"));
  expect(contents((await second.exportSession(id)).messages)).toEqual(echoed("hello"));
  expect(second.inspect().sessions.live).toBe(0);
  expect(await codeOf(second.read("0190a8a0-0000-7000-8000-000000000000"))).toBe("SESSION_NOT_FOUND");
});

test("D4: a second host goes on with a session where the first one left it, over and over", async () => {
  const path = folder();
  let id: string | undefined;
  const prompts: string[] = [];
  for (let round = 0; round < 4; round++) {
    const service = await open({ store: { kind: "lmdb", path } });
    id ??= await deferred(service);
    for (const prompt of [`${round}.1`, `${round}.2`]) {
      prompts.push(prompt);
      expect((await service.startTurn(id, { prompt })).text).toBe(prompt);
    }
    expect(await service.read(id)).toMatchObject({
      state: { messageCount: prompts.length * 2 },
      billing: { totalTokens: prompts.length * 5 },
    });
    await service.shutdown();
  }
  const last = await open({ store: { kind: "lmdb", path } });
  expect(contents((await last.loadPersisted(id as string))?.messages)).toEqual(echoed(...prompts));
});

test("D5: a listing merges live and stored by id, live wins, and pages over both", async () => {
  const path = folder();
  const first = await open({ store: { kind: "lmdb", path }, durability: "commit", lanes: { count: 2 } });
  await Promise.all(Array.from({ length: 2100 }, (_, i) => deferred(first, { labels: { parity: i % 2 ? "odd" : "even" } })));
  const stored = (await first.list()).map(({ sessionId }) => sessionId);
  expect(stored).toHaveLength(2100);
  await first.shutdown();

  const service = await open({ store: { kind: "lmdb", path }, durability: "commit" });
  const [woken, created] = [stored[1050] as string, await deferred(service, { labels: { parity: "none" } })];
  await service.startTurn(woken, { prompt: "x" });
  const turn = service.startTurn(woken, { prompt: script(["sleep", 10_000]) });
  const all = await service.list();
  expect(all.map(({ sessionId }) => sessionId)).toEqual([...stored, created]);
  expect(all.filter(({ isActive }) => isActive).map(({ sessionId }) => sessionId)).toEqual([woken]);
  expect(all[1050]).toMatchObject({ messageCount: 2, totalTokens: 5, isActive: true });

  const paged: string[] = [];
  for (let offset = 0; ; offset += 700) {
    const page = await service.list({ offset, limit: 700 });
    paged.push(...page.map(({ sessionId }) => sessionId));
    if (page.length < 700) break;
  }
  expect(paged).toEqual([...stored, created]);
  expect((await service.list({ after: stored[2097], limit: 1500 })).map(({ sessionId }) => sessionId)).toEqual([
    ...stored.slice(2098),
    created,
  ]);
  expect((await service.list({ after: stored[9], offset: 1500 })).map(({ sessionId }) => sessionId)).toEqual([
    ...stored.slice(1510),
    created,
  ]);
  expect(await service.list({ limit: 0 })).toEqual([]);
  expect(await service.list({ offset: 2101 })).toEqual([]);
  const odd = await service.list({ labels: { parity: "odd" } });
  expect(odd).toHaveLength(1050);
  expect(odd.every(({ labels }) => labels["parity"] === "odd")).toBe(true);
  await service.interrupt(woken);
  expect(await kindOf(turn)).toBe("cancelled");
});

test("D7: loadPersisted gives the whole session, or nothing; also of one that is archived", async () => {
  const service = await open();
  const { sessionId: id } = await service.createSession({ prompt: "x" });
  expect((await service.loadPersisted(id))?.metadata).toEqual({});
  await service.archive(id);
  expect(await service.loadPersisted(id)).toMatchObject({ id, metadata: { session_archived: true } });
  expect(await service.loadPersisted("nobody")).toBeUndefined();
});

test("D8: interrupts, events, injectors, comms, waiting and shutdown go to the live session", async () => {
  const service = await open({ agent: { scripted: SCRIPTED, recording: RECORDING } });
  const registered = service.waitSessionRegistered();
  const handles = ["eventInjector", "interactionEventInjector", "commsRuntime"];
  const id = await deferred(service, { agent: "recording", build: { handles } });
  expect(await registered).toBe(id);
  expect(await (await service.eventInjector(id))?.inject("hello", "rpc")).toBe("ok");
  expect((await service.interactionEventInjector(id)) === undefined).toBe(false);
  expect(await (await service.commsRuntime(id))?.peerCount()).toBe(1);
  const events = service.subscribeSessionEvents(id);
  const turn = service.startTurn(id, { prompt: script(["emit", 1], ["sleep", 10_000]) });
  expect((await events.next()).value).toMatchObject({ seq: 1, payload: { type: "text_delta", delta: "0" } });
  await service.interrupt(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  const last = service.startTurn(id, { prompt: script(["sleep", 50], ["say", "finished"]) });
  await service.shutdown();
  expect((await last).text).toBe("finished");
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("HOST_CLOSED");
});

test("D8: a session that sleeps has no handles, is not running, and knows who it is", async () => {
  const service = await open({ agent: RECORDING });
  const id = await deferred(service, { build: { handles: ["eventInjector"] } });
  await service.hibernate(id);
  expect(await service.eventInjector(id)).toBeUndefined();
  expect(await codeOf(service.interrupt(id))).toBe("SESSION_NOT_RUNNING");
  expect(await codeOf(service.cancelAfterBoundary(id))).toBe("SESSION_NOT_RUNNING");
  expect(await service.interruptTurn(id, 12345)).toBe(false);
  expect(await codeOf(service.interrupt("nobody"))).toBe("SESSION_NOT_FOUND");
  expect(await codeOf(service.interruptTurn("nobody", 1))).toBe("SESSION_NOT_FOUND");
});

test("D9: every agent is built with a checkpointer, host mode or not, stored or not", async () => {
  const service = await open({ agent: new URL("../fixtures/checkpointing.mjs", import.meta.url) });
  for (const hostMode of [false, true]) {
    const { sessionId: id, text } = await service.createSession({ prompt: "built with", hostMode });
    expect(text).toBe("function");
    if (hostMode) continue;
    await service.hibernate(id);
    expect((await service.startTurn(id, { prompt: "built with" })).text).toBe("function");
  }
});

test("readHistory gives the same pages of a live, a sleeping and an archived session", async () => {
  const service = await open();
  const { sessionId: id } = await service.createSession({ prompt: "1", systemPrompt: "system" });
  for (const prompt of ["2", "3"]) await service.startTurn(id, { prompt });
  const queries = [
    {},
    { limit: 0 },
    { limit: 1 },
    { offset: 1 },
    { offset: 1, limit: 2 },
    { offset: 6, limit: 9 },
    { offset: 7 },
    { offset: 99 },
  ];
  const pages = (): Promise<unknown[]> => Promise.all(queries.map((query) => service.readHistory(id, query)));
  const live = await pages();
  expect(live).toMatchObject([
    { messageCount: 7, offset: 0, hasMore: false },
    { hasMore: true, messages: [] },
    { hasMore: true, messages: [{ role: "system", content: "system" }] },
    { offset: 1, hasMore: false },
    { offset: 1, limit: 2, hasMore: true, messages: [{ role: "user", content: "1" }, { role: "assistant" }] },
    { offset: 6, hasMore: false, messages: [{ role: "assistant", content: "3" }] },
    { offset: 7, hasMore: false, messages: [] },
    { offset: 7, hasMore: false, messages: [] },
  ]);
  await service.hibernate(id);
  expect(await pages()).toEqual(live);
  expect(service.inspect().sessions.live).toBe(0);
  await service.archive(id);
  expect(await pages()).toEqual(live);
  expect(await codeOf(service.readHistory("nobody"))).toBe("SESSION_NOT_FOUND");
});

test("a session is resumed by its export: stored it is replaced, live, stale or archived it is refused", async () => {
  const service = await open({ events: "log" });
  const { sessionId: id } = await service.createSession({ prompt: script(["emit", 3], ["say", "1"]), labels: { kind: "test" } });
  const resumeSession = await service.exportSession(id);
  const resume = (session: typeof resumeSession): Promise<{ sessionId: string }> =>
    service.createSession({ prompt: script(["emit", 2], ["say", "resumed"]), build: { resumeSession: session } });
  expect((await errorOf(resume(resumeSession))).message).toContain(`Duplicate session ID generated: ${id}`);
  await service.hibernate(id);
  expect((await resume(resumeSession)).sessionId).toBe(id);
  expect(await service.read(id)).toMatchObject({ state: { messageCount: 4, lastAssistantText: "resumed", labels: { kind: "test" } } });
  const events = service.subscribeSessionEvents(id, { after: 0 });
  for (const seq of [1, 2, 3, 4, 5]) expect((await settled(events.next())).value).toMatchObject({ seq });
  await events.return?.();
  await service.hibernate(id);
  const stale = await errorOf(resume(resumeSession));
  expect(stale).toMatchObject({ code: "SESSION_STORE_ERROR", details: { reason: "stale" } });
  expect((await service.read(id)).state.messageCount).toBe(4);
  const newest = await service.exportSession(id);
  await service.archive(id);
  expect(await codeOf(resume(newest))).toBe("SESSION_NOT_FOUND");
  // One that this store has never seen is new here.
  expect((await resume({ ...newest, id: "0190a8a0-0000-7000-8000-000000000001", metadata: {} })).sessionId).toBe(
    "0190a8a0-0000-7000-8000-000000000001",
  );
});

test("a stored session survives a create that resumes it and is given up", async () => {
  const service = await open({ agent: { scripted: SCRIPTED, recording: RECORDING } });
  const { sessionId: id } = await service.createSession({ agent: "scripted", prompt: "kept" });
  const resumeSession = await service.exportSession(id);
  await service.hibernate(id);
  const thrown = new Error("the caller's own");
  const onAdmitted = (): void => {
    throw thrown;
  };
  const request = { agent: "scripted", prompt: script(["sleep", 20]), build: { resumeSession } };
  await expect(service.createSession(request, { onAdmitted })).rejects.toBe(thrown);
  await until("it has left its lane", () => service.inspect().slots.allocated === 0);
  expect(contents((await service.loadPersisted(id))?.messages)).toEqual(echoed("kept"));

  const controller = new AbortController();
  const slow = service.createSession(
    { agent: "recording", prompt: "x", build: { resumeSession, buildDelayMs: 60 } },
    { signal: controller.signal },
  );
  controller.abort(thrown);
  await expect(slow).rejects.toBe(thrown);
  await until("it has left its lane", () => service.inspect().slots.allocated === 0);
  expect((await service.startTurn(id, { prompt: "on" })).text).toBe("on");
});

test("a new session whose caller gave up leaves the store as it was", async () => {
  const service = await open({ agent: RECORDING });
  const controller = new AbortController();
  const slow = service.createSession({ prompt: "x", build: { buildDelayMs: 60 } }, { signal: controller.signal });
  controller.abort(new Error("no longer wanted"));
  await expect(slow).rejects.toThrow("no longer wanted");
  await until("it is gone", async () => service.inspect().slots.allocated === 0 && (await service.list()).length === 0);
});

test("D8, A40: a host is shut down and opened again over the same folder, also at once, and refuses a second one", async () => {
  const path = folder();
  const first = await open({ store: { kind: "lmdb", path } });
  const id = await deferred(first);
  const refused = await errorOf(open({ store: { kind: "lmdb", path } }));
  expect(refused).toMatchObject({ code: "SESSION_STORE_ERROR", details: { reason: "in_use" } });
  const closing = first.shutdown();
  expect(await codeOf(open({ store: { kind: "lmdb", path } }))).toBe("SESSION_STORE_ERROR");
  await closing;
  for (let round = 0; round < 3; round++) {
    const service = await open({ store: { kind: "lmdb", path } });
    await service.startTurn(id, { prompt: `${round}` });
    await service.shutdown();
  }
  const last = await open({ store: { kind: "lmdb", path } });
  expect(contents((await last.exportSession(id)).messages)).toEqual(echoed("0", "1", "2"));
});

test("options that are wrong are refused by name, and leave nothing behind", async () => {
  const wrong: [object, string][] = [
    [{ store: { kind: "paper" } }, "options.store"],
    [{ store: { kind: "lmdb", path: "" } }, "options.store.path"],
    [{ hibernateAfterMs: 0 }, "options.hibernateAfterMs"],
    [{ archivePolicy: "burn" }, "options.archivePolicy"],
  ];
  for (const [options, field] of wrong) {
    expect(await errorOf(open(options as never))).toMatchObject({ code: "INVALID_PARAMS", message: expect.stringContaining(field) });
  }
  const missing = { store: { kind: "module", module: new URL("../fixtures/nowhere.mjs", import.meta.url) } } as const;
  expect(await errorOf(open(missing))).toMatchObject({ code: "SESSION_STORE_ERROR", details: { reason: "unwritable" } });
  const noStore = { store: { kind: "module", module: SCRIPTED } } as const;
  expect(await errorOf(open(noStore))).toMatchObject({ code: "SESSION_STORE_ERROR", details: { reason: "invalid" } });
  expect(await codeOf(open({ agent: new URL("../fixtures/throws-at-load.mjs", import.meta.url) }))).toBe("INVALID_PARAMS");
});

test("R1: while a stored session is being replaced, also by a create that was given up, nobody else makes it live", async () => {
  const service = await open({ agent: { scripted: SCRIPTED, recording: RECORDING }, lanes: { count: 2 } });
  const { sessionId: id } = await service.createSession({ agent: "scripted", prompt: "kept" });
  const resumeSession = await service.exportSession(id);
  await service.hibernate(id);
  for (const isGivenUp of [true, false]) {
    const controller = new AbortController();
    const build = { resumeSession, buildDelayMs: 60 };
    const replacing = codeOf(
      service.createSession({ agent: "recording", prompt: "", initialTurn: "defer", build }, { signal: controller.signal }),
    );
    const codes: string[] = [];
    while (codes.at(-1) !== "ok") {
      codes.push(await codeOf(settled(service.startTurn(id, { prompt: "on" }))));
      await sleep(5);
      if (isGivenUp && codes.length === 3) controller.abort(new Error("no longer wanted")); // the lane builds
    }
    expect([...new Set(codes)]).toEqual(["SESSION_BUSY", "ok"]);
    expect(await replacing).toBe(isGivenUp ? "Error: no longer wanted" : "ok");
    expect(contents((await service.exportSession(id)).messages).slice(-2)).toEqual(echoed("on"));
    await service.discardLiveSession(id);
    await until("it has left its lane", () => service.inspect().slots.allocated === 0);
    Object.assign(resumeSession, await service.exportSession(id));
  }
});

test("calls that have a session leave, made at once: one has it leave, the others find it gone", async () => {
  const service = await open();
  for (const calls of [
    ["discardLiveSession", "discardLiveSession"],
    ["hibernate", "discardLiveSession"],
    ["discardLiveSession", "hibernate"],
    ["discardLiveSession", "archive"],
    ["archive", "discardLiveSession"],
  ] as const) {
    const id = await deferred(service);
    const codes = await Promise.all(calls.map((call) => codeOf(service[call](id))));
    expect(codes).toContain("ok");
    expect(codes.filter((code) => !["ok", "SESSION_NOT_FOUND", "SESSION_BUSY"].includes(code))).toEqual([]);
  }
  await until("they have left their lane", () => service.inspect().slots.allocated === 0);
});

test("what needs a session's agent wakes it, although it is discarded at that moment", async () => {
  const service = await open();
  const id = await deferred(service);
  const discarding = service.discardLiveSession(id);
  await service.applyRuntimeSystemContext(id, [{ text: "for good" }]);
  await discarding;
  expect((await service.exportSession(id)).messages).toMatchObject([{ role: "system", content: expect.stringContaining("for good") }]);
});

test("what is asked of a session that is dropped because it could not be saved is answered from the store, or with the store's error", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const id = await deferred(service);
  order({ fail: ["append"] });
  const codes = new Set<string>();
  for (let round = 0; round < 20; round++) {
    let isOver = false;
    const turn = codeOf(service.startTurn(id, { prompt: "not saved" })).finally(() => (isOver = true));
    const asked: Promise<string>[] = [];
    while (!isOver && asked.length < 500) {
      asked.push(codeOf(service.exportSession(id)), codeOf(service.readHistory(id)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const code of await settled(Promise.all(asked))) codes.add(code);
    expect(await settled(turn)).toBe("SESSION_STORE_ERROR");
  }
  expect([...codes].filter((code) => code !== "ok" && code !== "SESSION_STORE_ERROR")).toEqual([]);
});

test("R3: an archive while a stored session is being replaced is the archive of what replaces it", async () => {
  const service = await open({ agent: { scripted: SCRIPTED, recording: RECORDING } });
  const { sessionId: id } = await service.createSession({ agent: "scripted", prompt: "kept" });
  const resumeSession = await service.exportSession(id);
  await service.hibernate(id);
  const build = { resumeSession, buildDelayMs: 60 };
  const replacing = codeOf(service.createSession({ agent: "recording", prompt: script(["sleep", 60], ["say", "new"]), build }));
  await sleep(20);
  const archiving = service.archive(id);
  expect(await settled(replacing)).toBe("ok"); // R5
  await settled(archiving);
  expect(await service.list()).toEqual([]);
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
  expect(contents((await service.readHistory(id)).messages).at(-1)).toBe("new");
  await until("it has left its lane", () => service.inspect().slots.allocated === 0);
});

test("a session that is read as a whole while its transcript is rewritten is of one moment", async () => {
  const service = await open({ agent: EDITING, store: { kind: "lmdb", path: folder() }, durability: "commit" });
  const id = await deferred(service, { build: { revision: true } });
  const TURNS = 150;
  let done = 0;
  const turning = (async () => {
    for (let turn = 1; turn <= TURNS; turn++) {
      await service.startTurn(id, { prompt: `compact\n${turn}` });
      done = turn;
    }
  })().catch(() => {}); // the test has failed already
  let reads = 0;
  while (done < TURNS) {
    const session = await service.loadPersisted(id);
    if (session === undefined || session.messages.length === 0) continue;
    expect(String((session.messages[1] as { content: string }).content).split("\n")[1]).toBe(`${session.metadata["revision"] as number}`);
    reads++;
  }
  await turning;
  expect([done, reads > 20]).toEqual([TURNS, true]);
});
