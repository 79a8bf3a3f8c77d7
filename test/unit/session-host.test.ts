/** The host over lanes in this thread: creator, turn table, registry. What needs real threads is tested elsewhere. */
import { describe, expect, test, vi } from "vitest";

import type { SessionEntry } from "../../src/host/session-entry.ts";
import type { SessionHost } from "../../src/host/session-host.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import type { TurnFunction } from "../../src/protocol/agent.ts";
import { EVENT_WINDOW } from "../../src/transport/credits.ts";
import { deferred, inThreadHosts } from "./support/in-thread-hosts.ts";
import { threads } from "./support/in-thread-lanes.ts";

vi.mock("../../src/host/lane-thread.ts", async () => ({ startLaneThread: (await import("./support/in-thread-lanes.ts")).startFakeThread }));

const newHost = inThreadHosts();
/** Turns that run until they are let go, or interrupted. */
function newGate(): { turn: TurnFunction; release: (text?: string) => void; running: () => number } {
  const waiting: ((text: string) => void)[] = [];
  const turn: TurnFunction = ({ signal }) =>
    new Promise<string>((resolve) => {
      waiting.push(resolve);
      signal.addEventListener("abort", () => resolve(""), { once: true });
    });
  return { turn, release: (text = "done") => waiting.splice(0).forEach((resolve) => resolve(text)), running: () => waiting.length };
}
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
const outcomeOf = (promise: Promise<{ text: string }>): Promise<string> =>
  promise.then(
    ({ text }) => text,
    (error: { code?: string; agentError?: { kind: string } }) => error.agentError?.kind ?? error.code ?? "an error of no kind",
  );

describe("turn-table", () => {
  test("D1: of turns started in one go exactly one is admitted, before anything is awaited", async () => {
    const { turn, release, running } = newGate();
    const service = await newHost(turn);
    const id = await deferred(service);
    const tickets: number[] = [];
    const onAdmitted = (ticket: number): void => void tickets.push(ticket);
    const outcomes = Array.from({ length: 5 }, () => outcomeOf(service.startTurn(id, { prompt: "q" }, { onAdmitted })));
    expect([tickets.length, service.inspect().turns.running]).toEqual([1, 1]);
    await until(() => running() === 1);
    release();
    expect(await Promise.all(outcomes)).toEqual(["done", ...Array<string>(4).fill("SESSION_BUSY")]);
  });

  test("D1: what onAdmitted throws rejects the call and frees the lock", async () => {
    const service = await newHost(() => "a");
    const id = await deferred(service);
    const onAdmitted = (): never => {
      throw new Error("mine");
    };
    await expect(service.startTurn(id, { prompt: "q" }, { onAdmitted })).rejects.toThrow("mine");
    expect(await outcomeOf(service.startTurn(id, { prompt: "q" }))).toBe("a");
  });

  test("D2: a turn settles once, by its report", async () => {
    const service = await newHost(({ prompt }) => {
      if (prompt === "bad") throw new Error("boom");
      return prompt;
    });
    const id = await deferred(service);
    expect(await outcomeOf(service.startTurn(id, { prompt: "bad" }))).toBe("internal_error");
    expect(await outcomeOf(service.startTurn(id, { prompt: "good" }))).toBe("good");
    expect(service.inspect().turns).toEqual({ running: 0, waiting: 0, settled: 2, failed: 1 });
  });

  test("D2: a turn settles by the loss of its lane, and says so", async () => {
    const { turn, running } = newGate();
    const service = await newHost(turn);
    const outcome = service.startTurn(await deferred(service), { prompt: "q" }).catch((error: unknown) => error);
    await until(() => running() === 1);
    await threads[0]?.crash(7);
    expect(await outcome).toMatchObject({
      code: "AGENT_ERROR",
      agentError: { kind: "lane_lost" },
      details: { outcome: "not_committed", exitCode: 7 },
    });
    expect(service.inspect().turns).toEqual({ running: 0, waiting: 0, settled: 1, failed: 1 });
  });
});

