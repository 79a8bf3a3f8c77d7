/** Lanes whose memory runs out, over real threads: idle sessions leave before the lane dies; buffers beyond their limit end it, typed. */
import { expect, test } from "vitest";

import { codeOf, deferred, errorOf, hosts, script, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

const openHost = hosts();
const { open: openKept } = persistentHosts();
const limits = { maxOldGenerationSizeMb: 128 };
const heap = { prompt: script(["keep", "heap", 6]) };

test("persistent: sessions that hold more than the heap has room for sleep in time", async () => {
  const service = await openKept({ lanes: { count: 1, resourceLimits: limits } });
  const share = (): number => {
    const { memory } = service.inspect().lanes[0] ?? {};
    return memory === undefined ? 0 : memory.heapUsed / memory.heapLimit;
  };
  const ids: string[] = [];
  while (ids.length < 32) {
    // 192 MiB in all. Near the limit it waits for the sessions to leave, as whoever makes load by and by would.
    await until("there is room", () => share() < 0.86 || (service.inspect().store?.hibernated ?? 0) > ids.length - 14);
    const id = await deferred(service);
    await settled(service.startTurn(id, heap));
    ids.push(id);
    await sleep(300); // a lane says twice a second what it uses, and what nobody was told of must still have room
  }
  expect(service.inspect()).toMatchObject({ lanesLost: 0, events: { lane_lost: 0 } });
  expect(service.inspect().events.memory_pressure).toBeGreaterThan(0);
  expect(service.inspect().sessions.live).toBeLessThan(ids.length);
  for (const id of ids.slice(0, 3)) expect(await codeOf(settled(service.startTurn(id, { prompt: "again" })))).toBe("ok");
});

test("ephemeral: they move to the lane that has room", async () => {
  const service = await openHost({ lanes: { count: 2, resourceLimits: limits, hogPolicy: "report" } });
  const ids: string[] = [];
  while (ids.length < 40) ids.push(await deferred(service));
  // Sessions are placed in turns: every other one is in lane 0.
  for (const id of ids.filter((_, i) => i % 2 === 0).slice(0, 19)) await settled(service.startTurn(id, heap));
  await until("some have moved", () => service.inspect().events.session_moved > 0);
  expect(service.inspect().events.memory_pressure).toBe(1);
  for (const id of ids) expect(await codeOf(settled(service.startTurn(id, { prompt: "still here" })))).toBe("ok");
  expect(service.inspect()).toMatchObject({ lanesLost: 0, sessions: { live: 40 } });
});

test("buffers beyond lanes.externalMemoryMaxMb end the lane, and its turns are told why", async () => {
  const service = await openHost({ lanes: { count: 1, externalMemoryMaxMb: 64 } });
  const id = await deferred(service);
  const error = await errorOf(settled(service.startTurn(id, { prompt: script(["keep", "buffers", 100], ["sleep", 60_000]) })));
  expect(error).toMatchObject({
    agentError: { kind: "lane_lost", message: expect.stringContaining("externalMemoryMaxMb") },
    details: { killedBecause: expect.stringContaining("externalMemoryMaxMb") },
  });
  expect(await codeOf(settled(service.createSession({ prompt: "x" })))).toBe("ok");
});

test("also while the lane stands still and cannot say so itself", async () => {
  const service = await openHost({ lanes: { count: 2, externalMemoryMaxMb: 96 } });
  const id = await deferred(service);
  const error = await errorOf(settled(service.startTurn(id, { prompt: script(["gulp", 400, 60_000]) })));
  expect(error).toMatchObject({
    agentError: { kind: "lane_lost" },
    details: { killedBecause: expect.stringContaining("externalMemoryMaxMb") },
  });
  expect(service.inspect().lanesLost).toBe(1);
});
