/** Sessions that are kept, and their ends: archive, delete, purge, discard, each also in the middle of a turn. */
import { describe, expect, test } from "vitest";

import { RECORDING, SCRIPTED, codeOf, deferred, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, folder, counting } = persistentHosts();
const busy = script(["sleep", 60], ["say", "finished"]);

test("D6: archive takes a session out of listings and turns, live or only stored; unknown it is SESSION_NOT_FOUND", async () => {
  const path = folder();
  const first = await open({ store: { kind: "lmdb", path } });
  const [live, stored] = [await deferred(first), await deferred(first)];
  await first.archive(live);
  expect((await first.list()).map(({ sessionId }) => sessionId)).toEqual([stored]);
  await first.shutdown();
  const second = await open({ store: { kind: "lmdb", path } });
  await second.archive(stored);
  expect(await second.list()).toEqual([]);
  for (const id of [live, stored]) {
    expect(await codeOf(second.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(second.exportSession(id))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(second.interrupt(id))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(second.hibernate(id))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(second.appendSystemContext(id, { text: "x" }))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(second.applyRuntimeSystemContext(id, [{ text: "x" }]))).toBe("SESSION_NOT_FOUND");
    expect(await second.systemContextState(id)).toBeUndefined();
    await expect(second.subscribeSessionEvents(id).next()).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await second.read(id)).toMatchObject({ state: { isActive: false, messageCount: 0 } });
    expect(await codeOf(second.archive(id))).toBe("ok"); // a second time too
  }
  expect(await codeOf(second.archive("nobody"))).toBe("SESSION_NOT_FOUND");
  expect(second.inspect()).toMatchObject({ sessions: { live: 0 }, slots: { allocated: 0 } });
});

test("D6: with archivePolicy delete nothing is left, live or stored", async () => {
  const service = await open({ archivePolicy: "delete", events: "log" });
  const [live, stored] = [await deferred(service), await deferred(service)];
  await service.hibernate(stored);
  for (const id of [live, stored]) {
    await service.archive(id);
    expect(await codeOf(service.read(id))).toBe("SESSION_NOT_FOUND");
    expect(await service.loadPersisted(id)).toBeUndefined();
    expect(await codeOf(service.archive(id))).toBe("SESSION_NOT_FOUND");
  }
});

describe.each(["retain", "delete"] as const)("with archivePolicy %s", (archivePolicy) => {
  test("R5: a turn that comes while the store is still at the archive wakes nothing", async () => {
    const { store, order, calls } = counting();
    const service = await open({ store, archivePolicy });
    const id = await deferred(service);
    await service.hibernate(id);
    order({ hold: ["archive", "remove"] });
    const archiving = service.archive(id);
    const turn = codeOf(service.startTurn(id, { prompt: "x" }));
    await sleep(50);
    order({});
    await settled(archiving);
    expect(await settled(turn)).toBe("SESSION_NOT_FOUND");
    expect(calls(id)).not.toContain("open");
  });

  test("R3, R5: a turn that runs at the archive ends with its real result; no other one begins", async () => {
    const service = await open({ archivePolicy, events: "log" });
    const { sessionId: id } = await service.createSession({ prompt: "kept" });
    const turn = service.startTurn(id, { prompt: busy });
    const archiving = service.archive(id);
    expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
    await archiving;
    expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
    expect(await settled(turn)).toMatchObject({ text: "finished" });
    if (archivePolicy === "retain") {
      expect(contents((await service.readHistory(id)).messages)).toEqual([...echoed("kept"), busy, "finished"]);
      expect(await service.read(id)).toMatchObject({ state: { isActive: false, messageCount: 4, lastAssistantText: "finished" } });
    } else {
      await until("it is gone", async () => (await codeOf(service.read(id))) === "SESSION_NOT_FOUND");
    }
    expect(await service.list()).toEqual([]);
    await until("its place is free", () => service.inspect().slots.allocated === 0);
  });

  test("R5, R11: a turn that runs at a discard, and then at an archive, ends with its real result", async () => {
    const service = await open({ archivePolicy });
    const { sessionId: id } = await service.createSession({ prompt: "kept" });
    const turn = service.startTurn(id, { prompt: busy });
    await service.discardLiveSession(id);
    const archiving = service.archive(id);
    expect(await settled(turn)).toMatchObject({ text: "finished" });
    await settled(archiving);
    if (archivePolicy === "retain") expect((await service.read(id)).state.messageCount).toBe(4);
    else expect(await codeOf(service.read(id))).toBe("SESSION_NOT_FOUND");
  });

  test("R3: of a turn and an archive that race, the turn succeeds or is not found; nothing hangs", async () => {
    const service = await open({ archivePolicy, lanes: { count: 2 } });
    const ids = await Promise.all(Array.from({ length: 24 }, () => deferred(service)));
    await Promise.all(ids.filter((_, i) => i % 3 === 0).map((id) => service.hibernate(id)));
    const outcomes = await settled(
      Promise.all(
        ids.map(async (id, i) => {
          const turn = async (): Promise<string> => codeOf(service.startTurn(id, { prompt: "x" }));
          const archive = async (): Promise<string> => codeOf(service.archive(id));
          return i % 2 === 0 ? Promise.all([turn(), archive()]) : (await Promise.all([archive(), turn()])).toReversed();
        }),
      ),
      "a turn or an archive",
    );
    for (const [turn, archive] of outcomes) {
      expect(["ok", "SESSION_NOT_FOUND"]).toContain(turn);
      expect(archive).toBe("ok");
    }
    await until("all are gone", async () => (await service.list()).length === 0 && service.inspect().slots.allocated === 0);
  });
});

