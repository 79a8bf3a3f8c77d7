/** Server-sent events: of a turn, of a session; slow and vanished clients; coming back. */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

import { EventSource } from "eventsource";
import { describe, expect, test } from "vitest";

import type { EventEnvelope } from "../../dist/src/index.js";
import { hosts, script, sharedHost } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import type { Api } from "../helpers/servers.ts";
import { servers, sharedServer } from "../helpers/servers.ts";

const openHost = hosts();
const { open: openPersistent, folder } = persistentHosts();
const serve = servers();
const shared = sharedHost();
const sharedApi = sharedServer(shared);

const emit = (http: Api, id: string, count: number) => http.post(`/v1/sessions/${id}/turns`, { prompt: script(["emit", count]) });
const numbers = (envelopes: readonly EventEnvelope[]): number[] => envelopes.map(({ seq }) => seq);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const gap = (dropped: number) => ({ event: "gap", data: { seq: 0, payload: { type: "stream_truncated", reason: { dropped } } } });

describe("a turn as events", () => {
  test("admitted, then each event with its number, then the result", async () => {
    const http = sharedApi();
    const id = await http.session();
    const events = await (await http.stream(`/v1/sessions/${id}/turns`, { prompt: script(["emit", 3], ["say", "done"]) })).rest();
    expect(events).toMatchObject([
      { event: "admitted", data: { sessionId: id } },
      ...[1, 2, 3].map((seq) => ({ event: "message", id: String(seq), data: { seq, payload: { type: "text_delta" } } })),
      { event: "result", data: { text: "done", sessionId: id } },
    ]);
  });

  test("the first turn of a new session too", async () => {
    const http = sharedApi();
    const events = await (await http.stream("/v1/sessions", { prompt: script(["emit", 2]) })).rest();
    expect(events.map(({ event }) => event)).toEqual(["admitted", "message", "message", "result"]);
  });

  test("A3: what is refused before the turn is admitted has its status", async () => {
    const http = sharedApi();
    const init = { method: "POST", body: '{"prompt":"x"}', headers: { accept: "text/event-stream", "content-type": "application/json" } };
    expect(await http.get("/v1/sessions/nobody/turns", init)).toMatchObject({ status: 404, body: { code: "SESSION_NOT_FOUND" } });
  });

  test("A1, V2: a client that reads nothing holds no turn back, and is cut off", async () => {
    const service = await openHost();
    const http = await serve(service, { writeTimeoutMs: 500 });
    const id = await http.session();
    const dead = await unread(http, `/v1/sessions/${id}/turns`, { prompt: script(["emit", 200_000]) });
    await expect.poll(async () => (await service.read(id)).state.messageCount, { timeout: 25_000 }).toBe(2);
    await dead.cutOff;
  });
});

