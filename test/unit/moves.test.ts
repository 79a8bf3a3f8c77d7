/** Sessions on their way between lanes of this thread: M1–M3. */
import { afterEach, describe, expect, test, vi } from "vitest";

import { EphemeralSessionService } from "../../src/host/ephemeral-service.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import type { SessionHost } from "../../src/host/session-host.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import type { SessionAgentBuilder } from "../../src/protocol/agent.ts";
import type { EventEnvelope } from "../../src/protocol/events.ts";
import type { SessionServiceOptions } from "../../src/protocol/options.ts";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";
import { agent, threads } from "./support/in-thread-lanes.ts";

vi.mock("../../src/host/lane-thread.ts", async () => ({ startLaneThread: (await import("./support/in-thread-lanes.ts")).startFakeThread }));

const open: EphemeralSessionService[] = [];
afterEach(() => Promise.all(open.splice(0).map((service) => service.shutdown({ deadlineMs: 0 }))));

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: { code?: string; agentError?: { kind: string } }) => error.agentError?.kind ?? error.code ?? "unknown",
  );

/** Emits two events a turn and answers with what the session is: its model call's system prompt, if it was asked for. */
const chatty = defineAgent(async (turn) => {
  await turn.emit({ type: "text_delta", delta: "a" });
  if (turn.prompt === "slow") for (let i = 0; i < 5; i++) await soon();
  if (turn.prompt === "hang")
    await new Promise((_, reject) => turn.signal.addEventListener("abort", () => reject(turn.signal.reason as Error)));
  await turn.emit({ type: "text_delta", delta: "b" });
  return turn.prompt === "system" ? turn.takeSystemPrompt() : turn.prompt;
});

/** A service and a look into its host. */
async function newHost(builder: SessionAgentBuilder = chatty, options: Partial<SessionServiceOptions> = {}) {
  agent.builder = builder;
  threads.length = 0;
  const service = await EphemeralSessionService.open({ agent: "in-thread", lanes: { count: 2 }, ...options });
  open.push(service);
  const host = Reflect.get(service, "host") as SessionHost;
  const create = async (labels: Record<string, string> = {}): Promise<string> =>
    (await service.createSession({ prompt: "", initialTurn: "defer", labels })).sessionId;
  const entryOf = (id: string): SessionEntry => host.live(id);
  const laneOf = (id: string): number => entryOf(id).lane.number;
  /** Send the session to the other lane. */
  const move = (id: string): Promise<boolean> => {
    const entry = host.registry.find(id);
    const to = [...host.pool].find((lane) => lane !== entry?.lane);
    return entry === undefined || to === undefined ? Promise.resolve(false) : host.mover.move(entry, to, "test");
  };
  return { service, host, create, entryOf, laneOf, move };
}

/** Everything of a subscription, as it comes. */
function collect(stream: AsyncIterable<EventEnvelope>): { seqs: number[]; ended: Promise<void> } {
  const seqs: number[] = [];
  const ended = (async () => {
    for await (const { seq } of stream) seqs.push(seq);
  })();
  return { seqs, ended };
}

/** An agent whose builder, from its second call on, waits for the test. */
function gated(inner: SessionAgentBuilder = chatty): { builder: SessionAgentBuilder; go: (outcome?: Error) => void; waits: () => boolean } {
  let built = 0;
  let go: ((outcome?: Error) => void) | undefined;
  const builder: SessionAgentBuilder = {
    buildAgent: async (request, context) => {
      if (built++ > 0) {
        const failure = await new Promise<Error | undefined>((resolve) => (go = resolve));
        if (failure !== undefined) throw failure;
      }
      return inner.buildAgent(request, context);
    },
  };
  return { builder, go: (outcome) => go?.(outcome), waits: () => go !== undefined };
}
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await soon();
};

