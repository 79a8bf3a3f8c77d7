/** Transcripts that are rewritten, agents that say what is not so, and rows that somebody else made newer. */
import { expect, test } from "vitest";

import type { Message, PersistentSessionService } from "../../dist/src/index.js";
import type { StoreClient } from "../../dist/src/transport/store-client.js";
import { unpackSession } from "../../src/transport/packed-session.ts";
import { packWrite } from "../../dist/src/transport/packed-write.js";
import { codeOf, deferred, errorOf, kindOf, settled, until } from "../helpers/hosts.ts";
import { EDITING, contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, folder, counting } = persistentHosts();
const AGENTS = [
  { messagesFrom: true, revision: true },
  { messagesFrom: false, revision: true },
  { messagesFrom: false, revision: false },
];
const gone = (service: PersistentSessionService): Promise<void> =>
  until("it has left its lane", () => service.inspect().slots.allocated === 0);

test("D1: a turn that only added is written by what it added; one that compacted or edited what was there is written whole", async () => {
  for (const build of AGENTS) {
    const { store, writes } = counting();
    const service = await open({ store, agent: EDITING });
    const id = await deferred(service, { build });
    for (const prompt of ["1", "2", "compact", "3", ...(build.revision ? ["edit 0 changed"] : []), "4"]) {
      await service.startTurn(id, { prompt });
      const live = contents((await service.exportSession(id)).messages);
      expect(contents((await service.loadPersisted(id))?.messages), `${JSON.stringify(build)}: ${prompt}`).toEqual(live);
    }
    const edit = build.revision ? ["rewrite"] : [];
    expect(writes(id), `${JSON.stringify(build)}`).toEqual(["append", "append", "rewrite", "append", ...edit, "append"]);
    const before = await service.exportSession(id);
    await service.hibernate(id);
    await service.startTurn(id, { prompt: "5" });
    const { messages } = await service.exportSession(id);
    expect(contents(messages)).toEqual([...contents(before.messages), "5", "re: 5"]);
    await service.shutdown({ deadlineMs: 0 });
  }
});

test("D4: a rewritten transcript is what the next host finds, and goes on with", async () => {
  const path = folder();
  const first = await open({ agent: EDITING, store: { kind: "lmdb", path } });
  const id = await deferred(first, { build: { messagesFrom: true, revision: true } });
  for (const prompt of ["1", "2", "3", "compact"]) await first.startTurn(id, { prompt });
  await first.shutdown();
  const second = await open({ agent: EDITING, store: { kind: "lmdb", path } });
  expect(contents((await second.readHistory(id)).messages)).toEqual(["summary of 7", "re: compact"]);
  await second.startTurn(id, { prompt: "compact" });
  expect(contents((await second.loadPersisted(id))?.messages)).toEqual(["summary of 3", "re: compact"]);
});

test("D2, D3: an agent whose transcript is none fails its turn; nothing of it is stored, and the session begins again from before", async () => {
  const service = await open({ agent: EDITING });
  for (const [build, prompt] of [
    [{ messagesFrom: true, revision: true }, "lie 2"],
    [{ messagesFrom: false }, "rubbish"],
  ] as const) {
    const id = await deferred(service, { build });
    await service.startTurn(id, { prompt: "1" });
    expect(await kindOf(settled(service.startTurn(id, { prompt })))).toBe("internal_error");
    await gone(service);
    await service.startTurn(id, { prompt: "2" });
    expect(contents((await service.exportSession(id)).messages)).toEqual(["1", "re: 1", "2", "re: 2"]);
    await service.hibernate(id);
  }
});

test("R1: a live session whose row somebody else made newer is dropped at its next write, and comes back as the newer one", async () => {
  const service = await open({ events: "log" });
  const { sessionId: id } = await service.createSession({ prompt: "1" });
  // As a second host would, past every lock: it makes the session live, and saves a turn.
  const { client } = (service as unknown as { host: { persistence: { client: StoreClient } } }).host.persistence;
  const { head } = unpackSession(id, await client.call("open", id));
  const messages: Message[] = [
    { role: "user", content: "theirs" },
    { role: "assistant", content: "theirs" },
  ];
  const state = { ...head, updatedAt: head.updatedAt + 1 };
  await client.call("append", packWrite({ id, epoch: head.epoch, version: head.version, state, messages }));
  const refused = await errorOf(settled(service.startTurn(id, { prompt: "ours" })));
  expect(refused).toMatchObject({ code: "SESSION_STORE_ERROR", details: { reason: "fenced" } });
  await gone(service);
  expect((await service.read(id)).state.messageCount).toBe(4);
  expect((await service.startTurn(id, { prompt: "2" })).text).toBe("2");
  expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("1", "theirs", "2"));
  // What is not written notices nothing; what is saved as it falls asleep does.
  await client.call("open", id);
  expect(await codeOf(settled(service.applyRuntimeSystemContext(id, [{ text: "x" }])))).toBe("SESSION_STORE_ERROR");
  await gone(service);
  expect(await codeOf(service.startTurn(id, { prompt: "3" }))).toBe("ok");
});
