/** A running server: quotas, tickets, what browsers are told, and when it does not start. */
import { request } from "node:http";

import { afterAll, afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

import type { SessionService } from "../../dist/src/index.js";
import { SessionError } from "../../dist/src/index.js";
import type { ServerOptions } from "../../dist/src/server/index.js";
import { UnsafeListenError, WarrenServer } from "../../dist/src/server/index.js";
import { script, sharedHost, until } from "../helpers/hosts.ts";
import { keyFileOf } from "../helpers/keys.ts";

const host = sharedHost({ lanes: { count: 1 } });
const { file, keys, remove } = keyFileOf({
  a: { tenant: "a", role: "run" },
  b: { tenant: "b", role: "run" },
  c: { tenant: "c", role: "run" },
  d: { tenant: "d", role: "run" },
  e: { tenant: "e", role: "run" },
  admin: { role: "admin" },
});
afterAll(remove);
const open: WarrenServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});
async function start(options: ServerOptions = {}): Promise<WarrenServer> {
  const server = await WarrenServer.start(host() as SessionService, { port: 0, ...options });
  open.push(server);
  return server;
}
const withKeys = (options: ServerOptions = {}): Promise<WarrenServer> => start({ auth: { keyFile: file, reloadMs: 60_000 }, ...options });

interface Asked {
  readonly key?: string;
  readonly body?: object;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}
