/** What a host does when lanes start, stop and are lost, over lanes in this thread whose ends the test decides. */
import { afterEach, describe, expect, test, vi } from "vitest";

import { EphemeralSessionService } from "../../src/host/ephemeral-service.ts";
import { ticketWord } from "../../src/core/tickets.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import type { SessionAgentBuilder } from "../../src/protocol/agent.ts";
import type { SessionError } from "../../src/protocol/errors.ts";
import { REPORTS } from "../../src/protocol/frames.ts";
import type { HostEvent } from "../../src/protocol/host-events.ts";
import type { SessionServiceOptions } from "../../src/protocol/options.ts";
import type { CreateSessionRequest } from "../../src/protocol/requests.ts";
import type { FakeThread } from "./support/in-thread-lanes.ts";
import { agent, threads } from "./support/in-thread-lanes.ts";

vi.mock("../../src/host/lane-thread.ts", async () => ({ startLaneThread: (await import("./support/in-thread-lanes.ts")).startFakeThread }));

const open: EphemeralSessionService[] = [];
async function newHost(builder: SessionAgentBuilder, options?: Partial<SessionServiceOptions>): Promise<EphemeralSessionService> {
  agent.builder = builder;
  threads.length = 0;
  const service = await EphemeralSessionService.open({ agent: "in-thread", lanes: { count: 1 }, ...options });
  open.push(service);
  return service;
}
afterEach(async () => {
  vi.useRealTimers();
  agent.load = async () => ({ ok: true });
  await Promise.all(open.splice(0).map((service) => service.shutdown({ deadlineMs: 0 })));
});

const deferred = async (service: EphemeralSessionService, request: Partial<CreateSessionRequest> = {}): Promise<string> =>
  (await service.createSession({ prompt: "", initialTurn: "defer", ...request })).sessionId;
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
const kindOf = (error: unknown): unknown => {
  const { agentError, code } = error as { agentError?: { kind: string }; code?: string };
  return agentError?.kind ?? code;
};

const echo = defineAgent(({ prompt }) => prompt);
let entered = 0;
const forever = defineAgent(({ signal }) => {
  entered++;
  return new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve(""), { once: true }));
});

describe("reports that a lane cannot mean", () => {
  test("G4: a lane whose report cannot be taken is killed; every call settles, and the lane is replaced", async () => {
    const service = await newHost(forever, { lanes: { count: 1 } });
    const id = await deferred(service);
    entered = 0;
    let word = 0;
    const turn = service.startTurn(id, { prompt: "q" }, { onAdmitted: (ticket) => (word = ticketWord(ticket)) }).catch(kindOf);
    await until(() => entered === 1);
    const nonsense = [REPORTS.DELTAS.op, 0, 1, 0, 1, 1, 7];
    for (let generation = 0; generation < 5; generation++) {
      nonsense[2] = generation;
      nonsense[3] = word;
      threads[0]?.post([...nonsense]);
    }
    expect(await turn).toBe("lane_lost");
    expect(threads[0]?.told).toBe("kill");
    await until(() => service.inspect().lanes.some(({ state }) => state === "ready"));
    expect(service.inspect()).toMatchObject({ lanesLost: 1, turns: { running: 0 }, slots: { allocated: 0 } });
    expect(typeof (await deferred(service))).toBe("string");
  });
});

describe("machines: lane", () => {
  test("N1: a host whose lanes were told to stop takes no new session", async () => {
    const service = await newHost(echo);
    const stopped = service.shutdown({ deadlineMs: 0 });
    await expect(deferred(service)).rejects.toMatchObject({ code: "HOST_CLOSED" });
    await stopped;
    expect(threads.map(({ told }) => told)).toEqual(["stop"]);
  });

  test("N2: nothing is settled or freed while the end of the thread is not certain", async () => {
    const service = await newHost(forever);
    const id = await deferred(service);
    entered = 0;
    const outcome = service.startTurn(id, { prompt: "q" }).catch(kindOf);
    await until(() => entered === 1);
    await threads[0]?.closePort();
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(service.inspect()).toMatchObject({
      turns: { running: 1 },
      sessions: { live: 1 },
      slots: { allocated: 1 },
      lanes: [{ state: "ready" }],
    });
    await threads[0]?.crash();
    expect(await outcome).toBe("lane_lost");
    expect(service.inspect()).toMatchObject({ turns: { running: 0 }, sessions: { live: 0 }, slots: { allocated: 0 }, lanesLost: 1 });
  });
});

