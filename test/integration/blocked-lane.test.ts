/** One lane is blocked by an agent that never yields: everything that does not need this lane goes on. */
import { expect, test } from "vitest";

import { codeOf, deferred, gate, hosts, kindOf, script, settled, until } from "../helpers/hosts.ts";

const openHost = hosts();

/** A host of two lanes, one of them blocked for `ms`. */
async function withBlockedLane(ms: number) {
  const service = await openHost({ lanes: { count: 2 }, interruptGraceMs: 200 });
  const [blocked, free, queued] = [await deferred(service), await deferred(service), await deferred(service)];
  const started = gate();
  // The third session is the blocked one's neighbour.
  const turn = service.startTurn(blocked, {
    prompt: script(["emit", 1], ["sleepThrough", 1], ["spinBlind", ms]),
    onEvent: () => started.open(),
  });
  turn.catch(() => {});
  await started.promise;
  await until("the lane stands still", () => service.inspect().lanes.some(({ heartbeatAgeMs = 0 }) => heartbeatAgeMs > 300));
  return { service, blocked, free, queued, turn };
}

test("G3, R10: list, read, append, other sessions' turns and creates do not wait for a blocked lane", async () => {
  const { service, blocked, free, queued, turn } = await withBlockedLane(3000);
  let isOver = false;
  void turn.finally(() => (isOver = true)).catch(() => {});
  await service.list();
  await service.read(blocked);
  await service.read(queued);
  expect(await codeOf(service.startTurn(blocked, { prompt: "x" }))).toBe("SESSION_BUSY");
  expect(await service.appendSystemContext(blocked, { text: "a" })).toEqual({ status: "staged" });
  expect(await service.systemContextState(queued)).toEqual({ pending: [], seen: {} });
  for (let i = 0; i < 20; i++) await service.startTurn(free, { prompt: "x" });
  expect((await service.exportSession(free)).messages).toHaveLength(40);
  const archivable = await deferred(service); // placed where there are fewer sessions: beside the free one
  await service.archive(archivable);
  await service.archive(queued);
  expect((await service.list()).map(({ sessionId }) => sessionId)).toEqual([blocked, free]);
  expect({ isOver, isActive: (await service.read(blocked)).state.isActive }).toEqual({ isOver: false, isActive: true });
  expect(await codeOf(settled(turn))).toBe("ok");
  await until("the archived neighbour has left", () => service.inspect().slots.allocated === 2);
});

test("G3, R7, R10: an interrupt of a session in a blocked lane answers at once and does what it says", async () => {
  const { service, blocked, queued, turn } = await withBlockedLane(120_000);
  const waiting = service.startTurn(queued, { prompt: "waits behind the blocked one" });
  waiting.catch(() => {});
  await settled(service.interrupt(queued));
  await settled(service.interrupt(blocked));
  // The neighbour's turn was interrupted and is lost with the lane, whichever comes first.
  expect(["cancelled", "lane_lost"]).toContain(await kindOf(settled(waiting)));
  expect(await kindOf(settled(turn))).toBe("lane_lost");
  expect(await codeOf(settled(service.createSession({ prompt: "x" })))).toBe("ok");
});

test("G3: inspect shows the blocked lane by its heartbeat", async () => {
  const { service, blocked } = await withBlockedLane(2500);
  await until("the heartbeat is old", () => service.inspect().lanes.some(({ heartbeatAgeMs = 0 }) => heartbeatAgeMs > 500));
  const stale = service.inspect().lanes.filter(({ heartbeatAgeMs = 0 }) => heartbeatAgeMs > 500);
  expect(stale).toHaveLength(1);
  expect(stale[0]).toMatchObject({ runningTurns: 1, sessions: 2, state: "ready" });
  await until("it is over", async () => !(await service.read(blocked)).state.isActive);
});