describe("a move", () => {
  test("M2: keeps id, labels, transcript, usage, numbers of events and subscribers; the old lane forgets it", async () => {
    const { service, host, create, laneOf, move } = await newHost();
    const id = await create({ team: "red" });
    const heard = collect(service.subscribeSessionEvents(id));
    await service.startTurn(id, { prompt: "one" });
    const before = await service.read(id);
    const from = laneOf(id);
    expect(await move(id)).toBe(true);
    expect(laneOf(id)).not.toBe(from);
    expect(await service.read(id)).toEqual(before);
    await service.startTurn(id, { prompt: "two" });
    expect((await service.readHistory(id)).messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant"]);
    expect((await service.list()).map(({ sessionId }) => sessionId)).toEqual([id]);
    await until(() => host.registry.slots.allocated === 1);
    expect(service.inspect()).toMatchObject({ sessions: { live: 1 }, subscribers: 1, events: { session_moved: 1 } });
    expect(new Set(service.inspect().lanes.map(({ sessions }) => sessions))).toEqual(new Set([0, 1]));
    await service.archive(id);
    await heard.ended;
    expect(heard.seqs).toEqual([1, 2, 3, 4]);
    await until(() => host.registry.slots.allocated === 0);
    expect(host.registry.capacity.held).toBe(0);
  });

  test("M2: staged context reaches exactly one model call, whenever it was staged", async () => {
    const { builder, go, waits } = gated();
    const { service, create, move } = await newHost(builder);
    const id = await create();
    const stage = (text: string) => service.appendSystemContext(id, { text, idempotencyKey: text });
    await stage("before");
    const moved = move(id);
    await stage("packing");
    await until(waits);
    await stage("building");
    go();
    expect(await moved).toBe(true);
    await stage("after");
    const { text } = await service.startTurn(id, { prompt: "system" });
    const at = ["before", "packing", "building", "after"].map((word) => text.indexOf(word));
    expect(at.every((index, i) => index > (at[i - 1] ?? -1))).toBe(true);
    expect((await service.systemContextState(id))?.pending).toEqual([]);
    expect((await service.startTurn(id, { prompt: "system" })).text).not.toContain("before");
    expect(await service.appendSystemContext(id, { text: "before", idempotencyKey: "before" })).toEqual({ status: "duplicate" });
  });

  test("M2: context that the new agent took while it was built is not given to it twice, and not lost if it never arrives", async () => {
    let builds = 0;
    const greedy: SessionAgentBuilder = {
      buildAgent: async (request, context) => {
        const first = builds++ === 0;
        const taken = first ? [] : context.systemContext.takePending();
        if (builds === 2) throw new Error("no");
        const inner = await chatty.buildAgent(request, context);
        if (!first) expect(taken.map(({ text }) => text)).toEqual(["note"]);
        return inner;
      },
    };
    const { service, create, move } = await newHost(greedy);
    const id = await create();
    await service.appendSystemContext(id, { text: "note" });
    expect(await move(id)).toBe(false);
    expect((await service.systemContextState(id))?.pending).toMatchObject([{ text: "note" }]);
    expect(await move(id)).toBe(true);
    expect((await service.systemContextState(id))?.pending).toEqual([]);
    expect((await service.startTurn(id, { prompt: "system" })).text).not.toContain("note");
  });

  test("M2: the key of the last good turn is known in the new lane; held events become part of the next turn", async () => {
    let emit: ((delta: string) => void) | undefined;
    let runs = 0;
    const builder: SessionAgentBuilder = {
      buildAgent: (request, context) => {
        emit = (delta) => void context.emit({ type: "text_delta", delta });
        return defineAgent(({ prompt }) => `${prompt} ${++runs}`).buildAgent(request, context);
      },
    };
    const { service, create, move } = await newHost(builder);
    const id = await create();
    expect((await service.startTurn(id, { prompt: "q", idempotencyKey: "k" })).text).toBe("q 1");
    emit?.("held");
    expect(await move(id)).toBe(true);
    expect((await service.startTurn(id, { prompt: "q", idempotencyKey: "k" })).text).toBe("q 1");
    const heard: unknown[] = [];
    await service.startTurn(id, { prompt: "q", onEvent: ({ payload }) => void heard.push(payload) });
    expect(heard).toEqual([{ type: "text_delta", delta: "held" }]);
  });

  test("M1: meanwhile one turn waits and a second is busy; the first to ask is the first to run", async () => {
    const { builder, go, waits } = gated();
    const { service, create, move } = await newHost(builder);
    const id = await create();
    const moved = move(id);
    await until(waits);
    expect((await service.read(id)).state.isActive).toBe(false);
    expect(await codeOf(service.interrupt(id))).toBe("SESSION_NOT_RUNNING");
    const first = service.startTurn(id, { prompt: "first" });
    expect((await service.read(id)).state.isActive).toBe(true);
    expect((await service.list())[0]?.isActive).toBe(true);
    expect(await codeOf(service.startTurn(id, { prompt: "second" }))).toBe("SESSION_BUSY");
    go();
    expect((await first).text).toBe("first");
    expect(await moved).toBe(true);
  });

  test("M1: a waiting turn can be interrupted, by its ticket too, and then another may wait", async () => {
    const { builder, go, waits } = gated();
    const { service, create, move } = await newHost(builder);
    const id = await create();
    const moved = move(id);
    await until(waits);
    let ticket = 0;
    const first = codeOf(service.startTurn(id, { prompt: "a" }, { onAdmitted: (given) => (ticket = given) }));
    expect(await service.interruptTurn(id, ticket + 1)).toBe(false);
    expect(await service.interruptTurn(id, ticket)).toBe(true);
    expect(await first).toBe("cancelled");
    const second = codeOf(service.startTurn(id, { prompt: "b" }));
    await service.interrupt(id);
    expect(await second).toBe("cancelled");
    const third = service.startTurn(id, { prompt: "c" });
    go();
    expect((await third).text).toBe("c");
    expect(await moved).toBe(true);
  });

  test("M1: what else needs the agent waits for the end of the move", async () => {
    const { builder, go, waits } = gated();
    const { service, create, move } = await newHost(builder);
    const id = await create();
    await service.startTurn(id, { prompt: "q" });
    const moved = move(id);
    await until(waits);
    let done = 0;
    const calls = [
      service.exportSession(id),
      service.readHistory(id),
      service.applyRuntimeSystemContext(id, [{ text: "applied" }]),
      service.eventInjector(id),
    ].map((call) => call.finally(() => done++));
    for (let i = 0; i < 10; i++) await soon();
    expect(done).toBe(0);
    go();
    expect(await moved).toBe(true);
    await Promise.all(calls);
    expect((await service.exportSession(id)).messages[0]).toMatchObject({ role: "system", content: expect.stringContaining("applied") });
  });

  test("M1, FK3: a fork waits for it, and begins as the session does in its new place", async () => {
    const { builder, go, waits } = gated();
    const { service, create, move } = await newHost(builder);
    const id = await create();
    await service.startTurn(id, { prompt: "q" });
    const moved = move(id);
    await until(waits);
    let isForked = false;
    const forking = service.forkSession(id).finally(() => (isForked = true));
    for (let i = 0; i < 10; i++) await soon();
    expect(service.inspect().sessions.building).toBe(1);
    go();
    expect(await moved).toBe(true);
    for (; !isForked; await soon()) go();
    expect((await forking).state).toMatchObject({ messageCount: 2, lastAssistantText: "q" });
  });

  test.each(["archive", "discardLiveSession"] as const)("M1: %s waits for it, and finds the session in its new place", async (how) => {
    const { builder, go, waits } = gated();
    const { service, host, create, move } = await newHost(builder);
    const id = await create();
    const moved = move(id);
    await until(waits);
    const left = service[how](id);
    const turn = service.startTurn(id, { prompt: "still" });
    go();
    await left;
    expect(await moved).toBe(true);
    expect((await turn).text).toBe("still");
    await until(() => host.registry.slots.allocated === 0);
    expect(host.registry.capacity.held).toBe(0);
    expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
  });
});

describe("a session stays where it is", () => {
  test("M2: when its agent cannot say what it is, or cannot be built again", async () => {
    let mayClone = false;
    const { builder, go, waits } = gated({
      buildAgent: async (request, context) => {
        const inner = await chatty.buildAgent(request, context);
        const clone = inner.sessionClone.bind(inner);
        inner.sessionClone = () => {
          if (!mayClone) throw new Error("no clone today");
          return clone();
        };
        return inner;
      },
    });
    const { service, host, create, laneOf, move } = await newHost(builder);
    const id = await create();
    const from = laneOf(id);
    expect(await move(id)).toBe(false);
    mayClone = true;
    const moved = move(id);
    await until(waits);
    const waiting = service.startTurn(id, { prompt: "here" });
    go(new Error("not built"));
    expect(await moved).toBe(false);
    expect((await waiting).text).toBe("here");
    expect(laneOf(id)).toBe(from);
    await until(() => host.registry.slots.allocated === 1);
    expect(host.registry.capacity.held).toBe(1);
    expect(new Set(service.inspect().lanes.map(({ sessions }) => sessions))).toEqual(new Set([0, 1]));
  });

  test("M2: when the other lane is lost meanwhile", async () => {
    const { builder, waits } = gated();
    const { service, host, create, laneOf, move } = await newHost(builder);
    const id = await create();
    const from = laneOf(id);
    const moved = move(id);
    await until(waits);
    const waiting = service.startTurn(id, { prompt: "here" });
    await threads[1 - from]?.crash();
    expect(await moved).toBe(false);
    expect((await waiting).text).toBe("here");
    expect(laneOf(id)).toBe(from);
    expect(host.registry.capacity.held).toBe(1);
  });

  test("M2: lost with its own lane, and its waiting turn is told so", async () => {
    const { builder, go, waits } = gated();
    const { service, host, create, laneOf, move } = await newHost(builder);
    const id = await create();
    const heard = collect(service.subscribeSessionEvents(id));
    const from = laneOf(id);
    const moved = move(id);
    await until(waits);
    const waiting = codeOf(service.startTurn(id, { prompt: "gone" }));
    await threads[from]?.crash();
    expect(await waiting).toBe("lane_lost");
    expect(await moved).toBe(false);
    await heard.ended;
    expect(await codeOf(service.read(id))).toBe("SESSION_NOT_FOUND");
    go(); // what was being built is not wanted any more
    await until(() => host.registry.slots.allocated === 0);
    expect(host.registry.capacity.held).toBe(0);
  });

  test("M3: when the other lane does not come to an end with it", async () => {
    const { builder, go, waits } = gated();
    const { service, host, create, laneOf, move } = await newHost(builder);
    const id = await create();
    const from = laneOf(id);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const moved = move(id);
      await until(waits);
      const waiting = service.startTurn(id, { prompt: "here" });
      vi.advanceTimersByTime(10_000);
      expect((await waiting).text).toBe("here");
      expect(await moved).toBe(false);
      expect(laneOf(id)).toBe(from);
      go(); // too late
      await until(() => host.registry.slots.allocated === 1);
    } finally {
      vi.useRealTimers();
    }
    expect((await service.startTurn(id, { prompt: "on" })).text).toBe("on");
  });

  test("when a turn runs, something holds it in memory, or it has a lane of its own", async () => {
    const { service, host, create, move } = await newHost();
    const id = await create();
    const turn = service.startTurn(id, { prompt: "slow" });
    expect(await move(id)).toBe(false);
    await turn;
    const asked = service.exportSession(id);
    await Promise.resolve();
    expect(await move(id)).toBe(false);
    await asked;
    expect(await move(id)).toBe(true);
    const hosted = (await service.createSession({ prompt: "", initialTurn: "defer", hostMode: true })).sessionId;
    expect(await move(hosted)).toBe(false);
    const alone = (await service.createSession({ prompt: "", initialTurn: "defer", isolation: "dedicated" })).sessionId;
    expect(await move(alone)).toBe(false);
    expect(host.mover.size).toBe(0);
  });

  test("shutdown during a move: the waiting turn is told, and nothing is left", async () => {
    const { builder, waits } = gated();
    const { service, create, move } = await newHost(builder);
    const id = await create();
    const moved = move(id);
    await until(waits);
    const waiting = codeOf(service.startTurn(id, { prompt: "q" }));
    await service.shutdown({ deadlineMs: 0 });
    expect(await waiting).toBe("HOST_CLOSED");
    expect(await moved).toBe(false);
    expect(service.inspect()).toMatchObject({ sessions: { live: 0 }, slots: { allocated: 0 } });
  });
});

