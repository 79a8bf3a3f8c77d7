/** Clients that leave before they are answered, of turns that shall end with their connection. */
import { request } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";

import { afterAll, afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

import type { EphemeralSessionService, StartTurnRequest } from "../../dist/src/index.js";
import type { ServableService, ServerOptions } from "../../dist/src/server/index.js";
import { gate, hosts, script, settled, sleep, until } from "../helpers/hosts.ts";
import { keyFileOf } from "../helpers/keys.ts";
import type { Answer, Api } from "../helpers/servers.ts";
import { servers } from "../helpers/servers.ts";

const openHost = hosts();
const serve = servers();
const { file, keys, remove } = keyFileOf({ acme: { tenant: "acme", role: "run" } });
afterAll(remove);

const clients: ClientRequest[] = [];
const sockets: WebSocket[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  for (const socket of sockets.splice(0)) socket.terminate();
});

const running = (service: EphemeralSessionService): number => service.inspect().turns.running;

interface Client {
  readonly answer: Promise<Pick<Answer, "status" | "body"> & { isReplay: boolean }>;
  leave(): void;
}
/** Ask for a turn that ends with its client, over a connection of its own. */
function turn(http: Api, id: string, body: StartTurnRequest, headers: Record<string, string> = {}): Client {
  const options = { method: "POST", agent: false, headers: { "content-type": "application/json", ...headers } };
  const client = request(`${http.url}/v1/sessions/${id}/turns`, options);
  clients.push(client);
  const answer = new Promise<IncomingMessage>((resolve, reject) => client.once("response", resolve).once("error", reject)).then(
    async (got) => ({
      status: got.statusCode ?? 0,
      isReplay: got.headers["idempotency-replayed"] === "true",
      body: JSON.parse(Buffer.concat(await got.toArray()).toString()) as Record<string, unknown>,
    }),
  );
  answer.catch(() => {}); // it leaves
  client.end(JSON.stringify({ ...body, cancelOnDisconnect: true }));
  return { answer, leave: () => client.destroy() };
}

describe("with an Idempotency-Key", () => {
  const KEY = { "idempotency-key": "k" };

  test("a run that another one waits for too goes on when the first has left", async () => {
    const service = await openHost();
    const http = await serve(service);
    const id = await http.session();
    const body = { prompt: script(["sleep", 400], ["say", "done"]) };
    const first = turn(http, id, body, KEY);
    await until("it runs", () => running(service) === 1);
    const again = turn(http, id, body, KEY);
    await sleep(50);
    first.leave();
    expect(await settled(again.answer)).toMatchObject({ status: 200, body: { text: "done" } });
    expect((await service.read(id)).state.messageCount).toBe(2);
  });

  test("so does one that waits for its session", async () => {
    const service = await openHost();
    const http = await serve(service);
    const id = await http.session();
    void service.startTurn(id, { prompt: script(["sleep", 400]) });
    const body: StartTurnRequest = { prompt: script(["say", "done"]), onBusy: "enqueue" };
    const first = turn(http, id, body, KEY);
    await until("it waits", () => service.inspect().turns.waiting === 1);
    const again = turn(http, id, body, KEY);
    await sleep(50);
    first.leave();
    expect(await settled(again.answer)).toMatchObject({ status: 200, body: { text: "done" } });
  });

  test("it ends with the last of them; what comes while it ends, and later, is done again", async () => {
    const service = await openHost();
    const http = await serve(service);
    const id = await http.session();
    const body = { prompt: script(["sleepThrough", 200], ["say", "done"]) };
    const [first, second] = [turn(http, id, body, KEY), turn(http, id, body, KEY)];
    await until("it runs", () => running(service) === 1);
    await sleep(50);
    first.leave();
    second.leave();
    await sleep(50);
    const third = await settled(turn(http, id, body, KEY).answer);
    expect([third.status, third.body["text"], third.isReplay]).toEqual([200, "done", false]);
    const longer = { prompt: script(["sleep", 400], ["say", "longer"]) };
    const fourth = turn(http, id, longer, { "idempotency-key": "l" });
    await until("it runs", () => running(service) === 1);
    fourth.leave();
    await until("it has ended", () => running(service) === 0);
    await sleep(50);
    const fifth = await settled(turn(http, id, longer, { "idempotency-key": "l" }).answer);
    expect([fifth.status, fifth.body["text"]]).toEqual([200, "longer"]);
  });
});

test("a client that has left before its turn is started is seen to have left", async () => {
  const service = await openHost();
  const { promise, open } = gate();
  let asked = 0;
  const slow = new Proxy(service, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      if (name !== "read") return member.bind(target) as unknown;
      return async (id: string) => {
        asked++;
        await promise;
        return target.read(id);
      };
    },
  }) as unknown as ServableService;
  const http = await serve(slow, { auth: { keyFile: file, reloadMs: 60_000 } });
  const { sessionId } = await service.createSession({ prompt: "", initialTurn: "defer", labels: { "warren.tenant": "acme" } });
  const client = turn(http, sessionId, { prompt: script(["sleep", 60_000]) }, { authorization: `Bearer ${keys.acme}` });
  await until("it is asked whose session it is", () => asked > 0);
  client.leave();
  await sleep(100);
  open();
  await sleep(200);
  expect(running(service)).toBe(0);
});

describe("before its turn is admitted", () => {
  const logged: string[] = [];
  const note = (_fields: Record<string, unknown>, message: string): void => void logged.push(message);
  const logger = { debug: () => {}, info: () => {}, warn: note, error: note } as NonNullable<ServerOptions["logger"]>;
  const waiting: StartTurnRequest = { prompt: "never", onBusy: "enqueue" };

  test("a client that leaves is no mistake of the server's", async () => {
    const service = await openHost();
    const http = await serve(service, { logger });
    const id = await http.session();
    void service.startTurn(id, { prompt: script(["sleep", 600]) });
    const client = turn(http, id, waiting);
    const socket = new WebSocket(`${http.url.replace("http", "ws")}/v1/ws`);
    sockets.push(socket);
    await new Promise((resolve) => socket.once("open", resolve));
    socket.send(JSON.stringify({ op: "start", ref: 1, sessionId: id, request: { ...waiting, cancelOnDisconnect: true } }));
    await until("both wait", () => service.inspect().turns.waiting === 2);
    client.leave();
    socket.terminate();
    await until("both have left", () => service.inspect().turns.waiting === 0);
    await sleep(50);
    expect(logged).toEqual([]);
    const metrics = (await http.get<string>("/metrics")).body as unknown as string;
    expect(metrics.split("\n").filter((line) => line.includes("http") && line.includes('status="5'))).toEqual([]);
  });
});
