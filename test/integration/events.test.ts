/** Events: stamped once, numbered without gaps, seen alike by the turn's caller and by subscribers. */
import { describe, expect, test } from "vitest";

import type { EventEnvelope, SessionEventStream } from "../../dist/src/index.js";
import { StreamError, compareEnvelopes } from "../../dist/src/index.js";
import { RECORDING, SCRIPTED, codeOf, deferred, hosts, script, settled, sharedHost, sleep, until } from "../helpers/hosts.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const host = sharedHost({ agent: { scripted: SCRIPTED, recording: RECORDING } });
const fresh = (build?: Record<string, never> | object): Promise<string> =>
  deferred(host(), build ? { agent: "recording", build: build as never } : { agent: "scripted" });
const deltas = (events: readonly EventEnvelope[]): unknown[] => events.map(({ payload }) => (payload as { delta?: unknown }).delta);

/** Everything in the ring now. */
function drain(stream: SessionEventStream): EventEnvelope[] {
  const events: EventEnvelope[] = [];
  for (let event = stream.tryNext(); event !== undefined; event = stream.tryNext()) events.push(event);
  return events;
}

/** Run a turn. @returns its own events */
async function eventsOf(id: string, ...steps: Parameters<typeof script>): Promise<EventEnvelope[]> {
  const events: EventEnvelope[] = [];
  await host().startTurn(id, { prompt: script(...steps), onEvent: (event) => void events.push(event) });
  return events;
}

test("A39: the turn's caller has exactly this turn's events when the result resolves", async () => {
  const id = await fresh();
  const seen: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const events = await eventsOf(id, ["emit", turn * 7, turn * 100], ["sleep", 0]);
    expect(deltas(events)).toEqual(Array.from({ length: turn * 7 }, (_, i) => `${turn * 100 + i}`));
    seen.push(...events.map(({ seq }) => seq));
  }
  expect(seen).toEqual(seen.map((_, i) => i + 1));
});

test("A39: a create's first turn has its events delivered the same way", async () => {
  const events: EventEnvelope[] = [];
  await host().createSession({ agent: "scripted", prompt: script(["emit", 300]), onEvent: (event) => void events.push(event) });
  expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
});

