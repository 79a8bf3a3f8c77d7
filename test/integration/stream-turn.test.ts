/** streamTurn: the turn's own channel as an async iterable, read, unread, left early, and at its end. */
import { afterAll, beforeAll, expect, test } from "vitest";

import type { EventEnvelope, TurnStream } from "../../dist/src/index.js";
import { codeOf, deferred, errorOf, hosts, kindOf, script, settled, sharedHost, sleep, until } from "../helpers/hosts.ts";

const host = sharedHost();
const openHost = hosts();

// Node tells of rejections nobody handled after the microtasks; none may come from a stream in any of these stories.
const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
beforeAll(() => void process.on("unhandledRejection", note));
afterAll(() => void process.off("unhandledRejection", note));

const turnOf = (id: string, ...steps: Parameters<typeof script>): TurnStream => host().streamTurn(id, { prompt: script(...steps) });

/** Read to the end. @returns the events, and the error the stream ended with */
async function read(stream: AsyncIterable<EventEnvelope>): Promise<{ seqs: number[]; error?: unknown }> {
  const seqs: number[] = [];
  try {
    for await (const { seq } of stream) seqs.push(seq);
    return { seqs };
  } catch (error) {
    return { seqs, error };
  }
}

const upTo = (count: number, from = 1): number[] => Array.from({ length: count }, (_, i) => from + i);

test("A39: read from the start, the stream has every event in order and ends with the turn", async () => {
  const stream = turnOf(await deferred(host()), ["emit", 2000], ["say", "end"]);
  expect(await stream.ticket).toBeGreaterThan(0);
  expect(await settled(read(stream))).toEqual({ seqs: upTo(2000) });
  expect((await stream.result).text).toBe("end");
});

test("B5: once it is read the agent waits for the reader", async () => {
  const stream = turnOf(await deferred(host()), ["emitUntilBlocked", 3000]);
  const events = stream[Symbol.asyncIterator]();
  await events.next();
  await sleep(80);
  const rest: number[] = [];
  for (let step = await events.next(); !step.done; step = await events.next()) rest.push(step.value.seq);
  const blockedAt = Number((await stream.result).text);
  expect(blockedAt).toBeGreaterThanOrEqual(256);
  expect(blockedAt).toBeLessThan(600);
  expect(rest).toEqual(upTo(blockedAt, 2));
});

test("R8: unread, the turn waits for nobody; what is read later starts with a gap marker", async () => {
  const stream = turnOf(await deferred(host()), ["emit", 1000]);
  expect((await settled(stream.result)).text).toBe("done");
  const events: EventEnvelope[] = [];
  for await (const event of stream) events.push(event);
  expect(events[0]).toMatchObject({ seq: 0, payload: { type: "stream_truncated", reason: { kind: "stream_lagged", dropped: 744 } } });
  expect(events.slice(1).map(({ seq }) => seq)).toEqual(upTo(256, 745));
});

test("R8: read late but during the turn, the ring and the rest are one sequence", async () => {
  const id = await deferred(host());
  const watcher = host().subscribeSessionEvents(id, { bufferSize: 2000 });
  const stream = turnOf(id, ["emit", 400], ["sleep", 1000], ["emit", 800, 400]);
  let seen = 0;
  await until("the first 400 events have come", () => {
    while (watcher.tryNext() !== undefined) seen++;
    return seen === 400;
  });
  const { seqs } = await settled(read(stream));
  expect(seqs[0]).toBe(0);
  expect(seqs.slice(1)).toEqual(upTo(256 + 800, 145));
});

test("B4: leaving the loop lets the turn go on", async () => {
  const id = await deferred(host());
  const stream = turnOf(id, ["emit", 2000], ["say", "went on"]);
  for await (const { seq } of stream) if (seq === 3) break;
  expect((await settled(stream.result)).text).toBe("went on");
  expect(await read(stream)).toEqual({ seqs: [] });
  expect((await host().read(id)).state.messageCount).toBe(2);
});

test("B4, R8: leaving the loop lets the turn go on while somebody subscribes to the session", async () => {
  const id = await deferred(host());
  const subscriber = host().subscribeSessionEvents(id, { bufferSize: 3000 });
  const stream = turnOf(id, ["emit", 2000]);
  for await (const { seq } of stream) if (seq === 3) break;
  expect((await settled(stream.result, "the turn")).text).toBe("done");
  let count = 0;
  while (subscriber.tryNext()) count++;
  expect(count).toBe(2000);
});

test("B4: leaving the loop does not hold up what the agent emitted without waiting", async () => {
  const stream = turnOf(await deferred(host()), ["emitUnawaited", 1000]);
  for await (const _ of stream) break;
  expect((await settled(stream.result, "the turn")).text).toBe("done");
});

