/** Sessions with a lane of their own: limited in number, gone with their session, and harmless to the others. */
import { expect, test } from "vitest";

import type { HostSnapshot, LaneSnapshot } from "../../dist/src/index.js";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import { RECORDING, codeOf, deferred, errorOf, hosts, kindOf, script, settled, until } from "../helpers/hosts.ts";

const openHost = hosts();
const openKept = persistentHosts().open;
const dedicated = { isolation: "dedicated" as const };
const own = (service: { inspect(): HostSnapshot }): LaneSnapshot[] => service.inspect().lanes.filter(({ kind }) => kind === "dedicated");

test("G6: a dedicated session has a lane of its own, which ends with it", async () => {
  const service = await openHost();
  const shared = await deferred(service);
  const { sessionId: id, text } = await service.createSession({ ...dedicated, prompt: "alone" });
  expect(text).toBe("alone");
  expect(own(service)).toMatchObject([{ sessions: 1 }]);
  expect(service.inspect().lanes.find(({ kind }) => kind === "shared")).toMatchObject({ sessions: 1 });
  await deferred(service);
  expect(own(service)).toMatchObject([{ sessions: 1 }]);
  await service.archive(id);
  await until("its lane has ended", () => own(service).length === 0);
  expect((await service.read(id)).state.messageCount).toBe(2);
  expect(await codeOf(service.startTurn(shared, { prompt: "x" }))).toBe("ok");
  expect(service.inspect().lanesLost).toBe(0);
});

test("A4, G6: so many dedicated lanes and no more; an ended one makes room", async () => {
  const service = await openHost({ lanes: { count: 1, dedicatedMax: 1 }, maxSessions: 2 });
  const first = await deferred(service, dedicated);
  const refused = await errorOf(service.createSession({ ...dedicated, prompt: "x" }));
  expect(refused).toMatchObject({ code: "HOST_OVERLOADED", disposition: "retry", details: { reason: "dedicated_lanes", limit: 1 } });
  // The refusal took no place of the two.
  const second = await deferred(service);
  await service.archive(second);
  await service.archive(first);
  await until("its lane has ended", () => own(service).length === 0);
  expect(await codeOf(service.createSession({ ...dedicated, prompt: "x" }))).toBe("ok");
});

test("G6: no dedicated lane is to be had where none is allowed", async () => {
  const service = await openHost({ lanes: { count: 1, dedicatedMax: 0 } });
  expect(await codeOf(service.createSession({ ...dedicated, prompt: "x" }))).toBe("HOST_OVERLOADED");
  expect(service.inspect().sessions).toMatchObject({ live: 0, building: 0 });
});

test("G6, C5: its crash harms only it", async () => {
  const service = await openHost({ maxSessions: 2 });
  const shared = await deferred(service);
  const turn = service.startTurn(shared, { prompt: script(["sleep", 200]) });
  const error = await errorOf(settled(service.createSession({ ...dedicated, prompt: script(["exit", 5]) })));
  expect(error).toMatchObject({ agentError: { kind: "lane_lost" }, details: { exitCode: 5 } });
  expect(await codeOf(turn)).toBe("ok");
  expect(own(service)).toEqual([]); // not replaced
  expect(service.inspect()).toMatchObject({ lanesLost: 1, sessions: { live: 1 } });
  expect(await codeOf(service.createSession({ ...dedicated, prompt: "x" }))).toBe("ok");
});

