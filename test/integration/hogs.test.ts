/** Sessions that leave their lane's others no time, over real threads. */
import { expect, test } from "vitest";

import type { SessionHost } from "../../dist/src/internal.js";
import type { EphemeralSessionService, HostSnapshot } from "../../dist/src/index.js";
import { codeOf, deferred, hosts, script, settled, sleep, until } from "../helpers/hosts.ts";

const openHost = hosts();
const laneOf = (service: EphemeralSessionService, id: string): number => (Reflect.get(service, "host") as SessionHost).live(id).lane.number;
const movedOf = (service: { inspect(): HostSnapshot }): number => service.inspect().events.session_moved;

/** Two lanes, and in the first of them a session that always works, and one that does not. */
async function hogged(options: NonNullable<Parameters<typeof openHost>[0]>) {
  const service = await openHost(options);
  const [hog, away, neighbour] = [await deferred(service), await deferred(service), await deferred(service)];
  expect([laneOf(service, hog), laneOf(service, away), laneOf(service, neighbour)]).toEqual([0, 1, 0]);
  let isOver = false;
  let turns = 0;
  /** One turn after the other, each of them a long loop. */
  const work = (async () => {
    while (!isOver) {
      await service.startTurn(hog, { prompt: script(["spin", 30]) });
      turns++;
    }
  })();
  work.catch(() => {}); // the host may close first, when the test fails
  const stop = async (): Promise<void> => {
    isOver = true;
    await settled(work);
  };
  return { service, hog, neighbour, stop, turns: () => turns };
}

test("the session that uses its whole lane is moved to the one that has time, between two of its turns", async () => {
  const { service, hog, neighbour, stop, turns } = await hogged({ lanes: { count: 2 } });
  await until("somebody has moved", () => movedOf(service) > 0);
  expect([laneOf(service, hog), laneOf(service, neighbour)]).toEqual([1, 0]);
  const before = turns();
  await until("it goes on there", () => turns() > before + 2);
  await stop();
  expect(service.inspect().events.lane_overloaded).toBeGreaterThan(0);
  expect((await service.readHistory(hog)).messageCount).toBe(2 * turns());
});

test("by policy it gets a lane of its own", async () => {
  const { service, hog, stop, turns } = await hogged({ lanes: { count: 2, hogPolicy: "dedicate" } });
  await until("it has moved", () => movedOf(service) > 0);
  expect(service.inspect().lanes.find(({ kind }) => kind === "dedicated")).toMatchObject({ lane: laneOf(service, hog), sessions: 1 });
  const before = turns();
  await until("it goes on there", () => turns() > before + 2);
  await stop();
  await service.archive(hog);
  await until("its lane has ended", () => service.inspect().lanes.length === 2);
});

test("by policy it is reported and no more", async () => {
  const { service, hog, stop } = await hogged({ lanes: { count: 2, hogPolicy: "report" } });
  await until("it is reported", () => service.inspect().events.lane_overloaded > 0);
  await sleep(1500);
  expect([movedOf(service), laneOf(service, hog)]).toEqual([0, 0]);
  await stop();
});

test("when its turn does not end, others are moved away from it", async () => {
  const service = await openHost({ lanes: { count: 2 } });
  const [hog, away, neighbour] = [await deferred(service), await deferred(service), await deferred(service)];
  const pieces = Array.from({ length: 1000 }, () => [["spinBlind", 80] as const, ["sleep", 0] as const]).flat();
  const turn = service.startTurn(hog, { prompt: script(...pieces) });
  turn.catch(() => {});
  await until("its neighbour has moved", () => laneOf(service, neighbour) === laneOf(service, away));
  expect(laneOf(service, hog)).toBe(0);
  expect(await codeOf(settled(service.startTurn(neighbour, { prompt: "free" })))).toBe("ok");
  await service.interrupt(hog);
  await settled(turn.catch(() => {}));
});