test("R11: a turn that runs at a discard ends with its real result, which is saved; the next one goes on from there", async () => {
  const service = await open();
  const { sessionId: id } = await service.createSession({ prompt: "kept" });
  const turn = service.startTurn(id, { prompt: busy });
  await service.discardLiveSession(id);
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_BUSY");
  expect(await service.read(id)).toMatchObject({ state: { isActive: true } });
  expect((await settled(turn)).text).toBe("finished");
  await service.startTurn(id, { prompt: "next" });
  expect(contents((await service.exportSession(id)).messages)).toEqual([...echoed("kept"), busy, "finished", ...echoed("next")]);
});

test("discard forgets what is not saved, and the session begins again from its last durable boundary", async () => {
  const service = await open({ agent: RECORDING });
  const { sessionId: id } = await service.createSession({ prompt: "kept" });
  // The recording agent keeps the prompt of a turn that fails.
  expect(await kindOf(service.startTurn(id, { prompt: script(["fail", "no"]) }))).toBe("internal_error");
  expect((await service.exportSession(id)).messages).toHaveLength(3);
  await service.discardLiveSession(id);
  await until("it has left its lane", () => service.inspect().slots.allocated === 0);
  expect(await codeOf(service.discardLiveSession(id))).toBe("SESSION_NOT_FOUND"); // it is not live
  await service.startTurn(id, { prompt: "next" });
  expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("kept", "next"));
});

test("R11: a turn that runs at shutdown ends with its real result, and is stored", async () => {
  const path = folder();
  const service = await open({ store: { kind: "lmdb", path } });
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: busy });
  await service.shutdown();
  expect((await turn).text).toBe("finished");
  const again = await open({ store: { kind: "lmdb", path } });
  expect((await again.read(id)).state.messageCount).toBe(2);
});

test("a purge removes what is archived, and nothing else", async () => {
  const service = await open({ events: "log" });
  const { sessionId: id } = await service.createSession({ prompt: script(["emit", 3]) });
  expect(await codeOf(service.purge(id))).toBe("SESSION_UNSUPPORTED");
  const turn = service.startTurn(id, { prompt: busy });
  await service.archive(id);
  const purging = service.purge(id);
  expect((await settled(turn)).text).toBe("finished");
  await settled(purging);
  expect(await codeOf(service.read(id))).toBe("SESSION_NOT_FOUND");
  expect(await codeOf(service.readHistory(id))).toBe("SESSION_NOT_FOUND");
  expect(await codeOf(service.purge(id))).toBe("SESSION_NOT_FOUND");
});

test("D6: an archive that the store refuses is told, and can be tried again", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "kept" });
  order({ fail: ["archive"] });
  expect(await codeOf(service.archive(id))).toBe("SESSION_STORE_ERROR");
  order({});
  expect((await service.read(id)).state.messageCount).toBe(2);
  expect(await codeOf(service.archive(id))).toBe("ok");
  expect(await service.list()).toEqual([]);
});

test("D6: a session whose archive failed is busy while its turn runs, and goes on then", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: busy });
  order({ fail: ["archive"] });
  expect(await codeOf(service.archive(id))).toBe("SESSION_STORE_ERROR");
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_BUSY");
  expect((await turn).text).toBe("finished");
  expect((await service.startTurn(id, { prompt: "next" })).text).toBe("next");
});

test("R3: an archive while the session is waking waits for it; the turn it woke for is served", async () => {
  const service = await open({ agent: { scripted: SCRIPTED, recording: RECORDING } });
  const id = await deferred(service, { agent: "recording", build: { buildDelayMs: 40 } });
  await service.hibernate(id);
  const turn = service.startTurn(id, { prompt: "woken" });
  await sleep(10);
  const archiving = service.archive(id);
  expect((await settled(turn)).text).toBe("woken");
  await settled(archiving);
  expect(contents((await service.readHistory(id)).messages)).toEqual(echoed("woken"));
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
});

test("a subscription made while a discarded session still runs hears it when it comes back", async () => {
  const service = await open();
  const id = await deferred(service);
  const before = service.subscribeSessionEvents(id);
  const turn = service.startTurn(id, { prompt: script(["sleep", 40], ["emit", 1]) });
  await service.discardLiveSession(id);
  const during = service.subscribeSessionEvents(id);
  await settled(turn);
  await until("it has left its lane", () => service.inspect().slots.allocated === 0);
  await service.startTurn(id, { prompt: script(["emit", 1]) });
  for (const stream of [before, during]) {
    expect((await settled(stream.next())).value).toMatchObject({ seq: 1 });
    expect((await settled(stream.next())).value).toMatchObject({ seq: 2 });
    await stream.return?.();
  }
});