test("G6: a session that goes beyond the limits of its lane dies alone; one with larger limits does the same work", async () => {
  const service = await openHost({ lanes: { count: 1, dedicatedResourceLimits: { maxOldGenerationSizeMb: 32 } } });
  const work = script(["hoard", 100]);
  const shared = await deferred(service);
  const neighbour = service.startTurn(shared, { prompt: script(["sleep", 50], ["say", "unharmed"]) });
  const small = await deferred(service, dedicated);
  const large = await deferred(service, { ...dedicated, resourceLimits: { maxOldGenerationSizeMb: 512 } });
  const lost = await errorOf(settled(service.startTurn(small, { prompt: work })));
  expect(lost).toMatchObject({ agentError: { kind: "lane_lost", message: expect.stringMatching(/memory/) } });
  expect(await codeOf(service.read(small))).toBe("SESSION_NOT_FOUND");
  expect((await settled(service.startTurn(large, { prompt: work }))).text).toBe("held 100 MiB");
  expect((await settled(neighbour)).text).toBe("unharmed");
  expect(service.inspect().lanesLost).toBe(1);
});

test("G6: a dedicated session that sleeps wakes in a lane with its own limits", async () => {
  const service = await openKept({ lanes: { count: 1, dedicatedResourceLimits: { maxOldGenerationSizeMb: 32 } } });
  const work = { prompt: script(["hoard", 100]) };
  const id = await deferred(service, { ...dedicated, resourceLimits: { maxOldGenerationSizeMb: 512 } });
  await settled(service.hibernate(id));
  await until("its lane has ended", () => own(service).length === 0);
  expect((await settled(service.startTurn(id, work))).text).toBe("held 100 MiB");
  expect(own(service)).toHaveLength(1);
});

test("G3: its busy loop holds nobody up, and is killed when interrupted", async () => {
  const service = await openHost({ interruptGraceMs: 100 });
  const [shared, id] = [await deferred(service), await deferred(service, dedicated)];
  const turn = service.startTurn(id, { prompt: script(["spinBlind", 120_000]) });
  turn.catch(() => {});
  for (let i = 0; i < 10; i++) await settled(service.startTurn(shared, { prompt: "x" }));
  await until("the loop runs", () => own(service).some(({ heartbeatAgeMs = 0 }) => heartbeatAgeMs > 200));
  await settled(service.interrupt(id));
  expect(await kindOf(settled(turn))).toBe("lane_lost");
  expect(await codeOf(service.startTurn(shared, { prompt: "x" }))).toBe("ok");
});

test("G6, A4: a build that fails in a dedicated lane leaves neither lane nor place behind", async () => {
  const service = await openHost({ agent: RECORDING, lanes: { count: 1, dedicatedMax: 1 }, maxSessions: 1 });
  const fail = (build: object) => codeOf(settled(service.createSession({ ...dedicated, prompt: "x", build: build as never })));
  for (const build of [{ buildThrows: "no" }, { buildExits: true }, { snapshotThrows: "always" }]) {
    expect(await fail(build)).toBe("AGENT_ERROR");
    await until("its lane has ended", () => own(service).length === 0);
  }
  const abort = new AbortController();
  const create = service.createSession({ ...dedicated, prompt: "x", build: { buildDelayMs: 50 } }, { signal: abort.signal });
  abort.abort(new Error("changed my mind"));
  await expect(create).rejects.toThrow("changed my mind");
  await until("its lane has ended", () => own(service).length === 0);
  expect(await codeOf(service.createSession({ ...dedicated, prompt: "x" }))).toBe("ok");
});

test("R5: a dedicated lane outlives its archived session's running turn", async () => {
  const service = await openHost();
  const id = await deferred(service, dedicated);
  const turn = service.startTurn(id, { prompt: script(["sleep", 60], ["say", "to the end"]) });
  await service.archive(id);
  expect((await settled(turn)).text).toBe("to the end");
  await until("its lane has ended", () => own(service).length === 0);
});

test("A40: shutdown ends dedicated lanes too", async () => {
  const service = await openHost();
  const id = await deferred(service, dedicated);
  const turn = service.startTurn(id, { prompt: script(["sleep", 60]) });
  await settled(service.shutdown());
  expect(await codeOf(turn)).toBe("ok");
  expect(service.inspect().lanes.filter(({ state }) => state !== "stopped")).toEqual([]);
});
