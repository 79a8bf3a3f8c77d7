/** Capacity: how many sessions may live, who gets the last place, and what gives it back. */
import { expect, test } from "vitest";

import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, hosts, script, settled, until } from "../helpers/hosts.ts";

const openHost = hosts();

test("A3, R2: of two creates for the last place exactly one wins, and the loser knows before the build ends", async () => {
  const service = await openHost({ agent: RECORDING, maxSessions: 1 });
  let isBuilt = false;
  const winner = service.createSession({ prompt: "hello", build: { buildDelayMs: 100 } }).then((result) => {
    isBuilt = true;
    return result;
  });
  const loser = await errorOf(service.createSession({ prompt: "hello" }));
  expect(isBuilt).toBe(false);
  expect(loser).toMatchObject({
    code: "AGENT_ERROR",
    message: expect.stringContaining("Max sessions reached (0/1)"),
    agentError: { kind: "internal_error" },
    details: { reason: "capacity", live: 0, max: 1 },
  });
  await winner;
  expect(await service.list()).toHaveLength(1);
});

test("R2: of many concurrent creates exactly as many win as there are places", async () => {
  const service = await openHost({ agent: RECORDING, maxSessions: 3, lanes: { count: 2 } });
  const creates = Array.from({ length: 12 }, (_, i) => codeOf(service.createSession({ prompt: "x", build: { buildDelayMs: i % 4 } })));
  const codes = await Promise.all(creates);
  expect(codes.filter((code) => code === "ok")).toHaveLength(3);
  expect(codes.filter((code) => code === "AGENT_ERROR")).toHaveLength(9);
  expect(service.inspect().sessions).toMatchObject({ live: 3, building: 0 });
});

test("A4: capacity comes back after a build failure, a duplicate id, archive, and discard", async () => {
  const service = await openHost({ agent: RECORDING, maxSessions: 2 });
  const kept = await deferred(service, { build: { ownId: "taken" } });
  expect(await codeOf(service.createSession({ prompt: "x", build: { buildThrows: "no" } }))).toBe("AGENT_ERROR");
  expect(await codeOf(service.createSession({ prompt: "x", build: { ownId: "taken" } }))).toBe("AGENT_ERROR");
  const archived = await deferred(service);
  expect((await errorOf(service.createSession({ prompt: "x" }))).details).toMatchObject({ reason: "capacity" });
  await service.archive(archived);
  const discarded = await deferred(service);
  await service.discardLiveSession(discarded);
  await deferred(service);
  await service.archive(kept);
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
});

test("A4, R5: the place of an archived session is taken until its running turn has stopped", async () => {
  const service = await openHost({ maxSessions: 1 });
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: script(["sleep", 100]) });
  await service.archive(id);
  expect((await errorOf(service.createSession({ prompt: "x" }))).details).toMatchObject({ reason: "capacity" });
  await turn;
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
});

test("A6: a duplicate id is refused, the original is unharmed and the second agent disposed", async () => {
  const service = await openHost({ agent: RECORDING });
  const first = await service.createSession({ prompt: "one", build: { ownId: "same" } });
  expect(first.sessionId).toBe("same");
  const error = await errorOf(service.createSession({ prompt: "two", build: { ownId: "same" } }));
  expect(error).toMatchObject({
    code: "AGENT_ERROR",
    agentError: { kind: "internal_error", message: expect.stringContaining("Duplicate session ID generated: same") },
  });
  const { text } = await service.startTurn("same", { prompt: "log" });
  expect(JSON.parse(text).filter((call: string) => call.startsWith("run:"))).toEqual(["run:one", "run:log"]);
  expect(service.inspect()).toMatchObject({ sessions: { live: 1, building: 0 }, slots: { allocated: 1 } });
  const { text: lane } = await service.startTurn("same", { prompt: "lane" });
  expect(JSON.parse(lane).filter((entry: string) => entry.startsWith("dispose"))).toEqual(["dispose:same"]);
});

test("A6, R1: of concurrent creates that want the same id exactly one wins", async () => {
  const service = await openHost({ agent: RECORDING, lanes: { count: 2 } });
  const codes = await Promise.all(
    Array.from({ length: 6 }, () => codeOf(service.createSession({ prompt: "x", build: { ownId: "same", buildDelayMs: 10 } }))),
  );
  expect(codes.filter((code) => code === "ok")).toHaveLength(1);
  await until("the others have left", () => service.inspect().slots.allocated === 1);
  expect(await codeOf(service.startTurn("same", { prompt: "x" }))).toBe("ok");
});

test("A6: resuming a session that is live is a duplicate", async () => {
  const service = await openHost({ agent: SCRIPTED });
  const { sessionId } = await service.createSession({ prompt: "one" });
  const session = await service.exportSession(sessionId);
  const error = await errorOf(service.createSession({ prompt: "two", build: { resumeSession: { ...session } as never } }));
  expect(error.agentError?.message).toContain("Duplicate session ID generated");
  expect((await service.read(sessionId)).state.messageCount).toBe(2);
});

test("A6: an archived session's id may be used again, and its view gives way", async () => {
  const service = await openHost({ agent: RECORDING });
  await service.createSession({ prompt: "one", build: { ownId: "same" } });
  await service.archive("same");
  expect((await service.read("same")).state.messageCount).toBe(2);
  await deferred(service, { build: { ownId: "same" } });
  expect((await service.read("same")).state.messageCount).toBe(0);
  expect(service.inspect().sessions).toMatchObject({ live: 1, archivedViews: 0 });
});

test("A4, G6: thousands of sessions, more than one segment of the table holds, work in old, dedicated and replaced lanes", async () => {
  const service = await openHost({ lanes: { count: 2 } });
  const ids: string[] = [];
  while (ids.length < 5000) ids.push(...(await Promise.all(Array.from({ length: 500 }, () => deferred(service)))));
  expect(new Set(ids).size).toBe(5000);
  expect((await service.list({ offset: 4990 })).map(({ sessionId }) => sessionId)).toEqual([...ids].sort().slice(4990));
  for (const id of [ids[0], ids[4095], ids[4096], ids[4999]] as string[])
    expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("ok");
  expect(await codeOf(service.createSession({ prompt: "x", isolation: "dedicated" }))).toBe("ok");
  expect(await codeOf(service.startTurn(ids[4999] as string, { prompt: script(["exit", 1]) }))).toBe("AGENT_ERROR");
  expect(service.inspect().sessions.live).toBe(2501);
  const created = await settled(Promise.all(Array.from({ length: 20 }, () => service.createSession({ prompt: "x" }))));
  for (const { sessionId } of created) expect((await service.read(sessionId)).state.messageCount).toBe(2);
});

test("C4: builds overlap in time, within one lane too", async () => {
  const service = await openHost({ agent: RECORDING });
  const builds = ["a", "b", "c"].map((name) =>
    service.createSession({ prompt: "x", initialTurn: "defer", build: { name, buildDelayMs: 50 } }),
  );
  await settled(Promise.all(builds));
  const { text } = await service.createSession({ prompt: "lane", build: { name: "d" } });
  const marks = JSON.parse(text) as string[];
  expect(marks.slice(0, 3).sort()).toEqual(["build:a", "build:b", "build:c"]);
  expect(marks.slice(3, 6).sort()).toEqual(["built:a", "built:b", "built:c"]);
});
