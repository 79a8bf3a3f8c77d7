/** Shutdown: admission closes, running turns finish or are interrupted at the deadline, threads end. */
import { expect, test } from "vitest";

import { EphemeralSessionService } from "../../dist/src/index.js";
import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, gate, hosts, script, settled, sleep, until } from "../helpers/hosts.ts";

const openHost = hosts();

test("A40, R11: running turns finish, their callers get results, then everything is gone", async () => {
  const service = await openHost({ lanes: { count: 2 } });
  const ids = [await deferred(service), await deferred(service), await deferred(service)];
  const turns = ids.map((id, i) => service.startTurn(id, { prompt: script(["sleep", 30 * (i + 1)], ["say", `${i}`]) }));
  const { sessionId: archived } = await service.createSession({ prompt: "x" });
  await service.archive(archived);
  const shutdown = service.shutdown();
  expect(service.inspect().state).toBe("closing");
  expect((await settled(Promise.all(turns))).map(({ text }) => text)).toEqual(["0", "1", "2"]);
  await settled(shutdown);
  expect(await service.list()).toEqual([]);
  expect(service.inspect()).toMatchObject({
    state: "closed",
    sessions: { live: 0, building: 0 },
    turns: { running: 0 },
    slots: { allocated: 0 },
    lanesLost: 0,
  });
  expect((await service.read(archived)).state.messageCount).toBe(2);
});

test("A40: from the call on nothing is admitted", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const running = service.startTurn(id, { prompt: script(["sleep", 60]) });
  const shutdown = service.shutdown();
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("HOST_CLOSED");
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("HOST_CLOSED");
  expect(await codeOf(service.streamTurn(id, { prompt: "x" }).result)).toBe("HOST_CLOSED");
  expect(await codeOf(service.waitSessionRegistered())).toBe("HOST_CLOSED");
  // What runs can still be seen and stopped.
  expect((await service.read(id)).state.isActive).toBe(true);
  await service.interrupt(id);
  expect(await codeOf(running)).toBe("AGENT_ERROR");
  await settled(shutdown);
  for (const call of [service.startTurn(id, { prompt: "x" }), service.createSession({ prompt: "x" })])
    expect(await codeOf(call)).toBe("HOST_CLOSED");
});

test("A40: while it closes what needs an agent is refused, and what sees or stops is not", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const running = codeOf(service.startTurn(id, { prompt: script(["sleep", 60_000]) }));
  const shutdown = service.shutdown({ deadlineMs: 20_000 });
  const refused = [
    service.exportSession(id),
    service.readHistory(id),
    service.applyRuntimeSystemContext(id, [{ text: "x" }]),
    service.appendSystemContext(id, { text: "x" }),
    service.eventInjector(id),
    service.interactionEventInjector(id),
    service.commsRuntime(id),
  ];
  for (const call of refused) expect(await codeOf(call)).toBe("HOST_CLOSED");
  expect(await errorOf(() => service.subscribeSessionEvents(id))).toMatchObject({ code: "HOST_CLOSED" });
  expect(await service.list()).toHaveLength(1);
  expect(await service.systemContextState(id)).toEqual({ pending: [], seen: {} });
  await service.cancelAfterBoundary(id);
  await service.interrupt(id);
  expect(await running).toBe("AGENT_ERROR");
  await settled(shutdown);
  expect(await codeOf(service.exportSession(id))).toBe("HOST_CLOSED");
});

test("A40: a lane that is blocked by nobody's turn does not keep the host from closing", async () => {
  const service = await openHost({ interruptGraceMs: 60_000 });
  const id = await deferred(service);
  await service.startTurn(id, { prompt: script(["spinAfter", 20, 120_000]) });
  await until("the lane stands still", () => service.inspect().lanes.some(({ heartbeatAgeMs = 0 }) => heartbeatAgeMs > 300));
  await settled(service.shutdown());
  expect(service.inspect()).toMatchObject({ state: "closed", sessions: { live: 0 }, slots: { allocated: 0 } });
});

test("A40: what still runs at the deadline is interrupted, and says why", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: script(["sleep", 60_000]) });
  const error = errorOf(turn);
  await settled(service.shutdown({ deadlineMs: 50 }));
  expect(await error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "cancelled" }, details: { reason: "shutdown" } });
});

test.each([
  ["hangs", ["hang"]],
  ["spins without looking", ["spinBlind", 120_000]],
] as [string, Parameters<typeof script>[0]][])("A40, A14: an agent that %s does not keep the host from closing", async (_, step) => {
  const service = await openHost({ interruptGraceMs: 100 });
  const id = await deferred(service);
  const turn = codeOf(service.startTurn(id, { prompt: script(["sleepThrough", 1], step) }));
  await settled(service.shutdown({ deadlineMs: 0 }));
  expect(["AGENT_ERROR", "HOST_CLOSED"]).toContain(await settled(turn));
  expect(service.inspect()).toMatchObject({ state: "closed", turns: { running: 0 }, sessions: { live: 0 } });
});

