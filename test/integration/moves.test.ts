/** Sessions that move from one lane to another, over real threads: what they keep, what waits for them, and what becomes of a move that fails. */
import { describe, expect, test } from "vitest";

import type { SessionHost } from "../../dist/src/internal.js";
import type { EventEnvelope, HostSnapshot, SessionService, SessionServiceOptions } from "../../dist/src/index.js";
import { RECORDING, codeOf, deferred, errorOf, hosts, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";

type Service = SessionService & { inspect(): HostSnapshot };

const openEphemeral = hosts();
const { open: openKept } = persistentHosts();
const KINDS = {
  ephemeral: (options: Partial<SessionServiceOptions> = {}): Promise<Service> => openEphemeral({ lanes: { count: 2 }, ...options }),
  persistent: (options: Partial<SessionServiceOptions> = {}): Promise<Service> =>
    openKept({ lanes: { count: 2 }, events: "log", ...options }),
};

const hostOf = (service: Service): SessionHost => Reflect.get(service, "host") as SessionHost;
const laneOf = (service: Service, id: string): number => hostOf(service).live(id).lane.number;
/** Send a live session to the other lane. */
function move(service: Service, id: string): Promise<boolean> {
  const { registry, pool, mover } = hostOf(service);
  const entry = registry.find(id);
  const to = [...pool].find((lane) => lane !== entry?.lane);
  return entry === undefined || to === undefined ? Promise.resolve(false) : mover.move(entry, to, "test");
}
function collect(stream: AsyncIterable<EventEnvelope>): number[] {
  const seqs: number[] = [];
  void (async () => {
    for await (const { seq } of stream) seqs.push(seq);
  })();
  return seqs;
}

describe.each(Object.entries(KINDS))("a session of an %s host", (kind, openHost) => {
  test("moves with its transcript, usage, labels, key, staged context and subscribers", async () => {
    const service = await openHost();
    const id = await deferred(service, { labels: { team: "red" }, systemPrompt: "base" });
    const heard = collect(service.subscribeSessionEvents(id));
    await service.startTurn(id, { prompt: script(["emit", 3]), idempotencyKey: "k" });
    await service.appendSystemContext(id, { text: "staged", idempotencyKey: "s" });
    const before = await service.read(id);
    const from = laneOf(service, id);
    expect(await settled(move(service, id))).toBe(true);
    expect(laneOf(service, id)).not.toBe(from);
    expect(await service.read(id)).toEqual(before);
    expect((await service.startTurn(id, { prompt: script(["emit", 3]), idempotencyKey: "k" })).turns).toBe(1);
    expect((await service.readHistory(id)).messageCount).toBe(before.state.messageCount);
    expect((await service.startTurn(id, { prompt: script(["takeSystemPrompt"], ["emit", 2]) })).text).toContain("staged");
    expect((await service.startTurn(id, { prompt: script(["takeSystemPrompt"]) })).text).not.toContain("staged");
    await until("all events came", () => heard.length === 5);
    expect(heard).toEqual([1, 2, 3, 4, 5]);
    expect((await service.exportSession(id)).usage).toEqual({ inputTokens: 9, outputTokens: 6 });
    await until("the old lane has forgotten it", () => service.inspect().slots.allocated === 1);
    expect(service.inspect()).toMatchObject({ sessions: { live: 1 }, subscribers: 1, events: { session_moved: 1 } });
  });

  test("moves with what is remembered of its turns by their keys", async () => {
    const service = await openHost();
    const id = await deferred(service);
    const ask = async (prompt: string): Promise<string> => (await service.startTurn(id, { prompt, idempotencyKey: "k" })).text;
    expect(await ask("one")).toBe("one");
    await service.startTurn(id, { prompt: "two" });
    for (const _ of [1, 2]) {
      expect(await settled(move(service, id))).toBe(true);
      expect([await ask("one"), await codeOf(ask("two"))]).toEqual(["one", "IDEMPOTENCY_CONFLICT"]);
    }
    expect((await service.read(id)).state.messageCount).toBe(4);
  });

  test("there and back, many times", async () => {
    const service = await openHost();
    const id = await deferred(service);
    for (let i = 1; i <= 6; i++) {
      expect(await settled(move(service, id))).toBe(true);
      expect((await settled(service.startTurn(id, { prompt: `turn ${i}` }))).text).toBe(`turn ${i}`);
    }
    expect((await service.readHistory(id)).messageCount).toBe(12);
    await until("nothing is left behind", () => service.inspect().slots.allocated === 1);
  });

  test("keeps its place: at capacity nobody takes it meanwhile", async () => {
    const service = await openHost({ maxSessions: 1, agent: RECORDING });
    const id = await deferred(service, { build: { buildDelayMs: 50 } });
    const moved = move(service, id);
    const others = await Promise.all([1, 2, 3].map(() => codeOf(service.createSession({ prompt: "x" }))));
    expect(await settled(moved)).toBe(true);
    if (kind === "ephemeral") expect(others).toEqual(["AGENT_ERROR", "AGENT_ERROR", "AGENT_ERROR"]);
    expect((await settled(service.startTurn(id, { prompt: "here" }))).text).toBe("here");
    expect(service.inspect().sessions.live).toBe(1);
  });

  test("one turn waits for it, a second is busy, and an interrupt hits the one that waits", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service, { build: { buildDelayMs: 100 } });
    let moved = move(service, id);
    expect(await codeOf(service.interrupt(id))).toBe("SESSION_NOT_RUNNING");
    const first = service.startTurn(id, { prompt: "first" });
    expect((await service.read(id)).state.isActive).toBe(true);
    expect(await codeOf(service.startTurn(id, { prompt: "second" }))).toBe("SESSION_BUSY");
    expect((await settled(first)).text).toBe("first");
    expect(await settled(moved)).toBe(true);
    moved = move(service, id);
    const third = settled(service.startTurn(id, { prompt: "third" }));
    await service.interrupt(id);
    expect(await kindOf(third)).toBe("cancelled");
    expect(await settled(moved)).toBe(true);
  });

  test("archive, discard, export and history find it wherever it is", async () => {
    const service = await openHost({ agent: RECORDING });
    const [archived, discarded] = [
      await deferred(service, { build: { buildDelayMs: 50 } }),
      await deferred(service, { build: { buildDelayMs: 50 } }),
    ];
    for (const id of [archived, discarded]) await service.startTurn(id, { prompt: "q" });
    const moves = [move(service, archived), move(service, discarded)];
    const reads = [archived, discarded].flatMap((id) => [service.readHistory(id), service.exportSession(id)]);
    const pages = await settled(Promise.all(reads));
    for (const page of pages) expect(page.messages).toHaveLength(2);
    const again = [move(service, archived), move(service, discarded)];
    const ends = [service.archive(archived), service.discardLiveSession(discarded)];
    await settled(Promise.all([...moves, ...again, ...ends]));
    expect(await codeOf(service.startTurn(archived, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(service.startTurn(discarded, { prompt: "x" }))).toBe(kind === "persistent" ? "ok" : "SESSION_NOT_FOUND");
    await until("nothing is left behind", () => service.inspect().slots.allocated === service.inspect().sessions.live);
  });

  test("a target lane that ends meanwhile takes nothing with it", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service, { build: { buildDelayMs: 300 } });
    await service.startTurn(id, { prompt: "q" });
    const other = await deferred(service);
    expect(laneOf(service, other)).not.toBe(laneOf(service, id));
    const moved = move(service, id);
    await sleep(100); // it is being built there now
    await errorOf(settled(service.startTurn(other, { prompt: script(["exit", 3]) })));
    await settled(moved);
    expect((await settled(service.startTurn(id, { prompt: "still here" }))).text).toBe("still here");
    expect((await service.readHistory(id)).messageCount).toBe(4);
    expect(service.inspect().sessions.live).toBe(1);
  });
});

