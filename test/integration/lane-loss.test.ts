/** A lane ends under its sessions: typed errors at once, everything freed, a new lane, and nobody else harmed. */
import { expect, test } from "vitest";

import type { SessionError } from "../../dist/src/index.js";

import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, hosts, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";

const openHost = hosts();
const exit = script(["sleep", 10], ["exit", 7]);

test("A8, G6: a lane that ends during a create's first turn ends it, typed, and nothing is listed", async () => {
  const service = await openHost({ maxSessions: 1 });
  const error = await errorOf(settled(service.createSession({ prompt: exit })));
  expect(error).toMatchObject({
    code: "AGENT_ERROR",
    disposition: "retry",
    agentError: { kind: "lane_lost" },
    details: { outcome: "not_committed", exitCode: 7 },
  });
  expect(await service.list()).toEqual([]);
  expect(await codeOf(service.read(error.sessionId as string))).toBe("SESSION_NOT_FOUND");
  // Capacity is back, and a new lane serves.
  expect(await codeOf(settled(service.createSession({ prompt: "x" })))).toBe("ok");
  expect(service.inspect()).toMatchObject({ lanesLost: 1, sessions: { live: 1 }, slots: { allocated: 1 }, turns: { running: 0 } });
});

test("G6, C5, R10: every turn of the lost lane gets its error; sessions of other lanes go on", async () => {
  const service = await openHost({ lanes: { count: 2 }, maxSessions: 8 });
  const ids: string[] = [];
  for (let i = 0; i < 8; i++) ids.push(await deferred(service)); // alternating lanes
  const turns = ids.slice(1).map((id) => service.startTurn(id, { prompt: script(["sleep", 400]) }));
  const crash = service.startTurn(ids[0] as string, { prompt: exit });
  const kinds = await settled(
    Promise.all(
      [crash, ...turns].map((turn) =>
        turn.then(
          () => "ok",
          (error: { agentError?: { kind: string } }) => error.agentError?.kind,
        ),
      ),
    ),
  );
  expect(kinds).toEqual(ids.map((_, i) => (i % 2 === 0 ? "lane_lost" : "ok")));
  expect((await service.list()).map(({ sessionId }) => ids.indexOf(sessionId))).toEqual([1, 3, 5, 7]);
  for (const id of ids.filter((_, i) => i % 2 === 0))
    expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
  const replacements = await settled(Promise.all(Array.from({ length: 4 }, () => codeOf(service.createSession({ prompt: "x" })))));
  expect(replacements).toEqual(["ok", "ok", "ok", "ok"]);
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("AGENT_ERROR"); // exactly the lost places came back
  expect(service.inspect()).toMatchObject({ lanesLost: 1, sessions: { live: 8 }, slots: { allocated: 8 } });
});

test("G6: a lane that ends while its sessions are idle takes them along; exports that wait are told", async () => {
  const service = await openHost();
  const [id, other] = [await deferred(service), await deferred(service)];
  const turn = service.startTurn(id, { prompt: script(["sleep", 30], ["exit", 1]) });
  const waiting = [codeOf(service.exportSession(id)), codeOf(service.applyRuntimeSystemContext(id, [{ text: "x" }]))];
  expect(await kindOf(settled(turn))).toBe("lane_lost");
  expect(await settled(Promise.all(waiting))).toEqual(["AGENT_ERROR", "AGENT_ERROR"]);
  expect(await codeOf(service.read(other))).toBe("SESSION_NOT_FOUND");
  expect(await codeOf(service.interrupt(other))).toBe("SESSION_NOT_FOUND");
});

test("G6: a lane that ends while nothing runs in it is replaced, and its sessions say that they are gone", async () => {
  const service = await openHost();
  const id = await deferred(service);
  // The turn that set the timer is over when it fires.
  await service.createSession({ prompt: script(["exitLater", 40, 1]) });
  const thread = service.inspect().lanes[0]?.threadId;
  await until("the sessions are gone", async () => (await service.list()).length === 0);
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
  await until("a new lane is up", () => service.inspect().lanes.some(({ threadId, state }) => state === "ready" && threadId !== thread));
  expect(service.inspect()).toMatchObject({ lanesLost: 1, slots: { allocated: 0 } });
});

test("G6, R10: calls made while a lane dies all settle, typed", async () => {
  const service = await openHost();
  const ids = await Promise.all(Array.from({ length: 5 }, () => deferred(service)));
  const crash = codeOf(service.startTurn(ids[0] as string, { prompt: script(["sleep", 30], ["exit", 1]) }));
  const calls: Promise<string>[] = [crash];
  for (const until = Date.now() + 250; Date.now() < until; await new Promise(setImmediate)) {
    for (const id of ids.slice(1)) calls.push(codeOf(service.startTurn(id, { prompt: "x" })), codeOf(service.exportSession(id)));
    if (calls.length % 5 === 0) calls.push(codeOf(service.createSession({ prompt: "x", initialTurn: "defer" })));
  }
  const codes = new Set(await settled(Promise.all(calls), "a call to the dying lane"));
  expect([...codes].filter((code) => !["ok", "AGENT_ERROR", "SESSION_BUSY", "SESSION_NOT_FOUND"].includes(code))).toEqual([]);
  expect(service.inspect()).toMatchObject({ lanesLost: 1, turns: { running: 0 }, sessions: { building: 0 } });
});