describe("lane-pool", () => {
  test("P1: a shared lane that was lost is replaced under its number, and new sessions find a home", async () => {
    const service = await newHost(echo);
    const id = await deferred(service);
    await threads[0]?.crash();
    await until(() => service.inspect().lanes.length === 1);
    expect([threads.length, service.inspect().lanes[0]?.lane]).toEqual([2, 0]);
    await expect(service.read(id)).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
    expect(await service.createSession({ prompt: "here" })).toMatchObject({ text: "here" });
  });

  test("P1: lost again it waits for its back-off; sessions go elsewhere, and when no lane is up they are told when to come again", async () => {
    const service = await newHost(echo, { lanes: { count: 2 } });
    await threads[0]?.crash();
    await until(() => threads.length === 3);
    await threads[2]?.crash();
    expect(service.inspect()).toMatchObject({ health: "ok", lanesDown: [{ lane: 0, reason: "back_off" }], lanes: [{ lane: 1 }] });
    await deferred(service);
    expect(service.inspect().lanes).toMatchObject([{ lane: 1, sessions: 1 }]);
    await threads[1]?.crash();
    await until(() => threads.length === 4);
    await threads[3]?.crash();
    const refusal = await deferred(service).then(
      () => expect.unreachable(),
      (error: unknown) => error as SessionError,
    );
    expect(refusal).toMatchObject({ code: "HOST_OVERLOADED", disposition: "retry", details: { reason: "no_lane" } });
    expect(refusal.details?.["retryAfterMs"]).toBeLessThanOrEqual(100);
    await until(() => service.inspect().lanesDown.length === 0);
    expect(await service.createSession({ prompt: "again" })).toMatchObject({ text: "again" });
    const { lane_restarting: restarting, lane_refused: refused, lane_restarted: restarted } = service.inspect().events;
    expect([restarting, refused, restarted]).toEqual([4, 0, 4]);
  });

  test("P1: a lane that used up its budget stays down and the host says that it is degraded; then it is started again", async () => {
    const service = await newHost(echo, { lanes: { count: 1, restartsMax: 1, restartWindowMs: 300 } });
    await threads[0]?.crash();
    await until(() => threads.length === 2);
    await threads[1]?.crash();
    expect(service.inspect()).toMatchObject({ health: "degraded", lanes: [], lanesDown: [{ lane: 0, reason: "restart_budget" }] });
    await expect(deferred(service)).rejects.toMatchObject({ code: "HOST_OVERLOADED", details: { reason: "no_lane" } });
    expect(threads).toHaveLength(2);
    await until(() => threads.length === 3);
    expect(service.inspect()).toMatchObject({ health: "ok", lanesDown: [], events: { lane_refused: 1 } });
    expect(await service.createSession({ prompt: "again" })).toMatchObject({ text: "again" });
  });

  test("P1: with a budget of none it is never started again, and a shutdown waits for nothing", async () => {
    const service = await newHost(echo, { lanes: { count: 1, restartsMax: 0 } });
    await threads[0]?.crash();
    expect(service.inspect()).toMatchObject({ health: "degraded", lanesDown: [{ lane: 0, reason: "restart_budget" }] });
    expect(service.inspect().lanesDown[0]).not.toHaveProperty("startsInMs");
    await expect(deferred(service)).rejects.toMatchObject({ details: { reason: "no_lane" } });
    await service.shutdown({ deadlineMs: 0 });
    expect(threads).toHaveLength(1);
  });

  test("P1: a lane whose restart is due is not started after shutdown", async () => {
    const service = await newHost(echo);
    await threads[0]?.crash();
    await until(() => threads.length === 2);
    await threads[1]?.crash();
    expect(service.inspect().lanesDown).toHaveLength(1);
    await service.shutdown({ deadlineMs: 0 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect([threads.length, service.inspect().lanesDown]).toEqual([2, []]);
  });

  test("P1: a lane that ended because it was told to is not replaced", async () => {
    const service = await newHost(echo);
    await service.shutdown({ deadlineMs: 0 });
    expect(threads.map(({ told }) => told)).toEqual(["stop"]);
  });

  test("P2: a dedicated lane lives for one session and ends with it", async () => {
    const service = await newHost(echo);
    const id = await deferred(service, { isolation: "dedicated" });
    await deferred(service);
    expect(service.inspect().lanes).toMatchObject([
      { lane: 0, kind: "shared", sessions: 1 },
      { lane: 1, kind: "dedicated", sessions: 1 },
    ]);
    await service.discardLiveSession(id);
    await until(() => service.inspect().lanes.length === 1);
    expect([threads[1]?.told, service.inspect().lanesLost]).toEqual(["stop", 0]);
  });

  test("P2: a dedicated lane that was lost is not replaced; of too many the next is refused and holds nothing", async () => {
    const service = await newHost(echo, { lanes: { count: 1, dedicatedMax: 1 }, maxSessions: 2 });
    await deferred(service, { isolation: "dedicated" });
    await expect(deferred(service, { isolation: "dedicated" })).rejects.toMatchObject({ code: "HOST_OVERLOADED" });
    await threads[1]?.crash();
    await until(() => service.inspect().lanes.length === 1);
    await Promise.all([deferred(service, { isolation: "dedicated" }), deferred(service)]);
  });
});

describe("lane-pool: loading the agents", () => {
  const never = (): Promise<never> => new Promise(() => {});
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const tooLate = "its agents cannot be used: not loaded within 60000 ms";

  test("P3: sessions go to lanes that have loaded their agents; to one that has not when there is no other", async () => {
    const service = await newHost(echo, { lanes: { count: 2 } });
    agent.load = never;
    await threads[0]?.crash();
    await until(() => threads.length === 3);
    for (let i = 0; i < 4; i++) await deferred(service);
    expect(service.inspect().lanes).toMatchObject([
      { lane: 1, state: "ready", sessions: 4 },
      { lane: 0, state: "starting", sessions: 0 },
    ]);
    await threads[1]?.crash();
    await until(() => threads.length === 4);
    await deferred(service);
    expect(service.inspect().lanes).toMatchObject([
      { lane: 0, state: "starting", sessions: 1 },
      { lane: 1, state: "starting", sessions: 0 },
    ]);
  });

  test("P3: a lane that does not load its agents in time is killed, lost, and started again after its back-off", async () => {
    const events: HostEvent[] = [];
    const service = await newHost(forever, { onHostEvent: (event) => events.push(event) });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    agent.load = never;
    await threads[0]?.crash();
    await until(() => threads.length === 2);
    const create = service.createSession({ prompt: "" }).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(59_000);
    await nextTurn();
    expect(threads[1]?.told).toBeUndefined();
    await vi.advanceTimersByTimeAsync(2000);
    await until(() => threads[1]?.told === "kill");
    expect(await create).toMatchObject({ agentError: { kind: "lane_lost" }, details: { killedBecause: tooLate } });
    expect(events.find(({ type }) => type === "lane_killed")).toMatchObject({ lane: 0, details: { reason: tooLate } });
    expect(service.inspect()).toMatchObject({ lanesLost: 2, lanes: [], lanesDown: [{ lane: 0, reason: "back_off" }] });
    agent.load = async () => ({ ok: true });
    await vi.advanceTimersByTimeAsync(100);
    await until(() => service.inspect().lanes.some(({ state }) => state === "ready"));
    expect(service.inspect().events).toMatchObject({ lane_restarting: 2, lane_restarted: 1 });
  });

  test("P3: so is a dedicated one, with its session's build; of one that fails to load the reason is told", async () => {
    const service = await newHost(forever);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    agent.load = never;
    const create = service.createSession({ prompt: "", isolation: "dedicated" }).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(61_000);
    await until(() => threads[1]?.told === "kill");
    expect(await create).toMatchObject({ agentError: { kind: "lane_lost" }, details: { killedBecause: tooLate } });
    agent.load = async () => ({ ok: false, agent: "default", module: "m", reason: "not today" });
    const second = await service.createSession({ prompt: "", isolation: "dedicated" }).catch((error: unknown) => error);
    expect(second).toMatchObject({ agentError: { kind: "lane_lost" }, details: { killedBecause: expect.stringContaining("not today") } });
    expect(service.inspect()).toMatchObject({ sessions: { live: 0, building: 0 }, slots: { allocated: 0 } });
  });

  test("P3: a host whose agents do not load in time does not open", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    agent.load = never;
    const opening = newHost(echo, { buildTimeoutMs: 0 }).catch((error: unknown) => error); // a thread must start, too
    await until(() => threads.length === 1);
    await vi.advanceTimersByTimeAsync(9900);
    await nextTurn();
    expect(threads[0]?.told).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1000);
    expect(await opening).toMatchObject({
      code: "INVALID_PARAMS",
      message: expect.stringContaining("not loaded within 10000 ms"),
      details: { field: "options.agent" },
    });
    expect(threads[0]?.told).toBe("stop");
  });
});

