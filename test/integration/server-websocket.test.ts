/** Many sessions over one WebSocket: JSON and msgpack, what is wrong, clients that vanish. */
import { Packr } from "msgpackr";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

import type { EventEnvelope } from "../../dist/src/index.js";
import { hosts, script, settled, sharedHost } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import type { Api } from "../helpers/servers.ts";
import { servers, sharedServer } from "../helpers/servers.ts";

const openHost = hosts();
const { open: openPersistent } = persistentHosts();
const serve = servers();
const shared = sharedHost();
const sharedApi = sharedServer(shared);

type Message = Record<string, unknown> & { type: string };
const packr = new Packr({ useRecords: false });

/** A client that keeps what it is told until somebody asks. */
class Line {
  readonly socket: WebSocket;
  readonly #isPacked: boolean;
  readonly #told: Message[] = [];
  #waiting: (() => void) | undefined;

  constructor(api: Api, protocol: "warren.json" | "warren.msgpack") {
    this.socket = new WebSocket(`${api.url.replace("http", "ws")}/v1/ws`, protocol);
    this.#isPacked = protocol === "warren.msgpack";
    this.socket.on("message", (data: Buffer, isBinary: boolean) => {
      this.#told.push((isBinary ? packr.unpack(data) : JSON.parse(data.toString())) as Message);
      this.#waiting?.();
    });
  }

  async open(): Promise<this> {
    await new Promise((resolve, reject) => this.socket.once("open", resolve).once("error", reject));
    return this;
  }