test("B3: 200 events emitted without waiting by an agent that returns at once are all delivered before the result", async () => {
  const id = await fresh();
  expect(deltas(await eventsOf(id, ["emitUnawaited", 200]))).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`));
  // Also when their consumer is slow.
  let handled = 0;
  await host().startTurn(id, {
    prompt: script(["emitUnawaited", 200]),
    onEvent: () => new Promise<void>((resolve) => setImmediate(() => resolve(void handled++))),
  });
  expect(handled).toBe(200);
});

test("B2: envelopes are numbered from 1 over turns, unique, and name their source", async () => {
  const id = await fresh();
  const before = Date.now();
  const events = [...(await eventsOf(id, ["emit", 40])), ...(await eventsOf(id, ["emit", 40]))];
  expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 80 }, (_, i) => i + 1));
  expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(80);
  for (const { eventId, sourceId, timestampMs, mobId } of events) {
    expect({ sourceId, mobId }).toEqual({ sourceId: `session:${id}`, mobId: undefined });
    expect(eventId).toMatch(UUID_V7);
    expect(timestampMs).toBeGreaterThanOrEqual(before);
    expect(timestampMs).toBeLessThanOrEqual(Date.now());
  }
  expect([...events].reverse().sort(compareEnvelopes)).toEqual(events);
});

test("B2: event ids are unique over sessions, those with ids of their own too", async () => {
  const ids = [...(await Promise.all([fresh(), fresh(), fresh()])), await fresh({ ownId: "own-1" }), await fresh({ ownId: "own-2" })];
  const all = (await Promise.all(ids.map((id) => eventsOf(id, ["emit", 100])))).flat();
  expect(new Set(all.map(({ eventId }) => eventId)).size).toBe(500);
  expect(all.filter(({ eventId }) => !UUID_V7.test(eventId))).toEqual([]);
});

test("B2: numbers have no gap when nobody listens, a turn fails, or is interrupted", async () => {
  const id = await fresh();
  await host().startTurn(id, { prompt: script(["emit", 5]) }); // 1-5: numbered, never sent
  expect(await codeOf(host().startTurn(id, { prompt: script(["emit", 2], ["fail", "x"]) }))).toBe("AGENT_ERROR"); // 6-7
  const stream = host().subscribeSessionEvents(id);
  const cut = host().startTurn(id, { prompt: script(["emit", 1], ["sleep", 60_000]) }); // 8
  await settled(stream.next());
  await host().interrupt(id);
  expect(await codeOf(cut)).toBe("AGENT_ERROR");
  expect((await eventsOf(id, ["emit", 2])).map(({ seq }) => seq)).toEqual([9, 10]);
  expect(drain(stream).map(({ seq }) => seq)).toEqual([9, 10]);
});

test("A35, B13: every subscriber sees every event in order, with or without an onEvent, and the same envelopes", async () => {
  const id = await fresh();
  const streams = [host().subscribeSessionEvents(id), host().subscribeSessionEvents(id), host().subscribeSessionEvents(id)];
  const own = await eventsOf(id, ["emit", 50]);
  await host().startTurn(id, { prompt: script(["emit", 50, 50]) });
  for (const stream of streams) {
    const seen = drain(stream);
    expect(deltas(seen)).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
    expect(seen.slice(0, 50)).toEqual(own);
  }
});

test("A35: a subscription begins with the next event", async () => {
  const id = await fresh();
  await eventsOf(id, ["emit", 3]);
  const stream = host().subscribeSessionEvents(id);
  expect(stream.tryNext()).toBeUndefined();
  await eventsOf(id, ["emit", 1, 7]);
  expect(drain(stream).map(({ seq }) => seq)).toEqual([4]);
});

test("A35: a subscription made during a turn sees the rest of it", async () => {
  const id = await fresh();
  const turn = host().startTurn(id, { prompt: script(["emit", 5], ["sleep", 60], ["emit", 5, 5]) });
  await sleep(20);
  const stream = host().subscribeSessionEvents(id);
  await turn;
  expect(drain(stream).map(({ seq }) => seq)).toEqual([6, 7, 8, 9, 10]);
});

test("A36: polling is synchronous, and a slow reader is told exactly how many events it lost, before the rest", async () => {
  const id = await fresh();
  const slow = host().subscribeSessionEvents(id);
  const small = host().subscribeSessionEvents(id, { bufferSize: 10 });
  const large = host().subscribeSessionEvents(id, { bufferSize: 2000 });
  expect(slow.tryNext()).toBeUndefined();
  await host().startTurn(id, { prompt: script(["emit", 1000]) });
  const lagged = (dropped: number): object => ({
    seq: 0,
    sourceId: `session:${id}`,
    payload: { type: "stream_truncated", reason: { kind: "stream_lagged", dropped } },
  });
  const [marker, ...kept] = drain(slow);
  expect(marker).toMatchObject(lagged(1000 - 256));
  expect(kept.map(({ seq }) => seq)).toEqual(Array.from({ length: 256 }, (_, i) => 745 + i));
  const rest = drain(small);
  expect(rest[0]).toMatchObject(lagged(990));
  expect(rest.slice(1).map(({ seq }) => seq)).toEqual(Array.from({ length: 10 }, (_, i) => 991 + i));
  expect(drain(large)).toHaveLength(1000);
  // The count starts afresh.
  await host().startTurn(id, { prompt: script(["emit", 12]) });
  expect(drain(small)[0]).toMatchObject(lagged(2));
});

test("A36: a reader that awaits and one that polls get each event once", async () => {
  const id = await fresh();
  const stream = host().subscribeSessionEvents(id);
  const waiting = [stream.next(), stream.next()];
  await host().startTurn(id, { prompt: script(["emit", 4]) });
  const awaited = (await Promise.all(waiting)).map(({ value }) => value?.seq);
  expect([...awaited, ...drain(stream).map(({ seq }) => seq)]).toEqual([1, 2, 3, 4]);
});

test("A37: leaving a stream ends it, and only it", async () => {
  const id = await fresh();
  const before = host().inspect().subscribers;
  const [left, stays] = [host().subscribeSessionEvents(id), host().subscribeSessionEvents(id)];
  expect(host().inspect().subscribers).toBe(before + 2);
  const pending = left.next();
  await left.return?.();
  expect(await pending).toEqual({ done: true, value: undefined });
  expect(left.closed).toBe(true);
  expect(host().inspect().subscribers).toBe(before + 1);
  await host().startTurn(id, { prompt: script(["emit", 1]) });
  expect([drain(left), drain(stays).length]).toEqual([[], 1]);
  await stays.return?.();
  expect(host().inspect().subscribers).toBe(before);
});

test("A37, R5: streams go on through a turn that outlives its session, and end when it has left", async () => {
  const id = await fresh();
  const stream = host().subscribeSessionEvents(id);
  const turn = host().startTurn(id, { prompt: script(["emit", 1], ["sleep", 40], ["emit", 1]) });
  await host().archive(id);
  const seen: number[] = [];
  for await (const { seq } of stream) seen.push(seq);
  expect(seen).toEqual([1, 2]);
  await turn;
  expect(stream.closed).toBe(true);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
});

test("A38: unknown and archived sessions are refused at once, as StreamError", async () => {
  const id = await fresh();
  await host().archive(id);
  for (const missing of ["no-such", id]) {
    const refusal = (): unknown => host().subscribeSessionEvents(missing);
    expect(refusal).toThrow(StreamError);
    expect(refusal).toThrow(expect.objectContaining({ code: "NOT_FOUND", message: `session ${missing}` }));
  }
});

test("B14: events emitted while no turn runs come with the next turn, ahead of its own", async () => {
  const id = await fresh({ emitAtBuild: 2, emitIdleMs: 10, emitIdleCount: 2 });
  const stream = host().subscribeSessionEvents(id);
  await until(
    "it has emitted",
    async () =>
      JSON.parse((await host().createSession({ agent: "recording", prompt: "lane" })).text).includes("emitted") || (await sleep(20), false),
  );
  expect(stream.tryNext()).toBeUndefined();
  const events = await eventsOf(id, ["emit", 1, 9]);
  expect(deltas(events)).toEqual(["build 0", "build 1", "idle 0", "idle 1", "9"]);
  expect(drain(stream)).toEqual(events);
});

test("B14: a thousand events emitted while no turn runs are kept for the next; more are refused, typed", async () => {
  const id = await fresh({ emitAtBuild: 1000 });
  expect(deltas(await eventsOf(id, ["sleep", 0]))).toEqual(Array.from({ length: 1000 }, (_, i) => `build ${i}`));
  await expect(fresh({ emitAtBuild: 1500 })).rejects.toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "event_flood" } });
});

test("B14: what a turn emits after its result comes with the next turn", async () => {
  const id = await fresh();
  expect(await eventsOf(id, ["emitLater", 10, 3])).toEqual([]);
  await sleep(80);
  const events = await eventsOf(id, ["emit", 1, 9]);
  expect(deltas(events)).toEqual(["0", "1", "2", "9"]);
  expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
});

describe("on a host of its own", () => {
  const openHost = hosts();

  test("A37: streams end at discard, at shutdown, and when the lane is lost", async () => {
    const service = await openHost({ lanes: { count: 2 } });
    const ids = [await deferred(service), await deferred(service), await deferred(service)];
    const ends = ids.map((id) => settled(service.subscribeSessionEvents(id).next(), `the stream of ${ids.indexOf(id)}`));
    await service.discardLiveSession(ids[0] as string);
    expect(await ends[0]).toEqual({ done: true, value: undefined });
    await codeOf(service.startTurn(ids[1] as string, { prompt: script(["exit", 1]) }));
    expect(await ends[1]).toEqual({ done: true, value: undefined });
    await service.shutdown();
    expect(await ends[2]).toEqual({ done: true, value: undefined });
  });

  test("A37, R8: a subscriber that breaks off in the middle of a turn changes nothing", async () => {
    const service = await openHost();
    const id = await deferred(service);
    const watching = (async () => {
      for await (const { seq } of service.subscribeSessionEvents(id)) if (seq === 3) break;
    })();
    const result = await service.startTurn(id, { prompt: script(["emit", 1000]) });
    await settled(watching);
    expect(result.text).toBe("done");
    expect(service.inspect().subscribers).toBe(0);
  });
});

test("R8: subscribing to a turn that emits without awaiting does not fail it; what is lost is told where it is lost", async () => {
  const id = await fresh();
  const stream = host().subscribeSessionEvents(id, { bufferSize: 10_000 });
  const total = 5000;
  expect(await codeOf(host().startTurn(id, { prompt: script(["emitUnawaited", total]) }))).toBe("ok");
  await host().startTurn(id, { prompt: script(["emit", 1, 77]) });
  const events = drain(stream);
  const markers = events.filter(({ seq }) => seq === 0);
  expect(markers).toHaveLength(1);
  const [marker] = markers as [EventEnvelope];
  const { dropped } = (marker.payload as unknown as { reason: { dropped: number } }).reason;
  expect(dropped).toBe(total + 1 - (events.length - 1));
  const at = events.indexOf(marker);
  expect((events[at + 1]?.seq ?? 0) - (events[at - 1]?.seq ?? 0)).toBe(dropped + 1);
  expect(deltas(events).at(-1)).toBe("77");
});
