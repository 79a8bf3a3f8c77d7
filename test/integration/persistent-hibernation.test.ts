/** Sessions that sleep and wake: by request, for room, and when they have been idle; and turns that come while they do. */
import { expect, test } from "vitest";

import type { SessionError } from "../../dist/src/index.js";
import { RECORDING, codeOf, deferred, errorOf, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, counting } = persistentHosts();
const SLOW = new URL("../fixtures/slow-setup.mjs", import.meta.url);
const liveOf = (service: { inspect(): { sessions: { live: number } } }): number => service.inspect().sessions.live;

test("a session that sleeps holds nothing, and wakes as it was", async () => {
  const service = await open();
  const { sessionId: id } = await service.createSession({ prompt: "1", labels: { kind: "test" } });
  const before = await service.read(id);
  await service.hibernate(id);
  expect(service.inspect()).toMatchObject({ sessions: { live: 0 }, slots: { allocated: 0 }, store: { hibernated: 1 } });
  expect(await service.read(id)).toEqual(before);
  await service.hibernate(id); // sleeps already
  expect((await service.startTurn(id, { prompt: "2" })).text).toBe("2");
  expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("1", "2"));
  expect(await service.read(id)).toMatchObject({ state: { labels: { kind: "test" }, createdAt: before.state.createdAt } });
});

test("R1: of turns that come to a sleeping session at once exactly one is admitted, and one session is live", async () => {
  const service = await open({ lanes: { count: 2 } });
  for (let round = 0; round < 5; round++) {
    const id = await deferred(service);
    await service.hibernate(id);
    const codes = await settled(Promise.all(Array.from({ length: 20 }, () => codeOf(service.startTurn(id, { prompt: "x" })))));
    expect(codes.toSorted()).toEqual([...Array.from({ length: 19 }, () => "SESSION_BUSY"), "ok"]);
    expect(liveOf(service)).toBe(round + 1);
    expect((await service.read(id)).state.messageCount).toBe(2);
  }
});

test("R1: a turn during the nap waits for its end, a second one is busy", async () => {
  const { store, order, calls } = counting();
  const service = await open({ store, agent: RECORDING });
  const { sessionId: id } = await service.createSession({ prompt: "1" });
  await sleep(2); // the recording agent's session is as new as its clock says
  order({ hold: ["append", "rewrite"] });
  const nap = service.hibernate(id);
  await until("it is being saved", () => calls(id).filter((call) => call === "append").length === 2);
  const codes = [service.startTurn(id, { prompt: "2" }), service.startTurn(id, { prompt: "3" })].map(codeOf);
  expect(await codes[1]).toBe("SESSION_BUSY");
  order({});
  await settled(nap);
  expect(await settled(codes[0] as Promise<string>)).toBe("ok");
  expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("1", "2"));
});

test("R6: a turn that waits for its session can be interrupted, timed out and aborted; it never reaches the agent", async () => {
  const service = await open({ agent: SLOW });
  const { sessionId: id } = await service.createSession({ prompt: "1", build: { setupMs: 60 } });
  const endings: [string, (ticket: Promise<number>) => Promise<unknown>, object, AbortController?][] = [];
  const controller = new AbortController();
  endings.push(
    ["interrupt", () => service.interrupt(id), {}],
    ["interrupt", async (ticket) => expect(await service.interruptTurn(id, await ticket)).toBe(true), {}],
    ["timeout", async () => {}, { timeoutMs: 10 }],
    ["signal", async () => controller.abort(), {}, controller],
  );
  for (const [reason, end, request, aborter] of endings) {
    await service.hibernate(id);
    let onAdmitted!: (ticket: number) => void;
    const ticket = new Promise<number>((resolve) => (onAdmitted = resolve));
    const turn = service.startTurn(id, { prompt: "never", ...request }, { onAdmitted, ...(aborter && { signal: aborter.signal }) });
    const ending = errorOf(turn);
    if (reason !== "timeout") expect((await service.read(id)).state.isActive).toBe(true);
    const [error] = await settled(Promise.all([ending, end(ticket)]));
    expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "cancelled" }, details: { reason } });
    expect(await codeOf(service.interrupt(id))).toBe("SESSION_NOT_RUNNING");
    expect((await service.startTurn(id, { prompt: "next" })).text).toBe("next");
  }
  expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("1", "next", "next", "next", "next"));
});

test("at capacity the session used least recently sleeps first", async () => {
  const service = await open({ maxSessions: 3 });
  const ids = [await deferred(service), await deferred(service), await deferred(service)] as const;
  await service.startTurn(ids[0], { prompt: "used" });
  const fourth = await deferred(service);
  const isLive = async (id: string): Promise<boolean> =>
    await service.discardLiveSession(id).then(
      () => true,
      () => false,
    );
  expect(liveOf(service)).toBe(3);
  expect(await isLive(ids[1])).toBe(false);
  for (const id of [ids[0], ids[2], fourth]) expect(await isLive(id)).toBe(true);
});