test("A40: a consumer that is stuck does not keep the host from closing", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const stuck = gate();
  const turn = codeOf(
    service.startTurn(id, {
      prompt: script(["emit", 1000]),
      onEvent: () => {
        stuck.open();
        return new Promise<void>(() => {});
      },
    }),
  );
  await stuck.promise;
  await settled(service.shutdown({ deadlineMs: 50 }));
  expect(await settled(turn)).toBe("AGENT_ERROR");
});

test("A40: a second call is the first, whatever its deadline, also when both are at once", async () => {
  const service = await openHost();
  const id = await deferred(service);
  const turn = codeOf(service.startTurn(id, { prompt: script(["sleep", 60]) }));
  const first = service.shutdown();
  expect(service.shutdown({ deadlineMs: 0 })).toBe(first);
  expect(await codeOf(service.shutdown({ deadlineMs: -1 }))).toBe("INVALID_PARAMS");
  await settled(first);
  expect(await turn).toBe("ok");
  await settled(service.shutdown());
});

test("A40, B15, R11: what was queued before the shutdown is answered", async () => {
  for (let round = 0; round < 10; round++) {
    const service = await EphemeralSessionService.open({ agent: SCRIPTED, lanes: { count: 1 } });
    const { sessionId: id } = await service.createSession({ prompt: "x" });
    const queued = [
      codeOf(service.exportSession(id)),
      codeOf(service.readHistory(id)),
      codeOf(service.applyRuntimeSystemContext(id, [{ text: "x" }])),
    ];
    await settled(service.shutdown());
    expect(await settled(Promise.all(queued))).toEqual(["ok", "ok", "ok"]);
  }
});

test("A40: creates that are being built are told", async () => {
  const service = await openHost({ agent: RECORDING });
  const creates = [10, 2000].map((buildDelayMs) => codeOf(service.createSession({ prompt: "x", build: { buildDelayMs } })));
  await settled(service.shutdown());
  expect(await settled(Promise.all(creates))).toEqual(["HOST_CLOSED", "HOST_CLOSED"]);
  expect(service.inspect()).toMatchObject({ sessions: { live: 0, building: 0 }, slots: { allocated: 0 } });
});

test("A40: a build that ends while turns drain is refused at once, and the turns go on", async () => {
  const service = await openHost({ agent: RECORDING });
  const turn = service.createSession({ prompt: script(["sleep", 1000]) });
  await service.waitSessionRegistered();
  const create = codeOf(service.createSession({ prompt: script(["sleep", 10_000]), build: { buildDelayMs: 200 } }));
  await sleep(50);
  const closing = service.shutdown({ deadlineMs: 20_000 });
  expect(await settled(create)).toBe("HOST_CLOSED");
  expect(await settled(codeOf(turn))).toBe("ok");
  await settled(closing);
});

test("A40: a build that never ends does not keep the host from closing", async () => {
  const service = await openHost({ agent: RECORDING });
  const create = codeOf(service.createSession({ prompt: "x", build: { buildHangs: true } }));
  await settled(service.shutdown());
  expect(await settled(create)).toBe("HOST_CLOSED");
});

test("A40: agents whose dispose fails, and an idle host, close all the same", async () => {
  const service = await openHost({ agent: RECORDING });
  await deferred(service, { build: { disposeThrows: true } });
  await settled(service.shutdown());
  const idle = await openHost();
  await settled(idle.shutdown());
  expect([service.inspect().lanesLost, idle.inspect().lanesLost]).toEqual([0, 0]);
});

test("A40: `await using` closes", async () => {
  let service: EphemeralSessionService;
  {
    await using host = await openHost();
    service = host;
    await host.createSession({ prompt: "x" });
  }
  expect(service.inspect().state).toBe("closed");
});

test("A40, G6: a lane that is lost while the host closes is not replaced", async () => {
  const service = await openHost({ lanes: { count: 2 } });
  const ids = [await deferred(service), await deferred(service)];
  const turns = [
    service.startTurn(ids[0] as string, { prompt: script(["sleep", 30], ["exit", 1]) }),
    service.startTurn(ids[1] as string, { prompt: script(["sleep", 200]) }),
  ];
  const codes = Promise.all(turns.map(codeOf));
  await settled(service.shutdown());
  expect(await codes).toEqual(["AGENT_ERROR", "ok"]);
  expect(service.inspect().lanes.filter(({ state }) => state === "ready" || state === "starting")).toEqual([]);
});