describe("a session's events", () => {
  test("a stock EventSource follows, loses its connection, and goes on without gap or duplicate", async () => {
    const http = await serve(await openPersistent({ events: "log" }));
    const id = await http.session();
    const line = await breakable(http.server.port);
    const source = new EventSource(`http://127.0.0.1:${line.port}/v1/sessions/${id}/events`);
    const seen: number[] = [];
    const gaps: unknown[] = [];
    source.addEventListener("message", ({ data, lastEventId }) => {
      const { seq } = JSON.parse(data as string) as EventEnvelope;
      expect(lastEventId).toMatch(new RegExp(`^${seq}-\\d+$`));
      seen.push(seq);
    });
    source.addEventListener("gap", (event) => gaps.push(event));
    await new Promise((resolve) => source.addEventListener("open", resolve, { once: true }));
    await emit(http, id, 10);
    await expect.poll(() => seen.length).toBe(10);
    line.cut();
    await emit(http, id, 10);
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(20);
    expect(seen).toEqual(range(1, 20));
    expect(gaps).toEqual([]);
    source.close();
    await line.close();
  });

  test.each(["none", "log"] as const)(
    "E1, E2: a reader that comes back gets everything behind the last it saw (events: %s)",
    async (events) => {
      const http = await serve(await openPersistent({ events }));
      const id = await http.session();
      const first = await http.events(id);
      await emit(http, id, 5);
      expect(numbers(await first.upTo(3))).toEqual([1, 2, 3]);
      await first.leave();
      await emit(http, id, 5);
      const second = await http.events(id, 3);
      expect(numbers(await second.upTo(10))).toEqual(range(4, 10));
      await emit(http, id, 1);
      expect(numbers(await second.upTo(11))).toEqual([11]);
      await second.leave();
    },
  );

  test("E1: without a log, what nobody kept is a gap of exactly its size", async () => {
    const http = sharedApi();
    const id = await http.session();
    await emit(http, id, 7);
    const stream = await http.events(id, 2);
    await emit(http, id, 2);
    expect(await stream.next()).toMatchObject(gap(5));
    expect(numbers(await stream.upTo(9))).toEqual([8, 9]);
    await stream.leave();
  });

  test("E3: of what is kept the oldest goes first, and the gap says how many", async () => {
    const http = sharedApi();
    const id = await http.session();
    const watcher = await http.events(id);
    await emit(http, id, 1);
    await watcher.upTo(1);
    await watcher.leave();
    await emit(http, id, 600);
    const back = await http.events(id, 1);
    expect(await back.next()).toMatchObject(gap(88)); // 601 in all, 512 kept, one seen
    expect(numbers(await back.upTo(601))).toEqual(range(90, 601));
    await back.leave();
  });

  test("the end of the session is the end of its stream", async () => {
    const http = sharedApi();
    const id = await http.session();
    const stream = await http.events(id);
    await http.delete(`/v1/sessions/${id}`);
    expect(await stream.rest()).toEqual([{ event: "end", data: {} }]);
  });

  test("a cursor that is none is refused with its status", async () => {
    const http = sharedApi();
    const id = await http.session();
    expect(await http.get(`/v1/sessions/${id}/events?after=x`)).toMatchObject({ status: 400, body: { code: "INVALID_PARAMS" } });
    expect(await http.get(`/v1/sessions/${id}/events?afer=1`)).toMatchObject({ status: 400, body: { errors: [{ field: "afer" }] } });
  });

  test("E1: what a crash undid is told to a client that comes back with an event of it, though its number was given again", async () => {
    const store = { kind: "lmdb", path: folder() } as const;
    const first = await openPersistent({ events: "log", store });
    const before = await serve(first);
    const id = await before.session();
    const stream = await before.events(id, 0);
    await emit(before, id, 8);
    const ids: string[] = [];
    while (ids.length < 8) ids.push((await stream.next())?.id ?? "none");
    const life = ids[7]?.split("-")[1];
    expect(ids).toEqual(range(1, 8).map((seq) => `${seq}-${life}`));
    await before.server.close();
    await first.shutdown();

    const http = await serve(await openPersistent({ events: "log", store }));
    await emit(http, id, 3);
    const back = await http.events(id, `10-${life}`); // it saw two more than the log has
    expect(await back.next()).toMatchObject({ event: "gap", data: { payload: { reason: { kind: "rolled_back", dropped: 2 } } } });
    expect(numbers(await back.upTo(11))).toEqual([9, 10, 11]);
    await back.leave();
    for (const after of [9, `8-${life}`, ids[7] as string]) {
      const other = await http.events(id, after);
      expect(numbers(await other.upTo(11))).toEqual(range(after === 9 ? 10 : 9, 11));
      await other.leave();
    }
  });

  test("E1: a cursor from the future is refused with a status, so that a stock EventSource does not come back with it for ever", async () => {
    const service = await openPersistent({ events: "log" });
    const http = await serve(service);
    const id = await http.session();
    await emit(http, id, 2);
    for (const after of ["99", "99-1"]) {
      const { status, body } = await http.get(`/v1/sessions/${id}/events?after=${after}`);
      expect({ status, body }).toMatchObject({ status: 400, body: { code: "INVALID_PARAMS" } });
    }
    const source = new EventSource(`${http.url}/v1/sessions/${id}/events?after=99`);
    await new Promise((resolve) => source.addEventListener("error", resolve, { once: true }));
    expect(source.readyState).toBe(EventSource.CLOSED);
    expect(service.inspect().subscribers).toBe(0);
  });

  test("E1: without a log, a number that comes again is one that a crash undid", async () => {
    const http = sharedApi();
    const id = await http.session();
    await emit(http, id, 3);
    const stream = await http.events(id, 5);
    await emit(http, id, 3);
    expect(await stream.next()).toMatchObject({ event: "gap", data: { payload: { reason: { kind: "rolled_back", dropped: 2 } } } });
    expect(numbers(await stream.upTo(6))).toEqual([4, 5, 6]);
    await stream.leave();
  });

  test("E1: without a log, what took the place of undone events is kept for who comes back later, too", async () => {
    const http = sharedApi();
    const id = await http.session();
    await emit(http, id, 3);
    const watcher = await http.events(id);
    await emit(http, id, 3);
    const back = await http.events(id, 10);
    expect(await back.next()).toMatchObject({ event: "gap", data: { payload: { reason: { kind: "rolled_back", dropped: 7 } } } });
    expect(numbers(await back.upTo(6))).toEqual([4, 5, 6]);
    await emit(http, id, 1);
    expect(numbers(await back.upTo(7))).toEqual([7]);
    await back.leave();
    await watcher.leave();
  });

  test("without a log, a cursor of one is refused and leaves nothing behind", async () => {
    const service = await openHost();
    const http = await serve(service);
    const id = await http.session();
    for (const after of ["abc", "3-1"]) {
      expect(await http.get(`/v1/sessions/${id}/events?after=${after}`)).toMatchObject({ status: 400, body: { code: "INVALID_PARAMS" } });
    }
    expect(service.inspect().subscribers).toBe(0);
  });

  test("V3: a silent stream says that it is alive", async () => {
    const http = await serve(await openHost(), { heartbeatMs: 100 });
    const response = await fetch(`${http.url}/v1/sessions/${await http.session()}/events`);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    while (!text.includes(": hb\n\n")) text += new TextDecoder().decode((await reader.read()).value);
    expect(text).toBe("retry: 1000\n\n: hb\n\n");
    await reader.cancel();
  });

  test("a dead reader slows no turn: others see every event", async () => {
    const service = await openHost();
    const http = await serve(service, { writeTimeoutMs: 60_000 });
    const id = await http.session();
    const dead = await unread(http, `/v1/sessions/${id}/events`);
    const alive = await http.events(id);
    const turns = 10;
    const seen = alive.upTo(turns * 500);
    for (let i = 0; i < turns; i++) await http.post(`/v1/sessions/${id}/turns`, { prompt: script(["emit", 500]) });
    expect(numbers(await seen)).toEqual(range(1, turns * 500));
    await alive.leave();
    dead.socket.destroy();
  });
});

/** Ask for a stream and never read it. @returns what settles when the server has cut it off */
async function unread(http: Api, path: string, body?: unknown): Promise<{ socket: Socket; cutOff: Promise<void> }> {
  const socket = connect(http.server.port, "127.0.0.1");
  const text = body === undefined ? "" : JSON.stringify(body);
  const content = body === undefined ? "" : `content-type: application/json\r\ncontent-length: ${text.length}\r\n`;
  socket.write(
    `${body === undefined ? "GET" : "POST"} ${path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n${content}\r\n${text}`,
  );
  await new Promise((resolve) => socket.once("readable", resolve)); // it has begun to answer
  const cutOff = new Promise<void>((resolve) => {
    socket.once("close", () => resolve()).on("error", () => {});
    setTimeout(() => socket.resume(), 5000).unref(); // what is in the kernel hides the end
  });
  return { socket, cutOff };
}

/** A line to the server that can be cut. */
async function breakable(port: number): Promise<{ port: number; cut: () => void; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const close = (): Promise<void> => {
    cut();
    return new Promise((resolve) => proxy.close(() => resolve()));
  };
  return { port: (proxy.address() as AddressInfo).port, cut, close };
}
