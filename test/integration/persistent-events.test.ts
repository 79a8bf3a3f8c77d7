/** The event log: streams that begin in the past and go on live, whatever happens to the session meanwhile. */
import { expect, test } from "vitest";

import type { EventEnvelope, PersistentSessionService } from "../../dist/src/index.js";
import { SCRIPTED, codeOf, deferred, errorOf, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";

const { open, folder } = persistentHosts({ events: "log" });

type Told = (number | string)[];

/** Numbers of events; of a marker what is missing, and why. */
function told({ seq, payload }: EventEnvelope): number | string {
  if (seq > 0) return seq;
  const { reason } = payload as unknown as { reason: { kind: string; dropped: number } };
  return `${reason.kind} ${reason.dropped}`;
}

/** Read on until the event of that number, or a marker that says what it did. */
async function readTo(stream: AsyncIterator<EventEnvelope>, last: number | string): Promise<Told> {
  const read: Told = [];
  while (read.at(-1) !== last) {
    const { value, done } = await settled(stream.next(), `event ${last} behind ${read.at(-1) ?? "nothing"}`);
    if (done === true) throw new Error(`the stream ended behind ${read.at(-1) ?? "nothing"}`);
    read.push(told(value));
  }
  await stream.return?.();
  return read;
}

const numbers = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
const emit = (count: number): string => script(["emit", count]);

/** What a live subscriber gets of `prompt`. */
async function envelopesOf(service: PersistentSessionService, id: string, prompt: string): Promise<EventEnvelope[]> {
  const seen: EventEnvelope[] = [];
  await service.startTurn(id, { prompt, onEvent: (event) => void seen.push(event) });
  return seen;
}

test("a stream gives the events of all turns behind its cursor, good or not, once and in order, then live; also after a restart", async () => {
  const path = folder();
  const first = await open({ store: { kind: "lmdb", path } });
  const id = await deferred(first);
  const seen = await envelopesOf(first, id, emit(3));
  expect(await kindOf(first.startTurn(id, { prompt: script(["emit", 2], ["fail", "no"]) }))).toBe("internal_error");
  const turn = first.startTurn(id, { prompt: script(["emit", 1], ["sleep", 10_000]) });
  const live = first.subscribeSessionEvents(id, { after: 0 });
  await until("it emitted", async () => told((await settled(live.next())).value as EventEnvelope) === 6);
  await live.return?.();
  await first.interrupt(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  expect(await readTo(first.subscribeSessionEvents(id, { after: 0 }), 6)).toEqual(numbers(1, 6));
  await first.shutdown();

  const second = await open({ store: { kind: "lmdb", path } });
  const cursor = seen[1]?.cursor as string;
  const streams = [0, "0", 2, cursor].map((after) => second.subscribeSessionEvents(id, { after }));
  expect(second.inspect().sessions.live).toBe(0); // reading wakes nobody
  const replayed = second.subscribeSessionEvents(id, { after: 0 });
  for (const envelope of seen) expect((await settled(replayed.next())).value).toEqual(envelope);
  await replayed.return?.();
  await second.startTurn(id, { prompt: emit(4) });
  expect(await Promise.all(streams.map((stream) => readTo(stream, 10)))).toEqual([1, 1, 3, 3].map((from) => numbers(from, 10)));
});

test("streams that begin anywhere while events are emitted, and the session sleeps and wakes, have no gap and nothing twice", async () => {
  const random = randomOf(CRASH_SEED);
  const service = await open({ lanes: { count: 2 }, maxSessions: 3 });
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) ids.push(await deferred(service));
  const TURNS = 8;
  const EVENTS = 120;
  const cursors = new Map<string, string[]>(ids.map((id) => [id, []]));
  const readers: Promise<void>[] = [];
  let isOver = false;
  const reading = (async () => {
    while (!isOver) {
      await sleep(random() * 6);
      const id = ids[Math.floor(random() * ids.length)] as string;
      const known = cursors.get(id) as string[];
      const at = Math.min(Math.floor(random() * (known.length + 1)), TURNS * EVENTS - 1);
      const after = at === 0 ? 0 : random() < 0.5 ? (known[at - 1] as string) : at;
      const stream = service.subscribeSessionEvents(id, { after, bufferSize: 1 + Math.floor(random() * 300) });
      const reader = readTo(stream, TURNS * EVENTS).then((read) =>
        expect(read, `seed ${CRASH_SEED}`).toEqual(numbers(at + 1, TURNS * EVENTS)),
      );
      reader.catch(() => {}); // awaited below, if nothing else fails before
      readers.push(reader);
    }
  })();
  const users = ids.map(async (id) => {
    for (let turn = 0; turn < TURNS;) {
      const onEvent = ({ cursor }: EventEnvelope): void => void cursors.get(id)?.push(cursor as string);
      const how = random() < 0.5 ? "emit" : "emitUnawaited";
      const code = await codeOf(service.startTurn(id, { prompt: script([how, EVENTS]), ...(random() < 0.7 && { onEvent }) }));
      // At capacity, when all that are live run.
      if (code === "ok") turn++;
      else expect(["AGENT_ERROR", "SESSION_BUSY"]).toContain(code);
      if (code === "ok" && turn < TURNS) {
        const missing = turn * EVENTS - (cursors.get(id)?.length ?? 0);
        if (missing > 0) cursors.get(id)?.push(...(await cursorsBehind(service, id, turn * EVENTS - missing, missing)));
      }
      if (random() < 0.2) await codeOf(service.hibernate(id));
    }
  });
  await settled(Promise.all(users), `a user of seed ${CRASH_SEED}`).finally(() => (isOver = true));
  await reading;
  expect(readers.length).toBeGreaterThan(20);
  await settled(Promise.all(readers), `a reader of seed ${CRASH_SEED}`);
  expect(service.inspect().subscribers).toBe(0);
});

/** Cursors of events that nobody heard, read from the log. */
async function cursorsBehind(service: PersistentSessionService, id: string, after: number, count: number): Promise<string[]> {
  const stream = service.subscribeSessionEvents(id, { after });
  const cursors: string[] = [];
  while (cursors.length < count) cursors.push(((await settled(stream.next())).value as EventEnvelope).cursor as string);
  await stream.return?.();
  return cursors;
}

test("a reader that is slower than any ring loses nothing", async () => {
  const service = await open();
  const id = await deferred(service);
  const stream = service.subscribeSessionEvents(id, { after: 0, bufferSize: 1 });
  const turn = service.startTurn(id, { prompt: emit(700) });
  const read: Told = [];
  while (read.length < 700) {
    read.push(told((await settled(stream.next())).value as EventEnvelope));
    if (read.length % 100 === 0) await sleep(5);
  }
  expect(read).toEqual(numbers(1, 700));
  await turn;
  await stream.return?.();
});

test("events that were emitted beyond the bound have a marker in their place, live and from the log alike", async () => {
  const service = await open();
  const id = await deferred(service);
  const live = service.subscribeSessionEvents(id, { bufferSize: 10_000 });
  await service.startTurn(id, { prompt: script(["emitUnawaited", 3000], ["sleep", 50], ["emit", 1]) });
  const heard = await readTo(live, 3001);
  expect(heard.filter((item) => typeof item === "string")).toHaveLength(1);
  expect(await readTo(service.subscribeSessionEvents(id, { after: 0 }), 3001)).toEqual(heard);
});

test("a cursor that is malformed, of another session, or from the future is an error, and leaves nothing behind", async () => {
  const service = await open();
  const [id, other] = [await deferred(service), await deferred(service)];
  const [event] = await envelopesOf(service, other, emit(1));
  const at = async (after: number | string): Promise<string> =>
    (await errorOf(async () => service.subscribeSessionEvents(id, { after }))).message;
  expect(await at("nonsense")).toContain("options.after: is not a cursor");
  expect(await at(-1)).toContain("options.after");
  expect(await at(event?.cursor as string)).toContain("of another session");
  const [own] = (await envelopesOf(service, id, emit(1))) as [EventEnvelope];
  const [tail, epoch] = String(own.cursor).split(".");
  for (const isAsleep of [false, true]) {
    if (isAsleep) await service.hibernate(id);
    const future = [2, ...(isAsleep ? [] : [`${tail}.${epoch}.2`]), `${tail}.${Number(epoch) + 5}.1`];
    for (const after of future) {
      const stream = service.subscribeSessionEvents(id, { after });
      expect(await errorOf(settled(stream.next()))).toMatchObject({
        code: "INVALID_PARAMS",
        message: expect.stringContaining("from the future"),
      });
      expect(await stream.next()).toEqual({ done: true, value: undefined });
    }
  }
  await expect(service.subscribeSessionEvents("nobody", { after: 0 }).next()).rejects.toMatchObject({ code: "NOT_FOUND" });
  await service.archive(id);
  await expect(service.subscribeSessionEvents(id, { after: 0 }).next()).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(service.inspect().subscribers).toBe(0);
});

test("without an event log a cursor is SESSION_PERSISTENCE_DISABLED, and envelopes have none", async () => {
  const service = await open({ events: "none" });
  const id = await deferred(service);
  expect((await envelopesOf(service, id, emit(1)))[0]?.cursor).toBeUndefined();
  expect((await errorOf(async () => service.subscribeSessionEvents(id, { after: 0 }))).code).toBe("SESSION_PERSISTENCE_DISABLED");
});

test("events that were heard and lost with their lane are told as rolled back; numbers go on, and who was there has no gap", async () => {
  const service = await open();
  const id = await deferred(service);
  await service.startTurn(id, { prompt: emit(2) });
  const there = service.subscribeSessionEvents(id, { after: 0 });
  const heard: string[] = [];
  const onEvent = ({ cursor }: EventEnvelope): void => void heard.push(cursor as string);
  const turn = service.startTurn(id, { prompt: script(["emit", 3], ["sleep", 20], ["exit", 1]), onEvent });
  expect(await kindOf(settled(turn))).toBe("lane_lost");
  expect(heard).toHaveLength(3);
  const asleep = service.subscribeSessionEvents(id, { after: heard[2] as string });
  await service.startTurn(id, { prompt: emit(2) });
  const awake = service.subscribeSessionEvents(id, { after: heard[1] as string });
  expect(await readTo(there, 7)).toEqual(numbers(1, 7));
  expect(await readTo(asleep, 7)).toEqual(["rolled_back 3", 6, 7]);
  expect(await readTo(awake, 7)).toEqual(["rolled_back 2", "stream_lagged 1", 6, 7]);
});

test("a stream that reads the past outlives the lane it asks", async () => {
  const service = await open({ interruptGraceMs: 60 });
  const [id, blocker] = [await deferred(service), await deferred(service)];
  await service.startTurn(id, { prompt: emit(2) });
  const stream = service.subscribeSessionEvents(id, { after: 0 });
  for (const seq of [1, 2]) expect(told((await settled(stream.next())).value as EventEnvelope)).toBe(seq);
  const blocked = service.startTurn(blocker, { prompt: script(["spinBlind", 10_000]) });
  const third = stream.next(); // asks the lane, which does not answer
  await sleep(50);
  await service.interrupt(blocker);
  expect(await kindOf(settled(blocked))).toBe("lane_lost");
  await service.startTurn(id, { prompt: emit(1) });
  expect(told((await settled(third)).value as EventEnvelope)).toBe(3);
  await stream.return?.();
});

test("a stream that begins while a discarded session still runs has what the turn has emitted", async () => {
  const service = await open();
  const id = await deferred(service);
  const heard: string[] = [];
  const onEvent = ({ cursor }: EventEnvelope): void => void heard.push(cursor as string);
  const turn = service.startTurn(id, { prompt: script(["emit", 3], ["sleep", 80], ["emit", 2]), onEvent });
  await until("it emitted", () => heard.length === 3);
  await service.discardLiveSession(id);
  const streams = [0, 1, heard[2] as string].map((after) => service.subscribeSessionEvents(id, { after }));
  await settled(turn);
  await service.startTurn(id, { prompt: emit(1) });
  expect(await Promise.all(streams.map((stream) => readTo(stream, 6)))).toEqual([numbers(1, 6), numbers(2, 6), numbers(4, 6)]);
});

test("a stream that reads the past ends when its session is archived", async () => {
  const service = await open({ agent: SCRIPTED });
  const id = await deferred(service);
  await service.startTurn(id, { prompt: emit(2) });
  const stream = service.subscribeSessionEvents(id, { after: 0 });
  expect(told((await settled(stream.next())).value as EventEnvelope)).toBe(1);
  await service.archive(id);
  expect(told((await settled(stream.next())).value as EventEnvelope)).toBe(2);
  expect(await settled(stream.next())).toEqual({ done: true, value: undefined });
});
