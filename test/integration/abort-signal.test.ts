/** AbortSignal on calls: before admission nothing is left behind, afterwards that turn is interrupted. */
import { expect, test } from "vitest";

import { RECORDING, codeOf, deferred, errorOf, gate, hosts, script, settled, until } from "../helpers/hosts.ts";

const openHost = hosts();
const why = new Error("changed my mind");

test("A11: a signal that has aborted already rejects with its reason, and nothing happens", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const before = service.inspect();
  const signal = AbortSignal.abort(why);
  let isAdmitted = false;
  const onAdmitted = (): void => void (isAdmitted = true);
  await expect(service.startTurn(id, { prompt: "x" }, { signal, onAdmitted })).rejects.toBe(why);
  await expect(service.createSession({ prompt: "x" }, { signal, onAdmitted })).rejects.toBe(why);
  await expect(service.streamTurn(id, { prompt: "x" }, { signal, onAdmitted }).result).rejects.toBe(why);
  const after = service.inspect();
  expect({ sessions: after.sessions, turns: after.turns, slots: after.slots }).toEqual({
    sessions: before.sessions,
    turns: before.turns,
    slots: before.slots,
  });
  expect(isAdmitted).toBe(false);
});

test("A4: aborted while the agent is built, the create rejects at once; agent, place and slot are given back", async () => {
  const service = await openHost({ agent: RECORDING, maxSessions: 2 });
  const observer = await deferred(service);
  const abort = new AbortController();
  let isRegistered = false;
  void service.waitSessionRegistered().then(
    () => (isRegistered = true),
    () => {},
  );
  const create = service.createSession({ prompt: "x", build: { ownId: "unwanted", buildDelayMs: 100 } }, { signal: abort.signal });
  await until("it builds", () => service.inspect().sessions.building === 1);
  abort.abort(why);
  await expect(settled(create)).rejects.toBe(why);
  // Held until the build is over, then free.
  await until("the place is free again", () => service.inspect().slots.allocated === 1 && service.inspect().sessions.building === 0);
  expect(isRegistered).toBe(false);
  expect(await codeOf(service.read("unwanted"))).toBe("SESSION_NOT_FOUND");
  const lane = JSON.parse((await service.startTurn(observer, { prompt: "lane" })).text) as string[];
  expect(lane).toContain("dispose:unwanted");
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
});

test("A4: aborted while a build that then fails", async () => {
  const service = await openHost({ agent: RECORDING, maxSessions: 1 });
  const abort = new AbortController();
  const create = service.createSession({ prompt: "x", build: { buildDelayMs: 50, buildThrows: "no" } }, { signal: abort.signal });
  abort.abort(why);
  await expect(create).rejects.toBe(why);
  await until("the place is free again", () => service.inspect().slots.allocated === 0);
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
});

test("A11: aborted during the turn, that turn is interrupted and its caller gets a typed error that says why", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const abort = new AbortController();
  const started = gate();
  const turn = service.startTurn(
    id,
    { prompt: script(["emit", 1], ["sleep", 60_000]), onEvent: () => started.open() },
    { signal: abort.signal },
  );
  await started.promise;
  abort.abort(why);
  expect(await errorOf(settled(turn))).toMatchObject({
    code: "AGENT_ERROR",
    agentError: { kind: "cancelled" },
    details: { reason: "signal" },
  });
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("ok");
});

test("A7: aborted during a create's first turn, the session stays", async () => {
  const service = await openHost();
  const abort = new AbortController();
  const started = gate();
  const create = service.createSession(
    { prompt: script(["emit", 1], ["sleep", 60_000]), onEvent: () => started.open() },
    { signal: abort.signal },
  );
  await started.promise;
  abort.abort(why);
  const error = await errorOf(settled(create));
  expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "cancelled" } });
  expect(await codeOf(service.startTurn(error.sessionId as string, { prompt: "x" }))).toBe("ok");
});

test("R6: a signal that aborts after its turn touches no later turn", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const abort = new AbortController();
  await service.startTurn(id, { prompt: "x" }, { signal: abort.signal });
  const next = service.startTurn(id, { prompt: script(["sleep", 50]) });
  abort.abort(why);
  expect(await codeOf(next)).toBe("ok");
});

test("R1: aborting a refused call does not interrupt the turn that runs", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: script(["sleep", 50]) });
  const abort = new AbortController();
  expect(await codeOf(service.startTurn(id, { prompt: "x" }, { signal: abort.signal }))).toBe("SESSION_BUSY");
  abort.abort(why);
  expect(await codeOf(turn)).toBe("ok");
});

test("R6: aborting from within onAdmitted cancels that turn", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const abort = new AbortController();
  const turn = service.startTurn(id, { prompt: script(["sleep", 500]) }, { signal: abort.signal, onAdmitted: () => abort.abort(why) });
  expect(await errorOf(turn)).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "cancelled" } });
});