test("G6, A4: a lane that ends during a build fails that build, typed, and gives its place back", async () => {
  const service = await openHost({ agent: RECORDING, maxSessions: 2 });
  const [crash, neighbour] = [
    service.createSession({ prompt: "x", build: { buildDelayMs: 40, buildExits: true } }),
    service.createSession({ prompt: "x", build: { buildDelayMs: 5000 } }),
  ];
  expect(await settled(Promise.all([kindOf(crash), kindOf(neighbour)]))).toEqual(["lane_lost", "lane_lost"]);
  expect(service.inspect()).toMatchObject({ sessions: { live: 0, building: 0 }, slots: { allocated: 0 } });
  expect(
    await settled(Promise.all([codeOf(service.createSession({ prompt: "x" })), codeOf(service.createSession({ prompt: "x" }))])),
  ).toEqual(["ok", "ok"]);
});

test("G6: a lane that runs out of memory is lost like any other", async () => {
  const service = await openHost({ agent: SCRIPTED, lanes: { count: 1, resourceLimits: { maxOldGenerationSizeMb: 32 } } });
  const id = await deferred(service);
  const error = await errorOf(settled(service.startTurn(id, { prompt: script(["devour"]) })));
  expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "lane_lost", message: expect.stringMatching(/memory/i) } });
  expect(await codeOf(settled(service.createSession({ prompt: "x" })))).toBe("ok");
});

test("R5, G6: an archived session's running turn is told of its lane's loss, and its view stays", async () => {
  const service = await openHost({ maxSessions: 1 });
  const { sessionId: id } = await service.createSession({ prompt: "kept" });
  const turn = service.startTurn(id, { prompt: script(["sleep", 40], ["exit", 1]) });
  await service.archive(id);
  expect(await kindOf(settled(turn))).toBe("lane_lost");
  expect((await service.read(id)).state).toMatchObject({ isActive: false, messageCount: 2, lastAssistantText: "kept" });
  expect(await codeOf(settled(service.createSession({ prompt: "x" })))).toBe("ok");
});

test("G6: results that were sent ahead of the lane's end are delivered", async () => {
  const service = await openHost();
  const ids = await Promise.all(Array.from({ length: 30 }, () => deferred(service)));
  const last = ids.pop() as string;
  const turns = ids.map((id) => codeOf(service.startTurn(id, { prompt: script(["emit", 20]), onEvent: () => {} })));
  const crash = codeOf(service.startTurn(last, { prompt: script(["sleep", 60], ["exit", 0]) }));
  expect(await settled(Promise.all(turns))).toEqual(ids.map(() => "ok"));
  expect(await settled(crash)).toBe("AGENT_ERROR");
});

test("C5: what agents throw where nobody can catch it harms nobody, and is counted", async () => {
  const warnings: unknown[] = [];
  const logger = { info: () => {}, warn: (fields: object) => void warnings.push(fields), error: () => {} };
  const service = await openHost({ logger });
  const id = await deferred(service);
  expect((await service.startTurn(id, { prompt: script(["strayRejection"], ["strayException"], ["sleep", 30]) })).text).toBe("done");
  await until("both are counted", () => service.inspect().lanes[0]?.strayErrors === 2);
  expect(warnings).toHaveLength(2);
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("ok");
  expect(service.inspect().lanesLost).toBe(0);
});

test("G6: a host that loses lanes faster than it may start them says when to come again, and does not hang", async () => {
  const service = await openHost({ lanes: { count: 1, restartsMax: 3 } });
  let lost = 0;
  let refusal: SessionError | undefined;
  while (service.inspect().health === "ok") {
    const error = await errorOf(settled(service.createSession({ prompt: script(["exit", 1]) })));
    if (error.code === "AGENT_ERROR") {
      lost++;
      continue;
    }
    refusal = error;
    expect(refusal).toMatchObject({ code: "HOST_OVERLOADED", disposition: "retry", details: { reason: "no_lane" } });
    await sleep(Number(refusal.details?.["retryAfterMs"]));
  }
  expect(lost).toBe(4);
  expect(service.inspect()).toMatchObject({ lanes: [], lanesDown: [{ lane: 0, reason: "restart_budget" }] });
  expect((await errorOf(settled(service.createSession({ prompt: "x" })))).details?.["retryAfterMs"]).toBeGreaterThan(10_000);
  await settled(service.shutdown());
});

test("G6: the caller of a lost turn is answered at once, also while its onEvent is stuck", async () => {
  const service = await openHost({ consumerStallMs: 60_000 });
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: script(["emit", 3], ["sleep", 20], ["exit", 3]), onEvent: () => new Promise(() => {}) });
  expect(await kindOf(settled(turn))).toBe("lane_lost");
});
