/** Sessions that bring their lanes down: found, struck, not run any more, and let go again. */
import { expect, test } from "vitest";

import type { HostEvent } from "../../dist/src/index.js";
import { codeOf, deferred, errorOf, gate, hosts, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

const openEphemeral = hosts();
const { open } = persistentHosts({ lanes: { count: 1 }, interruptGraceMs: 200 });

const exit = script(["sleep", 5], ["exit", 7]);
/** A start that may come while the lane is down. */
async function whenUp<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await settled(call());
    } catch (error) {
      const { code, details } = error as { code?: string; details?: { retryAfterMs?: number } };
      if (code !== "HOST_OVERLOADED") throw error;
      await sleep(details?.retryAfterMs ?? 10);
    }
  }
}

test("G6: a session that brought its lane down twice is not run any more until it is released; what needs no agent goes on", async () => {
  const events: HostEvent[] = [];
  const service = await open({ onHostEvent: (event) => void events.push(event) });
  const [id, neighbour] = [await deferred(service), await deferred(service)];
  await service.startTurn(id, { prompt: "before" });
  for (let i = 0; i < 2; i++) expect(await kindOf(whenUp(() => service.startTurn(id, { prompt: exit })))).toBe("lane_lost");
  // At once, before anything is started, and again.
  for (let i = 0; i < 2; i++) {
    expect(await errorOf(service.startTurn(id, { prompt: "x" }))).toMatchObject({
      code: "SESSION_QUARANTINED",
      disposition: "give-up",
      sessionId: id,
      details: { strikes: 2 },
    });
  }
  expect(service.inspect()).toMatchObject({ quarantined: [id], turns: { running: 0 }, sessions: { live: 0 } });
  expect((await service.read(id)).state).toMatchObject({ messageCount: 2, isActive: false });
  expect((await service.readHistory(id)).messages).toHaveLength(2);
  const exported = await service.exportSession(id);
  expect(await service.appendSystemContext(id, { text: "kept" })).toEqual({ status: "staged" });
  // Nor in another's name.
  const resume = { prompt: "", initialTurn: "defer", build: { resumeSession: exported } } as const;
  expect(await codeOf(service.createSession(resume))).toBe("SESSION_QUARANTINED");
  expect(await whenUp(() => service.startTurn(neighbour, { prompt: "fine" }))).toMatchObject({ text: "fine" });
  await service.releaseQuarantine(id);
  await service.releaseQuarantine(id); // it is free: nothing to do
  expect((await service.startTurn(id, { prompt: script(["takeSystemPrompt"]) })).text).toContain("kept");
  expect(events.filter(({ sessionId }) => sessionId === id).map(({ type }) => type)).toEqual([
    "session_struck",
    "session_struck",
    "session_quarantined",
    "session_released",
  ]);
});

test("G6: a turn that blocks its lane beyond its interrupt counts", async () => {
  const service = await open();
  const id = await deferred(service);
  const started = gate();
  const turn = service.startTurn(id, {
    prompt: script(["emit", 1], ["sleepThrough", 1], ["spinBlind", 60_000]),
    onEvent: () => started.open(),
  });
  turn.catch(() => {});
  await started.promise;
  await service.interrupt(id);
  expect(await kindOf(settled(turn))).toBe("lane_lost");
  expect(service.inspect()).toMatchObject({ events: { session_struck: 1, lane_killed: 1 }, quarantined: [] });
  expect(await kindOf(whenUp(() => service.startTurn(id, { prompt: exit })))).toBe("lane_lost");
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_QUARANTINED");
  await service.archive(id); // the end for good
  expect(service.inspect().quarantined).toEqual([]);
  expect(await codeOf(service.releaseQuarantine(id))).toBe("SESSION_NOT_FOUND");
  expect(await codeOf(service.releaseQuarantine("nobody"))).toBe("SESSION_NOT_FOUND");
});

test("G6: when several ran nobody is struck for sure: they wake apart, and who brings a lane down again among the innocent is found", async () => {
  const service = await open({ lanes: { count: 2 } });
  const ids = await Promise.all(Array.from({ length: 4 }, () => deferred(service)));
  const laneOf = (): number[] => service.inspect().lanes.map(({ runningTurns }) => runningTurns);
  const quiet = ids.map((id) => service.startTurn(id, { prompt: script(["sleep", 300]) }));
  await until("all run", () => laneOf().join() === "2,2");
  await Promise.all(quiet);
  // Two of one lane run when it ends: one of them ends it.
  const [a, b] = [ids[0] as string, ids[2] as string];
  const outcomes = [service.startTurn(a, { prompt: script(["sleep", 5000]) }), service.startTurn(b, { prompt: exit })].map(kindOf);
  expect(await settled(Promise.all(outcomes))).toEqual(["lane_lost", "lane_lost"]);
  expect(service.inspect().events).toMatchObject({ sessions_suspected: 1, session_struck: 0 });
  const again = [a, b].map((id) => whenUp(() => service.startTurn(id, { prompt: script(["sleep", 60_000]) })));
  for (const turn of again) turn.catch(() => {});
  await until("they run apart", () => laneOf().every((turns) => turns === 1));
  await Promise.all([service.interrupt(a), service.interrupt(b)]);
  expect(await settled(Promise.all(again.map(kindOf)))).toEqual(["cancelled", "cancelled"]);
  expect(await codeOf(service.startTurn(a, { prompt: "x" }))).toBe("ok");
});

test("G6: a session of an ephemeral host that was lost with its lane says so", async () => {
  const service = await openEphemeral();
  const [id, other] = [await deferred(service), await deferred(service)];
  expect(await kindOf(settled(service.startTurn(id, { prompt: exit })))).toBe("lane_lost");
  const gone = { code: "SESSION_NOT_FOUND", details: { reason: "lane_lost", lane: 0 } };
  expect(await errorOf(service.read(other))).toMatchObject(gone);
  expect(await errorOf(service.startTurn(id, { prompt: "x" }))).toMatchObject(gone);
  expect((await errorOf(service.read("nobody"))).details).toBeUndefined();
});