test("at capacity sessions that run, are in host mode, or have open handles are passed over; with none left it is said", async () => {
  const service = await open({ agent: RECORDING, maxSessions: 3 });
  const handled = await deferred(service, { build: { handles: ["eventInjector"] } });
  const injector = await service.eventInjector(handled);
  expect(injector === undefined).toBe(false);
  await service.createSession({ prompt: "x", hostMode: true });
  const running = await deferred(service);
  const turn = service.startTurn(running, { prompt: script(["sleep", 10_000]) });
  for (const id of [handled, running]) expect(await codeOf(service.hibernate(id))).toBe("SESSION_BUSY");
  const refusal: SessionError = await errorOf(settled(deferred(service)));
  expect(refusal).toMatchObject({ code: "AGENT_ERROR", disposition: "retry", details: { reason: "capacity", live: 3, max: 3 } });
  expect(refusal.message).toContain("Max sessions reached (3/3)");
  await service.interrupt(running);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  await deferred(service);
  expect(liveOf(service)).toBe(3);
  expect(await injector?.inject("x", "rpc")).toBe("ok");
});

test("many sessions take turns in a host with room for few; nothing is lost, capacity holds", async () => {
  const service = await open({ lanes: { count: 2 }, maxSessions: 6 });
  const ids: string[] = [];
  for (let i = 0; i < 30; i++) ids.push(await deferred(service));
  const rounds = [1, 2, 3];
  await settled(
    Promise.all(
      [0, 1, 2, 3].map(async (user) => {
        for (const round of rounds) {
          for (const id of ids.filter((_, i) => i % 4 === user)) {
            await service.startTurn(id, { prompt: `${round}` });
            expect(liveOf(service)).toBeLessThanOrEqual(6);
          }
        }
      }),
    ),
  );
  for (const id of ids) expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("1", "2", "3"));
});

test("sessions that are idle for hibernateAfterMs sleep by themselves", async () => {
  const service = await open({ hibernateAfterMs: 50 });
  const ids = await Promise.all(Array.from({ length: 20 }, () => deferred(service)));
  const turn = service.startTurn(ids[0] as string, { prompt: script(["sleep", 10_000]) });
  await until("the idle ones sleep", () => liveOf(service) === 1);
  expect((await service.read(ids[0] as string)).state.isActive).toBe(true);
  await service.interrupt(ids[0] as string);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  await until("it sleeps too", () => liveOf(service) === 0);
});

test("a nap with many questions open to its agent is refused, and the session goes on", async () => {
  const service = await open();
  const id = await deferred(service);
  const asked = Promise.all(Array.from({ length: 1024 }, () => service.exportSession(id)));
  expect(await codeOf(settled(service.hibernate(id)))).toBe("SESSION_BUSY");
  await asked;
  expect(await codeOf(settled(service.startTurn(id, { prompt: "x" })))).toBe("ok");
  await settled(service.hibernate(id));
});

test("D3: a session that cannot be saved as it falls asleep says so, and wakes as it was last saved", async () => {
  const { store, order } = counting();
  const service = await open({ store, agent: RECORDING });
  const { sessionId: id } = await service.createSession({ prompt: "1" });
  await sleep(2);
  order({ fail: ["append", "rewrite"] });
  expect(await codeOf(settled(service.hibernate(id)))).toBe("SESSION_STORE_ERROR");
  order({});
  await service.startTurn(id, { prompt: "2" });
  expect(contents((await service.exportSession(id)).messages)).toEqual(echoed("1", "2"));
});

test("D3: a wake-up that the store refuses is SESSION_STORE_ERROR for its caller, its stream too, and can be tried again", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "1" });
  await service.hibernate(id);
  // What main remembers of the session lets it open at once; after that has failed the store is asked.
  for (const call of ["open", "head"]) {
    order({ fail: [call] });
    const stream = service.streamTurn(id, { prompt: "2" });
    const read = (async () => {
      for await (const event of stream) void event;
    })();
    expect(await settled(Promise.all([codeOf(read), codeOf(stream.result)]))).toEqual(["SESSION_STORE_ERROR", "SESSION_STORE_ERROR"]);
    order({});
  }
  expect((await service.startTurn(id, { prompt: "3" })).text).toBe("3");
  expect(liveOf(service)).toBe(1);
});

test("D3: a session that slept not long ago wakes without a question to the store before it is opened", async () => {
  const { store, calls } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "1", labels: { a: "b" } });
  await service.hibernate(id);
  const before = calls(id).length;
  await service.startTurn(id, { prompt: "2" });
  expect(calls(id).slice(before)).toEqual(["open", "append"]);
  expect((await service.read(id)).state).toMatchObject({ labels: { a: "b" }, messageCount: 4 });
});

test("P2: when the store's thread ends, every call says so, nothing hangs, and the host shuts down", async () => {
  const { store, order } = counting();
  const service = await open({ store });
  const [a, b, c] = [await deferred(service), await deferred(service), await deferred(service)];
  await service.hibernate(c);
  const running = service.startTurn(b, { prompt: script(["sleep", 200]) });
  order({ exit: ["append"] });
  expect(await codeOf(settled(service.startTurn(a, { prompt: "x" })))).toBe("SESSION_STORE_ERROR");
  expect(await codeOf(settled(running))).toBe("SESSION_STORE_ERROR");
  const calls: (() => Promise<unknown>)[] = [
    () => service.startTurn(c, { prompt: "x" }),
    () => service.read(c),
    () => service.list(),
    () => deferred(service),
    () => service.archive(c),
  ];
  for (const call of calls) expect(await codeOf(settled(call()))).toBe("SESSION_STORE_ERROR");
  expect(service.inspect()).toMatchObject({ store: { state: "closed" } });
  await settled(service.shutdown());
});
