/** The ends of a session: archive, discard, and what is left of it, also while a turn runs. */
import { expect, test } from "vitest";

import { codeOf, deferred, gate, hosts, kindOf, script, settled, until } from "../helpers/hosts.ts";

const openHost = hosts();

test("A22: an archived session is out of service", async () => {
  const service = await openHost();
  const { sessionId: id } = await service.createSession({ prompt: "x" });
  await service.archive(id);
  expect(await service.list()).toEqual([]);
  const calls = {
    archive: service.archive(id),
    startTurn: service.startTurn(id, { prompt: "x" }),
    streamTurn: service.streamTurn(id, { prompt: "x" }).result,
    discard: service.discardLiveSession(id),
    interrupt: service.interrupt(id),
    export: service.exportSession(id),
    append: service.appendSystemContext(id, { text: "x" }),
    apply: service.applyRuntimeSystemContext(id, [{ text: "x" }]),
  };
  for (const [name, call] of Object.entries(calls)) expect({ [name]: await codeOf(call) }).toEqual({ [name]: "SESSION_NOT_FOUND" });
  expect(await codeOf(service.archive("no-such"))).toBe("SESSION_NOT_FOUND");
  expect(await service.systemContextState(id)).toBeUndefined();
});

test("A18: the archived view keeps counts, usage, labels and the last text", async () => {
  const service = await openHost();
  const { sessionId: id } = await service.createSession({ prompt: "last words", labels: { a: "1" } });
  const live = await service.read(id);
  await service.archive(id);
  const archived = await service.read(id);
  expect(archived).toEqual(live);
  expect(archived.state).toMatchObject({ isActive: false, messageCount: 2, lastAssistantText: "last words", labels: { a: "1" } });
  archived.state.labels["a"] = "2";
  expect(await service.read(id)).toEqual(live);
});

test("A18: a host keeps so many archived views, oldest out", async () => {
  const service = await openHost({ archivedViewsMax: 2 });
  const ids = [await deferred(service), await deferred(service), await deferred(service)];
  for (const id of ids) await service.archive(id);
  expect(await Promise.all(ids.map((id) => codeOf(service.read(id))))).toEqual(["SESSION_NOT_FOUND", "ok", "ok"]);
  expect(service.inspect().sessions.archivedViews).toBe(2);
});

test("A23, R5: archive during a turn lets it finish, and its caller gets the real result", async () => {
  const service = await openHost();
  const { sessionId: id } = await service.createSession({ prompt: "one" });
  const turn = service.startTurn(id, { prompt: script(["sleep", 60], ["say", "two"]) });
  await service.archive(id);
  const during = await service.read(id);
  expect(during.state).toMatchObject({ isActive: false, messageCount: 2, lastAssistantText: "one" });
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
  expect((await turn).text).toBe("two");
  // The view shows the turn as well.
  expect((await service.read(id)).state).toMatchObject({ isActive: false, messageCount: 4, lastAssistantText: "two" });
  await until("the session has left", () => service.inspect().slots.allocated === 0);
});

test("A24, R11: discard leaves nothing, and a running turn finishes", async () => {
  const service = await openHost();
  const { sessionId: id } = await service.createSession({ prompt: "one" });
  const turn = service.startTurn(id, { prompt: script(["sleep", 40], ["say", "two"]) });
  await service.discardLiveSession(id);
  expect(await service.list()).toEqual([]);
  for (const call of [service.read(id), service.discardLiveSession(id), service.archive(id), service.startTurn(id, { prompt: "x" })]) {
    expect(await codeOf(call)).toBe("SESSION_NOT_FOUND");
  }
  expect((await turn).text).toBe("two");
  expect(await codeOf(service.read(id))).toBe("SESSION_NOT_FOUND");
  expect(service.inspect().sessions.archivedViews).toBe(0);
});