describe("whatever happens meanwhile", () => {
  const seeds = Array.from({ length: 60 }, (_, i) => (CRASH_SEED + i * 7919) % 1_000_000_000);

  test.each(seeds)("seed %i: every call settles once, numbers have no gaps, nothing is lost but with its lane", async (seed) => {
    const random = randomOf(seed);
    const pick = (count: number): number => Math.floor(random() * count);
    const { service, host, create, move } = await newHost(chatty, { maxSessions: 8 });
    const ids = await Promise.all(Array.from({ length: 4 }, () => create()));
    const good = new Map<string, number>(ids.map((id) => [id, 0]));
    const isOff = new Set<string>();
    const heard = new Map(ids.map((id) => [id, collect(service.subscribeSessionEvents(id))]));
    const calls: Promise<string>[] = [];
    let crashes = 0;
    const turn = (id: string): void => {
      const call = service.startTurn(id, { prompt: pick(2) ? "slow" : "fast" });
      calls.push(
        codeOf(call).then((code) => {
          if (code === "ok") good.set(id, (good.get(id) ?? 0) + 1);
          return code;
        }),
      );
    };
    const steps: ((id: string) => void)[] = [
      turn,
      turn,
      turn,
      (id) => void calls.push(move(id).then(() => "ok")),
      (id) => void calls.push(move(id).then(() => "ok")),
      (id) => void calls.push(codeOf(service.readHistory(id))),
      (id) => void calls.push(codeOf(service.exportSession(id))),
      (id) => void calls.push(codeOf(service.appendSystemContext(id, { text: "note" }))),
      (id) => void calls.push(codeOf(service.interrupt(id))),
      (id) => {
        if (pick(12) > 0) return;
        isOff.add(id);
        calls.push(codeOf(pick(2) ? service.archive(id) : service.discardLiveSession(id)));
      },
      () => {
        if (pick(25) > 0 || crashes++ > 0) return;
        const lane = pick(2);
        for (const entry of host.registry.all()) if (entry.lane.number === lane) isOff.add(entry.id);
        calls.push(threads[lane]?.crash().then(() => "ok") ?? Promise.resolve("ok"));
      },
    ];
    for (let i = 0; i < 80; i++) {
      steps[pick(steps.length)]?.(ids[pick(ids.length)] as string);
      for (let waits = pick(3); waits > 0; waits--) await soon();
    }
    const outcomes = await Promise.all(calls);
    const known = ["ok", "SESSION_BUSY", "SESSION_NOT_FOUND", "SESSION_NOT_RUNNING", "SESSION_PERSISTENCE_DISABLED", "cancelled"];
    expect(outcomes.filter((code) => !known.includes(code) && !(crashes > 0 && code === "lane_lost"))).toEqual([]);
    await until(() => host.mover.size === 0 && service.inspect().slots.allocated === service.inspect().sessions.live);
    for (const id of ids) {
      const { seqs } = heard.get(id) as { seqs: number[] };
      expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, i) => i + 1));
      const entry = host.registry.find(id);
      if (entry === undefined) expect(isOff).toContain(id);
      else {
        expect((await service.startTurn(id, { prompt: "last" })).text).toBe("last");
        expect((await service.readHistory(id)).messageCount).toBe(2 * (good.get(id) ?? 0) + 2);
      }
    }
    expect(host.registry.capacity.held).toBe(service.inspect().sessions.live);
    expect(service.inspect().turns.running).toBe(0);
  });
});