describe("session-host", () => {
  test("G2: when a lane ends, what it owed is settled, turns, builds, queries and streams, and it is replaced", async () => {
    let isSlow = false;
    const service = await newHost({
      buildAgent: (request, context) => (isSlow ? new Promise(() => {}) : forever.buildAgent(request, context)),
    });
    const id = await deferred(service);
    const stream = service.subscribeSessionEvents(id);
    entered = 0;
    const owed = [service.startTurn(id, { prompt: "q" }), service.exportSession(id)];
    isSlow = true;
    owed.push(service.createSession({ prompt: "" }));
    const outcomes = owed.map((promise) => promise.then(() => "settled well", kindOf));
    await until(() => entered === 1);
    await threads[0]?.crash();
    expect(await Promise.all(outcomes)).toEqual(["lane_lost", "lane_lost", "lane_lost"]);
    expect(stream.closed).toBe(true);
    expect([service.inspect().slots.allocated, threads.length]).toEqual([0, 2]);
  });

  test("G2: the thread of a lane's successor is started ahead of all that, which the successor is given nothing of", async () => {
    let owed: number | undefined;
    const service = await newHost(forever, {
      onHostEvent: ({ type }) => {
        if (type === "lane_restarting") owed = service.inspect().slots.allocated;
      },
    });
    const id = await deferred(service);
    entered = 0;
    const outcome = service.startTurn(id, { prompt: "q" }).catch(kindOf);
    await until(() => entered === 1);
    await threads[0]?.crash();
    expect([owed, threads.length, service.inspect().slots.allocated]).toEqual([1, 2, 0]);
    expect([await outcome, entered]).toEqual(["lane_lost", 1]);
  });

  test("G1: reading, listing and interrupting do not wait for a lane that says nothing", async () => {
    const service = await newHost(forever);
    const id = await deferred(service);
    const outcome = service.startTurn(id, { prompt: "q" }).catch(kindOf);
    // Only microtasks run between here and the interrupt: the lane has had no chance to do anything.
    expect((await service.read(id)).state.isActive).toBe(true);
    expect(await service.list()).toHaveLength(1);
    await service.interrupt(id);
    expect(service.inspect().turns).toMatchObject({ running: 1, settled: 0 });
    expect(await outcome).toBe("cancelled");
  });
});