test("A27: the history of an archived session needs a store; that of an unknown one is not found", async () => {
  const service = await openHost();
  const { sessionId: id } = await service.createSession({ prompt: "x" });
  await service.archive(id);
  expect(await codeOf(service.readHistory(id))).toBe("SESSION_PERSISTENCE_DISABLED");
  expect(await codeOf(service.readHistory("no-such"))).toBe("SESSION_NOT_FOUND");
});

test("R3: of archive and startTurn racing for a session, either the turn completes or it finds none", async () => {
  const service = await openHost({ lanes: { count: 2 } });
  const seen = new Set<string>();
  for (let round = 0; round < 200; round++) {
    const id = await deferred(service);
    const start = (): Promise<string> => codeOf(service.startTurn(id, { prompt: round % 3 === 0 ? script(["sleep", 1]) : "x" }));
    const archive = (): Promise<string> => codeOf(service[round % 2 === 0 ? "archive" : "discardLiveSession"](id));
    const [first, second] = round % 4 < 2 ? [start(), archive()] : [archive(), start()];
    const [turn, end] = round % 4 < 2 ? [first, second] : [second, first];
    expect(await settled(end)).toBe("ok");
    seen.add(await settled(turn, "the turn"));
  }
  expect([...seen].sort()).toEqual(["SESSION_NOT_FOUND", "ok"]);
  await until("all have left", () => service.inspect().slots.allocated === 0);
  expect(service.inspect()).toMatchObject({ sessions: { live: 0 }, turns: { running: 0 } });
});

test("R3: from the first moment of an archive read finds the view, never nothing", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const archive = service.archive(id);
  const read = codeOf(service.read(id));
  expect([await archive, await read]).toEqual([undefined, "ok"]);
});

test("B15: what was queued before the archive is answered, behind the running turn", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: script(["sleep", 40]) });
  const queued = [service.exportSession(id), service.readHistory(id), service.applyRuntimeSystemContext(id, [{ text: "x" }])];
  await service.archive(id);
  const [session, page] = await settled(Promise.all(queued));
  expect([session, page]).toMatchObject([{ messages: [{}, {}] }, { messageCount: 2 }]);
  await turn;
});

test("R5, R6: a turn of an archived session ends by its time limit too", async () => {
  const service = await openHost({ maxSessions: 1 });
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: script(["sleep", 60_000]), timeoutMs: 60 });
  await service.archive(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
});

test("R4: a checkpoint taken after the archive brings nothing back", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const started = gate();
  const turn = service.startTurn(id, {
    prompt: script(["emit", 1], ["sleep", 40], ["checkpoint"]),
    hostMode: true,
    onEvent: () => started.open(),
  });
  await started.promise;
  await service.archive(id);
  await turn;
  expect(await service.list()).toEqual([]);
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
  expect(service.inspect().sessions).toMatchObject({ live: 0, archivedViews: 1 });
});

test("A22, A4: slots and places are used again, thousands of times", async () => {
  const service = await openHost({ maxSessions: 50, lanes: { count: 2 } });
  for (let round = 0; round < 40; round++) {
    const ids = await Promise.all(Array.from({ length: 50 }, () => deferred(service)));
    await Promise.all(ids.map((id, i) => (i % 2 === 0 ? service.archive(id) : service.discardLiveSession(id))));
  }
  await until("all have left", () => service.inspect().slots.allocated === 0);
  expect(service.inspect().sessions.live).toBe(0);
});

test("A23, R6: the running turn of an archived session can still be interrupted by its ticket", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const stream = service.streamTurn(id, { prompt: script(["hang"]) });
  const ticket = await stream.ticket;
  await service.archive(id);
  expect(await codeOf(service.interrupt(id))).toBe("SESSION_NOT_FOUND");
  expect(await service.interruptTurn(id, ticket + 1).catch(({ code }: { code: string }) => code)).toBe("SESSION_NOT_FOUND");
  await stream.interrupt();
  expect(await kindOf(settled(stream.result))).toBe("cancelled");
});
