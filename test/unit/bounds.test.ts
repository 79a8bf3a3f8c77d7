/** Every queue on main that callers fill has a bound: each is filled here, refuses one more, and serves on when it is empty again. */
import { afterEach, describe, expect, test, vi } from "vitest";

import { CONTEXT_KEYS_MAX, SystemContextLedger } from "../../src/core/system-context.ts";
import { Bound } from "../../src/host/bound.ts";
import { EphemeralSessionService } from "../../src/host/ephemeral-service.ts";
import { CALLS_MAX } from "../../src/host/remote-handles.ts";
import { SUBSCRIBERS_MAX, SessionChannel } from "../../src/host/session-channel.ts";
import { ASLEEP_MAX, SessionChannels } from "../../src/host/session-channels.ts";
import { WAITERS_MAX } from "../../src/host/registration-waiters.ts";
import { READS_MAX } from "../../src/host/session-event-stream.ts";
import { StagedContexts } from "../../src/host/staged-contexts.ts";
import { STORE_CALLS_MAX, StoredSessions } from "../../src/host/stored-sessions.ts";
import { TurnEventReader } from "../../src/host/turn-stream.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import type { SessionAgentBuilder } from "../../src/protocol/agent.ts";
import { REPORTS } from "../../src/protocol/frames.ts";
import type { RemoteCommsRuntime } from "../../src/protocol/handles.ts";
import { agent, threads } from "./support/in-thread-lanes.ts";
import { OneLane } from "./support/one-lane.ts";

vi.mock("../../src/host/lane-thread.ts", async () => ({ startLaneThread: (await import("./support/in-thread-lanes.ts")).startFakeThread }));

const reasonOf = (error: unknown): unknown => {
  const { code, disposition, details } = error as { code?: string; disposition?: string; details?: { reason?: string } };
  expect([code, disposition]).toEqual(["HOST_OVERLOADED", "retry"]);
  return details?.reason;
};
/** What becomes of a call: "waits" when it does not settle within a few turns of the loop. */
async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  const waits = new Promise((resolve) => setTimeout(() => resolve("waits"), 20));
  return Promise.race([call.then(() => "ok", reasonOf), waits]);
}
const thrownBy = (act: () => unknown): unknown => {
  try {
    act();
    return "ok";
  } catch (error) {
    return reasonOf(error);
  }
};

const open: EphemeralSessionService[] = [];
async function newHost(builder: SessionAgentBuilder): Promise<EphemeralSessionService> {
  agent.builder = builder;
  threads.length = 0;
  const service = await EphemeralSessionService.open({ agent: "in-thread", lanes: { count: 1 } });
  open.push(service);
  return service;
}
afterEach(() => Promise.all(open.splice(0).map((service) => service.shutdown({ deadlineMs: 0 }))));
const echo = defineAgent(({ prompt }) => prompt);

describe("bound", () => {
  test("B1: counts who waits until it settles, and refuses one more without asking for it", async () => {
    const bound = new Bound("x", "callers", 2);
    const ends: ((error?: Error) => void)[] = [];
    let asked = 0;
    const call = (): Promise<void> =>
      bound.hold(() => {
        asked++;
        return new Promise<void>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve())));
      });
    const held = [call(), call()].map((promise) => promise.then(() => "good", String));
    expect(await outcomeOf(call())).toBe("x");
    expect([asked, bound.waiting]).toEqual([2, 2]);
    ends[0]?.();
    ends[1]?.(new Error("no"));
    expect(await Promise.all(held)).toEqual(["good", "Error: no"]);
    const last = outcomeOf(call());
    ends[2]?.();
    expect([await last, bound.waiting]).toEqual(["ok", 0]);
  });
});