function ask(server: WarrenServer, method: string, path: string, { key, body, headers, signal }: Asked = {}): Promise<Response> {
  return fetch(server.url + path, {
    method,
    headers: { ...(key && { authorization: `Bearer ${key}` }), ...(body && { "content-type": "application/json" }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
}
/** The body is read too: a server that closes waits for those who have not read theirs. */
async function headersOf(server: WarrenServer, path: string, asked: Asked = {}): Promise<Headers> {
  const answer = await ask(server, "GET", path, asked);
  await answer.arrayBuffer();
  return answer.headers;
}
const create = (server: WarrenServer, key: string, body: object = { initialTurn: "defer" }): Promise<Response> =>
  ask(server, "POST", "/v1/sessions", { key, body });
const idOf = async (answer: Response | Promise<Response>): Promise<string> =>
  ((await (await answer).json()) as { sessionId: string }).sessionId;
const codeOf = async (answer: Response): Promise<[status: number, code: unknown, retryAfter: string | null]> => [
  answer.status,
  ((await answer.json()) as { code?: unknown }).code,
  answer.headers.get("retry-after"),
];
const limitsOf = ({ headers }: Response): (string | null)[] => [headers.get("ratelimit-policy"), headers.get("ratelimit")];

describe("quotas", () => {
  test("sessions: as many as the tenant may have, whatever becomes of first turns; one that ends makes room, once", async () => {
    const server = await withKeys({ quotas: { default: { sessions: 2 } } });
    const first = await idOf(create(server, keys.a));
    const failing = await create(server, keys.a, { prompt: script(["throw", "no"]) });
    expect(failing.status).toBe(500);
    const full = await create(server, keys.a);
    expect(limitsOf(full)).toEqual(['"sessions";q=2', '"sessions";r=0']);
    expect(await codeOf(full)).toEqual([429, "QUOTA_EXCEEDED", "30"]);
    expect(await codeOf(await ask(server, "POST", `/v1/sessions/${first}/fork`, { key: keys.a, body: {} }))).toEqual([
      429,
      "QUOTA_EXCEEDED",
      "30",
    ]);
    expect((await create(server, keys.admin)).status).toBe(201);
    expect((await ask(server, "DELETE", `/v1/sessions/${first}`, { key: keys.a })).status).toBe(204);
    await ask(server, "DELETE", `/v1/sessions/${first}`, { key: keys.a });
    expect((await create(server, keys.a)).status).toBe(201);
    expect((await create(server, keys.a)).status).toBe(429);
  });

  test("turns at a time: until the turn has ended, though its client has left; other tenants are not held back", async () => {
    const server = await withKeys({ quotas: { tenants: { b: { concurrentTurns: 1 } } } });
    const [id, other] = [await idOf(create(server, keys.b)), await idOf(create(server, keys.c))];
    const turn = (key: string, session: string, asked: Asked): Promise<Response> =>
      ask(server, "POST", `/v1/sessions/${session}/turns`, { key, ...asked });
    const leave = new AbortController();
    const stream = await turn(keys.b, id, {
      body: { prompt: script(["sleep", 60_000]) },
      headers: { accept: "text/event-stream" },
      signal: leave.signal,
    });
    expect([stream.status, ...limitsOf(stream)]).toEqual([200, '"concurrent-turns";q=1', '"concurrent-turns";r=0']);
    expect(stream.headers.get("x-content-type-options")).toBe("nosniff");
    leave.abort();
    expect(await codeOf(await turn(keys.b, id, { body: { prompt: "x" } }))).toEqual([429, "QUOTA_EXCEEDED", "1"]);
    expect(await codeOf(await create(server, keys.b, { prompt: "x" }))).toEqual([429, "QUOTA_EXCEEDED", "1"]);
    const free = await turn(keys.c, other, { body: { prompt: "x" } });
    expect([free.status, ...limitsOf(free)]).toEqual([200, null, null]);
    expect((await ask(server, "POST", `/v1/sessions/${id}/interrupt`, { key: keys.b, body: {} })).status).toBe(200);
    await until("the turn's place is free", async () => (await turn(keys.b, id, { body: { prompt: "x" } })).status === 200);
    for (let n = 0; n < 3; n++) expect((await turn(keys.b, id, { body: { prompt: script(["throw", "no"]) } })).status).toBe(500);
  });

  test("turns a second: refused with when to come again; what is refused has started nothing", async () => {
    const server = await withKeys({ quotas: { default: { turnsPerSecond: 0.001, turnsBurst: 2 } } });
    const id = await idOf(create(server, keys.d, { prompt: "x" }));
    const turn = (): Promise<Response> => ask(server, "POST", `/v1/sessions/${id}/turns`, { key: keys.d, body: { prompt: "x" } });
    expect(limitsOf(await turn())).toEqual(['"turns";q=2;w=2000', expect.stringMatching(/^"turns";r=0;t=\d{4}$/)]);
    const refused = await turn();
    expect(await codeOf(refused.clone())).toEqual([429, "RATE_LIMITED", expect.stringMatching(/^\d{3,4}$/)]);
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    const history = await ask(server, "GET", `/v1/sessions/${id}/history`, { key: keys.d });
    expect(await history.json()).toMatchObject({ messageCount: 4 });
  });
});

describe("tickets", () => {
  test("a stream is opened with one, once; a key in an address opens nothing", async () => {
    const server = await withKeys();
    const id = await idOf(create(server, keys.a));
    const issued = await ask(server, "POST", "/v1/tickets", { key: keys.a });
    expect([issued.status, issued.headers.get("cache-control")]).toEqual([201, "no-store"]);
    const { ticket } = (await issued.json()) as { ticket: string };
    const events = async (value: string): Promise<number> => {
      const leave = new AbortController();
      const { status } = await ask(server, "GET", `/v1/sessions/${id}/events?ticket=${value}`, { signal: leave.signal });
      leave.abort();
      return status;
    };
    expect([await events(ticket), await events(ticket), await events(keys.a)]).toEqual([200, 401, 401]);
  });
});

describe("websocket", () => {
  interface Opened {
    readonly status: number;
    readonly socket?: WebSocket;
  }
  const sockets: WebSocket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.terminate();
  });
  const connect = (server: WarrenServer, path: string, headers: Record<string, string> = {}): Promise<Opened> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(server.url.replace("http", "ws") + path, "warren.json", { headers });
      sockets.push(socket);
      socket.on("open", () => resolve({ status: 101, socket }));
      socket.on("unexpected-response", (asked, answer) => {
        asked.destroy();
        resolve({ status: answer.statusCode ?? 0 });
      });
      socket.on("error", reject);
    });
  const answerTo = (socket: WebSocket, message: object): Promise<Record<string, unknown>> =>
    new Promise((resolve) => {
      socket.on("message", (data: Buffer) => {
        const answer = JSON.parse(data.toString()) as Record<string, unknown>;
        if (answer["type"] === "problem" || answer["type"] === "result") resolve(answer);
      });
      socket.send(JSON.stringify({ ref: 1, ...message }));
    });

  test("is opened with a key or a ticket, and its turns count like any others", async () => {
    const server = await withKeys({ quotas: { default: { sessions: 1, concurrentTurns: 1 } } });
    expect((await connect(server, "/v1/ws")).status).toBe(401);
    expect((await connect(server, `/v1/ws?ticket=${keys.e}`)).status).toBe(401);
    const { ticket } = (await (await ask(server, "POST", "/v1/tickets", { key: keys.e })).json()) as { ticket: string };
    const { socket } = await connect(server, `/v1/ws?ticket=${ticket}`);
    expect((await connect(server, `/v1/ws?ticket=${ticket}`)).status).toBe(401);
    const created = await answerTo(socket as WebSocket, { op: "create", request: { prompt: "x" } });
    expect(created).toMatchObject({ type: "result", result: { text: "x" } });
    const { sessionId } = created["result"] as { sessionId: string };
    const { socket: other } = await connect(server, "/v1/ws", { authorization: `Bearer ${keys.e}` });
    expect(await answerTo(other as WebSocket, { op: "create", request: { prompt: "x" } })).toMatchObject({
      type: "problem",
      problem: { code: "QUOTA_EXCEEDED", details: { quota: "sessions" } },
    });
    const path = `/v1/sessions/${sessionId}`;
    const long = ask(server, "POST", `${path}/turns`, { key: keys.e, body: { prompt: script(["sleep", 60_000]) } });
    await until("it runs", async () =>
      JSON.stringify(await (await ask(server, "GET", path, { key: keys.e })).json()).includes('"isActive":true'),
    );
    const { socket: third } = await connect(server, "/v1/ws", { authorization: `Bearer ${keys.e}` });
    expect(await answerTo(third as WebSocket, { op: "start", sessionId, request: { prompt: "x" } })).toMatchObject({
      type: "problem",
      problem: { code: "QUOTA_EXCEEDED", details: { quota: "concurrentTurns" } },
    });
    await ask(server, "POST", `${path}/interrupt`, { key: keys.e, body: {} });
    await long;
  });

  test("without authentication it is refused to pages of others", async () => {
    const server = await start();
    expect((await connect(server, "/v1/ws", { origin: "https://elsewhere.example" })).status).toBe(403);
    expect((await connect(server, "/v1/ws", { host: "rebound.example" })).status).toBe(403);
    expect((await connect(server, "/v1/ws", { origin: server.url })).status).toBe(101);
  });
});