test("A39: a turn that fails ends the iterator with the result's error, after its last event", async () => {
  const stream = turnOf(await deferred(host()), ["emit", 3], ["failKind", "budget", "no more"]);
  const { seqs, error } = await settled(read(stream));
  expect(seqs).toEqual([1, 2, 3]);
  expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "budget" } });
  expect(await errorOf(stream.result)).toBe(error);
  // Only the first read past the end sees the error.
  expect(await stream[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
});

test("A39: a failure that nobody looks at is no unhandled rejection", async () => {
  const id = await deferred(host());
  turnOf(id, ["fail", "unseen"]);
  turnOf(id, ["fail", "busy, unseen"]);
  host().streamTurn("no-such", { prompt: "x" });
  host().streamTurn(id, { prompt: 42 as never });
  await sleep(50);
  expect(unhandled).toEqual([]);
});

test.each([
  ["a busy session", "SESSION_BUSY"],
  ["an unknown session", "SESSION_NOT_FOUND"],
  ["a bad request", "INVALID_PARAMS"],
])("A10: refused for %s, result, ticket and iterator say so alike", async (_, code) => {
  const id = await deferred(host());
  const turn = code === "SESSION_BUSY" ? host().startTurn(id, { prompt: script(["sleep", 30]) }) : undefined;
  const stream = host().streamTurn(code === "SESSION_NOT_FOUND" ? "no-such" : id, {
    prompt: (code === "INVALID_PARAMS" ? null : "x") as string,
  });
  const { seqs, error } = await read(stream);
  expect({ seqs, error: (error as { code: string }).code }).toEqual({ seqs: [], error: code });
  expect([await codeOf(stream.result), await codeOf(stream.ticket), await codeOf(stream.interrupt())]).toEqual([code, code, code]);
  await turn;
});

test("R6: its interrupt is fenced to its turn", async () => {
  const id = await deferred(host());
  const first = turnOf(id, ["emit", 1], ["sleep", 60_000]);
  const events = first[Symbol.asyncIterator]();
  await events.next();
  await first.interrupt();
  expect(await kindOf(first.result)).toBe("cancelled");
  await expect(events.next()).rejects.toMatchObject({ agentError: { kind: "cancelled" } });
  const second = turnOf(id, ["sleep", 40]);
  expect(await codeOf(first.interrupt())).toBe("SESSION_NOT_RUNNING");
  expect(await codeOf(second.result)).toBe("ok");
});

test("R7: an interrupt gets through to an agent that waits for the reader", async () => {
  const stream = turnOf(await deferred(host()), ["emit", 5000]);
  const events = stream[Symbol.asyncIterator]();
  await events.next();
  await sleep(30);
  await stream.interrupt();
  expect(await kindOf(settled(stream.result))).toBe("cancelled");
});

test("A39: several reads at once get the events in turn", async () => {
  const stream = turnOf(await deferred(host()), ["sleep", 10], ["emit", 3]);
  const events = stream[Symbol.asyncIterator]();
  const steps = await settled(Promise.all([events.next(), events.next(), events.next(), events.next(), events.next()]));
  expect(steps.map(({ done, value }) => (done ? "end" : value?.seq))).toEqual([1, 2, 3, "end", "end"]);
});

test("B4: a reader that pauses beyond the stall limit lets the turn go on, and is told what it lost", async () => {
  const service = await openHost({ consumerStallMs: 60 });
  const stream = service.streamTurn(await deferred(service), { prompt: script(["emit", 2000]) });
  const events = stream[Symbol.asyncIterator]();
  expect((await events.next()).value?.seq).toBe(1);
  expect((await settled(stream.result)).text).toBe("done");
  const rest = await read({ [Symbol.asyncIterator]: () => events });
  expect(rest.seqs[0]).toBe(0);
  expect(rest.seqs.at(-1)).toBe(2000);
  expect(rest.seqs.length).toBeLessThanOrEqual(257);
});

test("G6: a lane that is lost ends the stream with the typed error", async () => {
  const service = await openHost();
  const stream = service.streamTurn(await deferred(service), { prompt: script(["emit", 2], ["sleep", 20], ["exit", 1]) });
  const { seqs, error } = await settled(read(stream));
  expect(seqs).toEqual([1, 2]);
  expect(error).toMatchObject({ agentError: { kind: "lane_lost" } });
});

test("A39: no stream of these stories left a rejection unhandled", async () => {
  await sleep(100);
  expect(unhandled).toEqual([]);
});