describe("callers that wait", () => {
  test("for a registration", async () => {
    const service = await newHost(echo);
    const waiters = Array.from({ length: WAITERS_MAX }, () => service.waitSessionRegistered());
    expect(await outcomeOf(service.waitSessionRegistered())).toBe("registration_waiters");
    const { sessionId } = await service.createSession({ prompt: "", initialTurn: "defer" });
    expect(new Set(await Promise.all(waiters))).toEqual(new Set([sessionId]));
    expect(await outcomeOf(service.waitSessionRegistered().catch(() => {}))).toBe("waits");
  });

  test("for the store: reads are refused, and answered again when it has answered", async () => {
    const client = { waiting: STORE_CALLS_MAX, call: async () => null };
    const stored = new StoredSessions(client as never, () => true);
    expect(await outcomeOf(stored.ask("s", "head", "s"))).toBe("store_calls");
    client.waiting--;
    expect(await outcomeOf(stored.ask("s", "head", "s"))).toBe("ok");
  });

  test("for a session's staged context to be written", async () => {
    let write!: () => void;
    const written = new Promise<void>((resolve) => (write = resolve));
    const contexts = new StagedContexts({ call: () => written } as never);
    const ledgers: Record<string, SystemContextLedger> = { s: new SystemContextLedger(), another: new SystemContextLedger() };
    const stage = (id: string, n: number) => contexts.stage(id, { text: `text ${n}` }, 0, async () => ledgers[id] as SystemContextLedger);
    const waiting = Array.from({ length: CONTEXT_KEYS_MAX }, (_, n) => stage("s", n));
    expect(await stage("s", -1)).toEqual({ status: "full" });
    const other = stage("another", -1);
    write();
    expect(new Set((await Promise.all(waiting)).map(({ status }) => status))).toEqual(new Set(["staged"]));
    expect((await other).status).toBe("staged");
    ledgers["s"]?.taken(CONTEXT_KEYS_MAX);
    expect((await stage("s", -1)).status).toBe("staged");
  });

  test("for the answer of a handle", async () => {
    const comms = { send: () => new Promise<never>(() => {}) };
    const service = await newHost({
      buildAgent: async (request, context) =>
        Object.assign(await echo.buildAgent(request, context), { commsRuntime: () => comms }) as never,
    });
    const { sessionId } = await service.createSession({ prompt: "", initialTurn: "defer" });
    const handle = (await service.commsRuntime(sessionId)) as RemoteCommsRuntime;
    const calls = Array.from({ length: CALLS_MAX }, () => handle.send({ kind: "input" }));
    for (const call of calls) call.catch(() => {});
    expect(await outcomeOf(handle.send({ kind: "input" }))).toBe("handle_calls");
    await service.discardLiveSession(sessionId);
    expect(new Set((await Promise.allSettled(calls)).map(({ status }) => status))).toEqual(new Set(["rejected"]));
  });
});

describe("streams", () => {
  test("subscribers of a session, and of sessions that sleep", () => {
    const channel = new SessionChannel("s");
    const streams = Array.from({ length: SUBSCRIBERS_MAX }, () => channel.subscribe());
    expect(thrownBy(() => channel.subscribe())).toBe("subscribers");
    void streams[0]?.return();
    expect(thrownBy(() => channel.subscribe())).toBe("ok");
    const channels = new SessionChannels();
    for (let n = 0; n < ASLEEP_MAX; n++) channels.of(`s${n}`).subscribe();
    expect(thrownBy(() => channels.of("one more"))).toBe("subscribers");
    expect(thrownBy(() => channels.of("s0"))).toBe("ok");
    channels.end("s1");
    expect(thrownBy(() => channels.of("one more"))).toBe("ok");
  });

  test("reads that wait for the next event, of a session and of a turn", async () => {
    const subscription = new SessionChannel("s").subscribe();
    const turnReader = new TurnEventReader("s", 1000);
    for (const stream of [subscription, turnReader]) {
      const reads = Array.from({ length: READS_MAX }, () => stream.next());
      expect(await outcomeOf(stream.next())).toBe("reads");
      await stream.return();
      expect(new Set((await Promise.all(reads)).map(({ done }) => done))).toEqual(new Set([true]));
    }
  });
});

describe("serve-lane", () => {
  test("W4: a flood of errors nobody awaits is counted in full and described in part", async () => {
    const lane = new OneLane(() => "");
    for (let n = 0; n < 1000; n++) lane.lane.reportStray(new Error(`stray ${n}`));
    const told = (): (readonly unknown[])[] => lane.reports.filter(([op]) => op === REPORTS.STRAY_ERROR.op);
    await lane.until(() => told().length === 65);
    expect(told()[64]).toEqual([REPORTS.STRAY_ERROR.op, "936 more", 936]);
    lane.lane.reportStray(new Error("later"));
    await lane.until(() => told().length === 66);
    expect(lane.lane.strayErrors).toBe(1001);
    await lane.close();
  });
});