  say(message: unknown): void {
    this.socket.send(this.#isPacked ? packr.pack(message) : JSON.stringify(message));
  }

  async next(): Promise<Message> {
    while (this.#told.length === 0) await new Promise<void>((resolve) => (this.#waiting = resolve));
    return this.#told.shift() as Message;
  }

  /** The next message that answers `ref`; others are dropped. */
  async answer(ref: number): Promise<Message> {
    for (;;) {
      const message = await this.next();
      if (message["ref"] === ref) return message;
    }
  }
}

const lines: Line[] = [];
afterEach(() => {
  for (const { socket } of lines.splice(0)) socket.terminate();
});
async function line(api: Api, protocol: "warren.json" | "warren.msgpack" = "warren.json"): Promise<Line> {
  const made = new Line(api, protocol);
  lines.push(made);
  return made.open();
}

describe.each(["warren.json", "warren.msgpack"] as const)("%s", (protocol) => {
  test("Z1, Z2: create, subscribe, start, events, result, interrupt", async () => {
    const client = await line(sharedApi(), protocol);
    client.say({ op: "create", ref: 1, request: { initialTurn: "defer", labels: { of: protocol } } });
    const { result } = (await client.answer(1)) as unknown as { result: { sessionId: string } };
    const { sessionId } = result;
    client.say({ op: "subscribe", ref: 2, sessionId });
    expect(await client.next()).toEqual({ type: "ok", ref: 2 });
    client.say({ op: "start", ref: 3, sessionId, request: { prompt: script(["emit", 2], ["say", "done"]) } });
    expect(await client.next()).toMatchObject({ type: "admitted", ref: 3, sessionId, ticket: expect.any(Number) });
    expect(await client.next()).toMatchObject({ type: "event", sessionId, envelope: { seq: 1, payload: { type: "text_delta" } } });
    expect(await client.next()).toMatchObject({ type: "event", sessionId, envelope: { seq: 2 } });
    expect(await client.next()).toMatchObject({ type: "result", ref: 3, result: { text: "done" } });
    client.say({ op: "start", ref: 4, sessionId, request: { prompt: script(["sleep", 60_000]) } });
    const { ticket } = await client.answer(4);
    client.say({ op: "interrupt", ref: 5, sessionId, ticket });
    expect(await client.answer(5)).toEqual({ type: "ok", ref: 5 });
    expect(await client.answer(4)).toMatchObject({ type: "problem", problem: { code: "AGENT_ERROR", agentError: { kind: "cancelled" } } });
    client.say({ op: "unsubscribe", ref: 6, sessionId });
    expect(await client.answer(6)).toEqual({ type: "ok", ref: 6 });
  });
});

test("turns of many sessions run at the same time, and each answer has its own name", async () => {
  const http = sharedApi();
  const client = await line(http);
  const ids = await Promise.all(Array.from({ length: 20 }, () => http.session()));
  for (const [ref, sessionId] of ids.entries())
    client.say({ op: "start", ref, sessionId, request: { prompt: script(["sleep", 50], ["say", `of ${ref}`]) } });
  const results = new Map<unknown, unknown>();
  while (results.size < ids.length) {
    const message = await client.next();
    if (message.type === "result") results.set(message["ref"], (message["result"] as { text: string }).text);
  }
  expect([...results].every(([ref, text]) => text === `of ${String(ref)}`)).toBe(true);
});

test("a subscription goes on behind an event that was seen, and ends with its session", async () => {
  const http = sharedApi();
  const id = await http.session();
  const client = await line(http);
  client.say({ op: "subscribe", ref: 1, sessionId: id, after: 0 });
  await client.answer(1);
  await http.post(`/v1/sessions/${id}/turns`, { prompt: script(["emit", 3]) });
  for (const seq of [1, 2, 3]) expect(await client.next()).toMatchObject({ type: "event", envelope: { seq } });
  const other = await line(http);
  other.say({ op: "subscribe", ref: 1, sessionId: id, after: 1 });
  await other.answer(1);
  for (const seq of [2, 3]) expect(await other.next()).toMatchObject({ type: "event", envelope: { seq } });
  await http.delete(`/v1/sessions/${id}`);
  expect(await client.next()).toEqual({ type: "end", sessionId: id });
  expect(await other.next()).toEqual({ type: "end", sessionId: id });
});

describe("what is wrong", () => {
  test.each<[string, unknown, Record<string, unknown>]>([
    ["an unknown op", { op: "stop", ref: 1 }, { ref: 1, problem: { code: "INVALID_PARAMS" } }],
    ["no ref", { op: "interrupt", sessionId: "x" }, { problem: { code: "INVALID_PARAMS", errors: [{ field: "message.ref" }] } }],
    [
      "an unknown session",
      { op: "start", ref: 1, sessionId: "nobody", request: { prompt: "x" } },
      { ref: 1, problem: { code: "SESSION_NOT_FOUND" } },
    ],
    [
      "a wrong member",
      { op: "start", ref: 1, sessionId: "nobody", request: { prompt: 1 } },
      { ref: 1, problem: { errors: [{ field: "message.request.prompt" }] } },
    ],
    ["nothing to leave", { op: "unsubscribe", ref: "a", sessionId: "nobody" }, { ref: "a", problem: { code: "INVALID_PARAMS" } }],
    ["a list", [1], { problem: { code: "INVALID_PARAMS" } }],
  ])("%s is answered with a problem, and the line stays", async (_what, message, answer) => {
    const client = await line(sharedApi());
    client.say(message);
    expect(await client.next()).toMatchObject({ type: "problem", ...answer });
    client.socket.send("{");
    expect(await client.next()).toMatchObject({ type: "problem", problem: { code: "INVALID_PARAMS" } });
  });

  test("Y2: a client that answers no ping is cut off", async () => {
    const http = await serve(await openHost(), { heartbeatMs: 100 });
    const socket = new WebSocket(`${http.url.replace("http", "ws")}/v1/ws`, { autoPong: false });
    const code = await new Promise((resolve) => socket.once("close", resolve));
    expect(code).toBe(1006);
  });

  test("a message that is too large ends the line with the protocol's code", async () => {
    const http = await serve(await openHost(), { maxBodyBytes: 1000 });
    const client = await line(http);
    client.socket.on("error", () => {});
    client.say({ op: "interrupt", ref: 1, sessionId: "x".repeat(2000) });
    expect(await new Promise((resolve) => client.socket.once("close", resolve))).toBe(1009);
  });
});

test("Z2: the events of a turn that take the place of undone ones come before its result", async () => {
  const http = sharedApi();
  const id = await http.session();
  const client = await line(http);
  client.say({ op: "subscribe", ref: 1, sessionId: id, after: 1000 }); // seen before a crash
  client.say({ op: "start", ref: 2, sessionId: id, request: { prompt: script(["emit", 200]) } });
  const told: Message[] = [];
  while (told.at(-1)?.type !== "result") told.push(await client.next());
  const envelopes = told.filter(({ type }) => type === "event").map(({ envelope }) => envelope as EventEnvelope);
  expect(envelopes.map(({ seq }) => seq)).toEqual([0, ...Array.from({ length: 200 }, (_, index) => index + 1)]);
  expect(envelopes[0]?.payload).toMatchObject({ reason: { kind: "rolled_back", dropped: 1000 } });
});

describe("Z2: a result does not wait for events that its subscription will not have", () => {
  test("since it began behind them", async () => {
    const http = sharedApi();
    const id = await http.session();
    const client = await line(http);
    const events = shared().subscribeSessionEvents(id);
    client.say({ op: "start", ref: 1, sessionId: id, request: { prompt: script(["emit", 2], ["sleep", 300], ["say", "done"]) } });
    for (let n = 0; n < 2; n++) await events.next();
    await events.return?.();
    client.say({ op: "subscribe", ref: 2, sessionId: id });
    expect(await client.answer(2)).toEqual({ type: "ok", ref: 2 });
    expect(await settled(client.answer(1))).toMatchObject({ type: "result", result: { text: "done" } });
  });

  test.each(["none", "log"] as const)("since it named an event that is still to come; events: %s", async (events) => {
    const http = await serve(await openPersistent({ events }));
    const id = await http.session();
    const client = await line(http);
    client.say({ op: "subscribe", ref: 1, sessionId: id, after: 1000 });
    expect(await client.next()).toEqual({ type: "ok", ref: 1 });
    client.say({ op: "start", ref: 2, sessionId: id, request: { prompt: script(["emit", 2], ["say", "done"]) } });
    expect(await client.answer(2)).toMatchObject({ type: "admitted" });
    expect(await settled(client.answer(2))).toMatchObject({ type: "result", result: { text: "done" } });
  });
});

test("Z3: a client that vanishes ends no turn but those it asked for, and leaves no subscription", async () => {
  const service = await openHost();
  const http = await serve(service);
  const [keep, drop] = [await http.session(), await http.session()];
  const client = await line(http);
  for (const [ref, sessionId] of [keep, drop].entries()) {
    client.say({ op: "subscribe", ref: 10 + ref, sessionId });
    client.say({ op: "start", ref, sessionId, request: { prompt: script(["sleep", 400]), cancelOnDisconnect: sessionId === drop } });
  }
  await expect.poll(() => service.inspect().turns.running).toBe(2);
  client.socket.terminate();
  await expect.poll(() => service.inspect().turns.running, { timeout: 10_000 }).toBe(0);
  expect((await service.read(keep)).state.messageCount).toBe(2);
  expect((await service.read(drop)).state.messageCount).toBe(0);
  for (const id of [keep, drop]) await http.delete(`/v1/sessions/${id}`);
  await expect.poll(() => service.inspect().subscribers).toBe(0);
});

test("the server's close closes lines in good order", async () => {
  const http = await serve(await openHost());
  const client = await line(http);
  const code = new Promise((resolve) => client.socket.once("close", resolve));
  await http.server.close();
  expect(await code).toBe(1001);
});