describe("browsers", () => {
  test("every answer says what pages may do, and none says that other sites may read it", async () => {
    const server = await withKeys();
    for (const path of ["/healthz", "/docs", "/docs/viewer.css", "/v1/host", "/nowhere", "/openapi.json"]) {
      const headers = await headersOf(server, path, { headers: { origin: "https://elsewhere.example" } });
      expect([path, headers.get("content-security-policy")]).toEqual([
        path,
        expect.stringMatching(/^default-src 'self'; .*frame-ancestors 'none'/),
      ]);
      expect([headers.get("x-content-type-options"), headers.get("referrer-policy")]).toEqual(["nosniff", "no-referrer"]);
      expect(headers.get("access-control-allow-origin")).toBeNull();
    }
    expect((await headersOf(server, "/docs")).get("content-security-policy")).toContain("style-src 'self' 'unsafe-inline'");
    expect((await headersOf(server, "/healthz")).get("content-security-policy")).not.toContain("unsafe");
  });

  test("sites that are named may call, and they alone", async () => {
    const server = await withKeys({ origins: ["https://named.example"] });
    const preflight = (origin: string): Promise<Response> =>
      ask(server, "OPTIONS", "/v1/sessions", { headers: { origin, "access-control-request-method": "POST" } });
    const named = await preflight("https://named.example");
    expect([named.status, named.headers.get("access-control-allow-origin")]).toEqual([204, "https://named.example"]);
    expect(named.headers.get("access-control-allow-headers")).toMatch(/authorization/i);
    expect(named.headers.get("access-control-allow-credentials")).toBeNull();
    expect((await preflight("https://elsewhere.example")).headers.get("access-control-allow-origin")).toBeNull();
    const read = await ask(server, "GET", "/v1/sessions", { key: keys.a, headers: { origin: "https://named.example" } });
    expect([read.status, read.headers.get("access-control-allow-origin")]).toEqual([200, "https://named.example"]);
  });

  test("without authentication, nothing for a name that is not this machine's, nor for pages of others", async () => {
    const server = await start();
    const status = (headers: Record<string, string>, path = "/v1/sessions"): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const asked = request(server.url + path, { headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        asked.on("error", reject).end();
      });
    const name = `127.0.0.1:${server.port}`;
    expect(await status({ host: name })).toBe(200);
    expect(await status({ host: `localhost:${server.port}`, origin: `http://localhost:${server.port}` })).toBe(200);
    expect(await status({ host: "rebound.example" })).toBe(403);
    expect(await status({ host: "rebound.example" }, "/docs")).toBe(403);
    expect(await status({ host: name, origin: "https://elsewhere.example" })).toBe(403);
    expect(await status({ host: name, origin: "null" })).toBe(403);
  });
});

describe("start", () => {
  const refusal = async (options: ServerOptions): Promise<unknown> => start(options).then(() => "it started", (error: unknown) => error); // prettier-ignore

  test("not at an address that others reach, without authentication", async () => {
    for (const address of ["0.0.0.0", "::", "192.0.2.1", "example.invalid"]) {
      const error = await refusal({ host: address });
      expect(error).toBeInstanceOf(UnsafeListenError);
      expect(error).toMatchObject({ code: "UNSAFE_LISTEN", host: address });
    }
    expect((await withKeys({ host: "0.0.0.0" })).port).toBeGreaterThan(0);
    expect((await start({ host: "localhost" })).port).toBeGreaterThan(0);
  });

  test("not on options or keys that are wrong", async () => {
    for (const [options, field] of [
      [{ auth: {} }, "options.auth"],
      [{ auth: { keyFile: "x", more: 1 } }, "options.auth.more"],
      [{ origins: ["*"] }, "options.origins.0"],
      [{ origins: ["https://x.example/"] }, "options.origins.0"],
      [{ quotas: { default: { turns: 1 } } }, "options.quotas.default.turns"],
    ] as [ServerOptions, string][]) {
      const error = await refusal(options);
      expect(error).toBeInstanceOf(SessionError);
      expect(error).toMatchObject({ code: "INVALID_PARAMS", details: { field } });
    }
    expect(await refusal({ auth: { keyFile: "/nowhere/keys.json" } })).toMatchObject({ message: expect.stringMatching(/ENOENT/) });
  });
});