test("ephemeral: an agent that cannot be packed stays where it is, and usable", async () => {
  const service = await KINDS.ephemeral({ agent: RECORDING });
  const id = await deferred(service, { build: { cloneThrows: true } });
  const from = laneOf(service, id);
  const moved = move(service, id);
  const waiting = service.startTurn(id, { prompt: "here" });
  expect(await settled(moved)).toBe(false);
  expect((await settled(waiting)).text).toBe("here");
  expect(laneOf(service, id)).toBe(from);
  expect(service.inspect().events.session_moved).toBe(0);
});

test("ephemeral: a session whose own lane ends while it moves is gone, and its waiting turn is told why", async () => {
  const service = await KINDS.ephemeral({ agent: RECORDING });
  const id = await deferred(service, { build: { buildDelayMs: 300 } });
  await deferred(service);
  const neighbour = await deferred(service);
  expect(laneOf(service, neighbour)).toBe(laneOf(service, id));
  const moved = move(service, id);
  await sleep(50);
  const waiting = settled(service.startTurn(id, { prompt: "q" }));
  await errorOf(settled(service.startTurn(neighbour, { prompt: script(["exit", 3]) })));
  expect(await kindOf(waiting)).toBe("lane_lost");
  expect(await settled(moved)).toBe(false);
  expect(await codeOf(service.read(id))).toBe("SESSION_NOT_FOUND");
  await until("nothing is left behind", () => service.inspect().slots.allocated === service.inspect().sessions.live);
});