describe("a turn whose consumer was detached", () => {
  const COUNT = 8 * EVENT_WINDOW;
  const chatty: TurnFunction = async ({ emit }) => {
    for (let n = 0; n < COUNT; n++) await emit({ type: "x", n });
    return "a";
  };

  test.each([[false], [true]])("goes on and ends (a subscriber listens: %s)", async (isSubscribed) => {
    const service = await newHost(chatty);
    const id = await deferred(service);
    const subscription = isSubscribed ? service.subscribeSessionEvents(id, { bufferSize: COUNT }) : undefined;
    const onEvent = (): never => {
      throw new Error("mine");
    };
    let outcome: string | undefined;
    void outcomeOf(service.startTurn(id, { prompt: "q", onEvent })).then((text) => (outcome = text));
    for (let turn = 0; turn < 5000 && outcome === undefined; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(outcome).toBe("a");
    let seen = 0;
    while (subscription?.tryNext()) seen++;
    expect(seen).toBe(isSubscribed ? COUNT : 0);
  });

  test("goes on and ends when its stream is left, with a subscriber listening", async () => {
    const service = await newHost(chatty);
    const id = await deferred(service);
    service.subscribeSessionEvents(id, { bufferSize: COUNT });
    const stream = service.streamTurn(id, { prompt: "q" });
    for await (const _ of stream) break;
    let outcome: string | undefined;
    void outcomeOf(stream.result).then((text) => (outcome = text));
    for (let turn = 0; turn < 5000 && outcome === undefined; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(outcome).toBe("a");
  });
});

describe("session-creator", () => {
  test("K1: capacity is taken before the build, and given back when it fails", async () => {
    let builds = 0;
    let isBad = true;
    const good = defineAgent(() => "a");
    const service = await newHost(
      {
        buildAgent: (request, context) => {
          builds++;
          if (isBad) throw new Error("no key");
          return good.buildAgent(request, context);
        },
      },
      { maxSessions: 1 },
    );
    await expect(deferred(service)).rejects.toMatchObject({ agentError: { kind: "internal_error" } });
    isBad = false;
    const building = deferred(service);
    await expect(deferred(service)).rejects.toThrow("Max sessions reached (0/1)");
    const id = await building;
    await expect(deferred(service)).rejects.toThrow("Max sessions reached (1/1)");
    expect(builds).toBe(2);
    await service.discardLiveSession(id);
    await deferred(service);
  });

  test("K2: the first turn is admitted before the session can be seen", async () => {
    const { turn, release, running } = newGate();
    const service = await newHost(turn);
    const intruder = service.waitSessionRegistered().then((id) => outcomeOf(service.startTurn(id, { prompt: "mine" })));
    const first = outcomeOf(service.createSession({ prompt: "first" }));
    expect(await intruder).toBe("SESSION_BUSY");
    await until(() => running() === 1);
    release();
    expect(await first).toBe("done");
  });

  test("K3: a caller that gives up before admission leaves nothing behind", async () => {
    const disposed: string[] = [];
    const service = await newHost({ turn: () => "a", dispose: () => void disposed.push("disposed") });
    const controller = new AbortController();
    const created = service.createSession({ prompt: "q" }, { signal: controller.signal });
    controller.abort(new Error("gone"));
    await expect(created).rejects.toThrow("gone");
    await until(() => service.inspect().slots.allocated === 0);
    expect(disposed).toEqual(["disposed"]);
    expect(service.inspect()).toMatchObject({ sessions: { live: 0, building: 0 }, turns: { settled: 0 } });
  });
});

describe("machines: session", () => {
  test("S1: a session is found from its registration until it leaves", async () => {
    const service = await newHost(() => "a");
    const created = deferred(service);
    expect([await service.list(), service.inspect().sessions]).toMatchObject([[], { live: 0, building: 1 }]);
    const id = await created;
    expect([(await service.list()).map(({ sessionId }) => sessionId), service.inspect().sessions]).toMatchObject([
      [id],
      { live: 1, building: 0 },
    ]);
    await service.archive(id);
    expect(await service.list()).toEqual([]);
    expect((await service.read(id)).state).toMatchObject({ sessionId: id, isActive: false });
  });

  test("S2: a slot is used again only when its lane has forgotten the session", async () => {
    const { turn, release, running } = newGate();
    const service = await newHost(turn);
    const id = await deferred(service);
    const outcome = outcomeOf(service.startTurn(id, { prompt: "q" }));
    await until(() => running() === 1);
    await service.discardLiveSession(id);
    await deferred(service);
    expect(service.inspect().slots).toEqual({ allocated: 2, free: 0 });
    release();
    expect(await outcome).toBe("done");
    await until(() => service.inspect().slots.free === 1);
    await deferred(service);
    expect(service.inspect().slots).toEqual({ allocated: 2, free: 0 });
  });

  test("S3: capacity is held until the session has left and its running turn has stopped", async () => {
    const { turn, release, running } = newGate();
    const service = await newHost(turn, { maxSessions: 1 });
    const id = await deferred(service);
    const outcome = outcomeOf(service.startTurn(id, { prompt: "q" }));
    await until(() => running() === 1);
    await service.archive(id);
    await expect(deferred(service)).rejects.toThrow("Max sessions reached");
    release("last words");
    expect(await outcome).toBe("last words");
    expect((await service.read(id)).state).toMatchObject({ lastAssistantText: "last words", messageCount: 2 });
    await deferred(service);
  });
});

describe("releaseQuarantine", () => {
  test("Q1: a suspect that is live is one no longer", async () => {
    const service = await newHost(() => "");
    const id = await deferred(service);
    const { registry } = Reflect.get(service, "host") as SessionHost;
    const entry = registry.find(id) as SessionEntry;
    entry.isSuspect = true;
    expect(entry.lane.suspects).toBe(1);
    await service.releaseQuarantine(id);
    expect(entry.isSuspect).toBe(false);
    expect(entry.lane.suspects).toBe(0);
  });
});