describe("remote-handles", () => {
  const offering: SessionAgentBuilder = {
    buildAgent: async (request, context) =>
      Object.assign(await echo.buildAgent(request, context), {
        eventInjector: () => ({ inject: (body: string) => (body === "full" ? ("full" as const) : ("ok" as const)) }),
        commsRuntime: () => ({ send: () => new Promise<never>(() => {}) }),
      }),
  };

  test("H1: a call settles by the agent's answer", async () => {
    const service = await newHost(offering);
    const injector = await service.eventInjector(await deferred(service));
    expect([await injector?.inject("x", "rpc"), await injector?.inject("full", "rpc")]).toEqual(["ok", "full"]);
  });

  test("H1, H2: when the session leaves, a call that waits and every later one are told", async () => {
    const service = await newHost(offering);
    const id = await deferred(service);
    const comms = await service.commsRuntime(id);
    const waiting = comms?.send({ kind: "input" }).catch(kindOf);
    await service.discardLiveSession(id);
    expect(await waiting).toBe("SESSION_NOT_FOUND");
    expect(await comms?.send({ kind: "input" }).catch(kindOf)).toBe("SESSION_NOT_FOUND");
  });

  test("H3: a session has one handle of a kind, however often it is asked for, and another when that could not be opened", async () => {
    const service = await newHost(offering);
    const id = await deferred(service);
    const { control } = threads[0] as FakeThread;
    const openHandle = vi.spyOn(control, "openHandle");
    openHandle.mockResolvedValueOnce(false);
    expect(await Promise.all([service.eventInjector(id), service.eventInjector(id)])).toEqual([undefined, undefined]);
    openHandle.mockRejectedValueOnce(new Error("no"));
    expect(await service.eventInjector(id)).toBeUndefined();
    const injectors = await Promise.all(Array.from({ length: 1000 }, () => service.eventInjector(id)));
    expect(await service.commsRuntime(id)).toBeDefined();
    expect(openHandle).toHaveBeenCalledTimes(4);
    expect(new Set(await Promise.all(injectors.map(async (injector) => injector?.inject("x", "rpc"))))).toEqual(new Set(["ok"]));
    await service.discardLiveSession(id);
    await until(() => service.inspect().slots.allocated === 0);
    expect(await injectors[999]?.inject("x", "rpc").catch(kindOf)).toBe("SESSION_NOT_FOUND");
  });

  test("H1: a handle that the agent does not offer, or of a session that is not there, is none", async () => {
    const service = await newHost(offering);
    expect(await service.interactionEventInjector(await deferred(service))).toBeUndefined();
    expect(await service.eventInjector("nobody")).toBeUndefined();
  });
});