test("persistent: an agent that cannot say what it is stays where it is, its staged context with it", async () => {
  const service = await KINDS.persistent({ agent: new URL("../fixtures/refusing.mjs", import.meta.url) });
  const id = await deferred(service, { systemPrompt: "base" });
  await service.startTurn(id, { prompt: "refuse" });
  const from = laneOf(service, id);
  const moved = move(service, id);
  const staged = service.appendSystemContext(id, { text: "staged meanwhile" });
  const waiting = service.startTurn(id, { prompt: "allow" });
  expect(await settled(moved)).toBe(false);
  expect(await settled(staged)).toEqual({ status: "staged" });
  expect((await settled(waiting)).text).toBe("allow");
  expect(laneOf(service, id)).toBe(from);
  expect((await settled(service.startTurn(id, { prompt: "system" }))).text).toContain("staged meanwhile");
  expect(await settled(move(service, id))).toBe(true);
  expect((await settled(service.startTurn(id, { prompt: "there" }))).text).toBe("there");
});

test("persistent: what an acknowledged turn wrote is there after every move, whatever else goes on", async () => {
  const random = randomOf(CRASH_SEED);
  const service = await KINDS.persistent({ maxSessions: 3 });
  const ids: string[] = [];
  while (ids.length < 4) ids.push(await deferred(service));
  const good = new Map(ids.map((id) => [id, 0]));
  const calls: Promise<unknown>[] = [];
  for (let i = 0; i < 120; i++) {
    const id = ids[Math.floor(random() * ids.length)] as string;
    const dice = random();
    if (dice < 0.4) {
      const turn = codeOf(service.startTurn(id, { prompt: "q" })).then((code) => {
        if (code === "ok") good.set(id, (good.get(id) ?? 0) + 1);
        else expect(["SESSION_BUSY", "AGENT_ERROR"], `seed ${CRASH_SEED}`).toContain(code);
      });
      calls.push(turn);
    } else if (dice < 0.8) calls.push(move(service, id));
    else if (dice < 0.9) calls.push(codeOf(service.discardLiveSession(id)));
    else calls.push(codeOf(service.readHistory(id)).then((code) => expect(code, `seed ${CRASH_SEED}`).toBe("ok")));
    if (random() < 0.5) await sleep(random() * 4);
  }
  await settled(Promise.all(calls));
  for (const id of ids) {
    expect((await settled(service.readHistory(id))).messageCount, `seed ${CRASH_SEED}`).toBe(2 * (good.get(id) ?? 0));
  }
  const host = hostOf(service);
  await until("nothing is left behind", () => host.mover.size === 0 && host.registry.capacity.held === service.inspect().sessions.live);
});
