/** A turn that has ended is answered at once, whatever its neighbours in the lane do in the same turn of the loop. */
import { expect, test } from "vitest";

import type { EphemeralSessionService } from "../../dist/src/index.js";
import { SCRIPTED, deferred, hosts, script, settled, sleep } from "../helpers/hosts.ts";

type Steps = Parameters<typeof script>;
const openHost = hosts();
const openLane = (): Promise<EphemeralSessionService> => openHost({ agent: SCRIPTED, lanes: { count: 1 }, interruptGraceMs: 300 });
/** Both are woken by timers of one millisecond, so the lane runs them in one phase of its loop. */
const TOGETHER: Steps[number] = ["sleepThrough", 100];

/** How a turn ended, and when. */
async function outcome(service: EphemeralSessionService, id: string, ...steps: Steps): Promise<{ how: string; atMs: number }> {
  const how = await service.startTurn(id, { prompt: script(...steps) }).then(() => "ok", kindOfError);
  return { how, atMs: Date.now() };
}
const kindOfError = (error: { agentError?: { kind: string } }): string => String(error.agentError?.kind);

test("a neighbour works on for long", async () => {
  const service = await openLane();
  const [a, b] = [await deferred(service), await deferred(service)];
  const [first, second] = await settled(Promise.all([outcome(service, a, TOGETHER), outcome(service, b, TOGETHER, ["spinBlind", 600])]));
  expect([first.how, second.how]).toEqual(["ok", "ok"]);
  expect(second.atMs - first.atMs).toBeGreaterThan(300);
});

test("a neighbour blocks the lane until it is killed", async () => {
  const service = await openLane();
  const [a, b] = [await deferred(service), await deferred(service)];
  const both = Promise.all([outcome(service, a, TOGETHER), outcome(service, b, TOGETHER, ["spinBlind", 20_000])]);
  await sleep(300);
  await service.interrupt(b);
  expect((await settled(both)).map(({ how }) => how)).toEqual(["ok", "lane_lost"]);
});

test("a neighbour ends the thread", async () => {
  const service = await openLane();
  const [a, b] = [await deferred(service), await deferred(service)];
  const both = Promise.all([outcome(service, a, TOGETHER), outcome(service, b, TOGETHER, ["exit", 3])]);
  expect((await settled(both)).map(({ how }) => how)).toEqual(["ok", "lane_lost"]);
});

test("it is on its way to its lane before main's other callbacks run", async () => {
  const service = await openLane();
  const id = await deferred(service);
  const entered = new Promise<number>((resolve) => {
    setTimeout(() => {
      const onEvent = ({ timestampMs }: { timestampMs: number }): void => resolve(timestampMs);
      void service.startTurn(id, { prompt: script(["emit", 1]), onEvent });
    }, 20);
  });
  const blockedAt = new Promise<number>((resolve) => {
    setTimeout(() => {
      const startedAt = Date.now();
      while (Date.now() - startedAt < 400);
      resolve(startedAt);
    }, 20);
  });
  expect((await entered) - (await blockedAt)).toBeLessThan(300);
});
