/** What one tenant can do to another's sessions by creating its own: nothing, and it learns nothing of them. */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

import type { Session } from "../../dist/src/index.js";
import type { ServableService } from "../../dist/src/server/index.js";
import { until } from "../helpers/hosts.ts";
import { keyFileOf } from "../helpers/keys.ts";
import { PEERS } from "../helpers/peers.ts";
import { contents, persistentHosts } from "../helpers/persistent-hosts.ts";
import type { Answer, Api } from "../helpers/servers.ts";
import { expectProblem, servers } from "../helpers/servers.ts";

const { open } = persistentHosts();
const serve = servers();
const { file, keys, remove } = keyFileOf({
  acme: { tenant: "acme", role: "run" },
  rival: { tenant: "rival", role: "run" },
  admin: { role: "admin" },
});
afterAll(remove);
type Who = keyof typeof keys;

const withKeys = (service: ServableService): Promise<Api> => serve(service, { auth: { keyFile: file, reloadMs: 60_000 } });
const post = <T = Record<string, unknown>>(http: Api, who: Who, path: string, body: unknown): Promise<Answer<T>> =>
  http.post<T>(path, body, { authorization: `Bearer ${keys[who]}` });
const create = (http: Api, who: Who, body: Record<string, unknown>): Promise<Answer> =>
  post(http, who, "/v1/sessions", { initialTurn: "defer", ...body });
async function idOf(answer: Promise<Answer>): Promise<string> {
  const { status, body } = await answer;
  expect(status).toBe(201);
  return String(body["sessionId"]);
}

const sockets: WebSocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate();
});
/** @returns what one message over a WebSocket is answered with */
function said(http: Api, who: Who, message: object): Promise<Record<string, unknown>> {
  const socket = new WebSocket(`${http.url.replace("http", "ws")}/v1/ws`, { headers: { authorization: `Bearer ${keys[who]}` } });
  sockets.push(socket);
  return new Promise((resolve, reject) => {
    socket.once("open", () => socket.send(JSON.stringify(message))).once("error", reject);
    socket.once("message", (data: Buffer) => resolve(JSON.parse(data.toString()) as Record<string, unknown>));
  });
}

describe("a session that is resumed", () => {
  const NOBODYS = "019a0000-0000-7000-8000-000000000000";
  const resumed = (id: string, what: Partial<Session> = {}): Record<string, unknown> => {
    const session = { version: 1, id, messages: [], createdAt: 1, updatedAt: 9e15, metadata: {}, ...what };
    return { build: { resumeSession: { ...session, usage: { inputTokens: 0, outputTokens: 0 } } } };
  };

  test("N1: another tenant's, asleep or live, and one that was never there are told alike, and nothing happens to them", async () => {
    const service = await open();
    const http = await withKeys(service);
    const [asleep, live] = [
      await idOf(create(http, "acme", { initialTurn: "run_immediately", prompt: "mine" })),
      await idOf(create(http, "acme", {})),
    ];
    await service.hibernate(asleep);
    const before = await service.exportSession(asleep);
    for (const id of [asleep, live, NOBODYS]) {
      const problem = expectProblem(await create(http, "rival", resumed(id)), 404, "SESSION_NOT_FOUND");
      expect(problem.detail.replace(id, "ID")).toBe("session not found: ID");
      const over = await said(http, "rival", { op: "create", ref: 1, request: { initialTurn: "defer", ...resumed(id) } });
      expect(over).toMatchObject({ type: "problem", ref: 1, problem: { code: "SESSION_NOT_FOUND" } });
    }
    expect(await service.exportSession(asleep)).toEqual(before);
    expect(await service.list()).toMatchObject([asleep, live].map((sessionId) => ({ sessionId, labels: { "warren.tenant": "acme" } })));
  });

  test("its own is resumed, and stays its own whatever labels the request or the session names", async () => {
    const service = await open();
    const http = await withKeys(service);
    const id = await idOf(create(http, "acme", { initialTurn: "run_immediately", prompt: "first" }));
    await service.hibernate(id);
    const messages = [{ role: "user" as const, content: "edited" }];
    const metadata = { session_labels: { "warren.tenant": "rival" } };
    expect(await idOf(create(http, "acme", resumed(id, { messages, metadata })))).toBe(id);
    expect(contents((await service.exportSession(id)).messages)).toEqual(["edited"]);
    expect((await service.read(id)).state.labels).toEqual({ "warren.tenant": "acme" });
  });

  test("with an Idempotency-Key it is resumed once", async () => {
    const service = await open();
    const http = await withKeys(service);
    const id = await idOf(create(http, "acme", { initialTurn: "run_immediately", prompt: "first" }));
    await service.hibernate(id);
    const again = resumed(id, { messages: [{ role: "user", content: "edited" }] });
    const send = () =>
      http.post("/v1/sessions", { initialTurn: "defer", ...again }, { authorization: `Bearer ${keys.acme}`, "idempotency-key": "once" });
    expect(await idOf(send())).toBe(id);
    await post(http, "acme", `/v1/sessions/${id}/turns`, { prompt: "more" });
    const { status, headers } = await send();
    expect([status, headers.get("idempotency-replayed")]).toEqual([201, "true"]);
    expect(contents((await service.exportSession(id)).messages)).toContain("more");
  });

  test("an admin resumes any, also one that is not there", async () => {
    const service = await open();
    const http = await withKeys(service);
    expect(await idOf(create(http, "admin", resumed(NOBODYS)))).toBe(NOBODYS);
    expectProblem(await create(http, "acme", resumed(NOBODYS)), 404, "SESSION_NOT_FOUND");
  });

  test("what is no session is refused by its field", async () => {
    const http = await withKeys(await open());
    for (const [build, field] of [
      [{ resumeSession: { id: 1 } }, "build.resumeSession"],
      [[{ resumeSession: 1 }], "build"],
    ] as const) {
      const problem = expectProblem(await create(http, "acme", { build }), 400, "INVALID_PARAMS");
      expect(problem.errors?.[0]?.field).toMatch(new RegExp(`^${field}`));
    }
  });
});

describe("names among peers", () => {
  const named = (commsName: string, trusted: string[] = [], extra: object = {}): Record<string, unknown> => ({
    build: { commsName, trustedPeers: trusted, ...extra },
  });
  const run = async (http: Api, who: Who, id: string, ...steps: unknown[]): Promise<unknown> => {
    const { body } = await post(http, who, `/v1/sessions/${id}/turns`, { prompt: JSON.stringify(steps) });
    return JSON.parse(String(body["text"]));
  };
  const message = (to: string): unknown => ["send", { kind: "peer_message", to, body: "x" }];

  test("are a tenant's own: the same one may be another's, and reaches nobody there", async () => {
    const service = await open({ agent: PEERS });
    const http = await withKeys(service);
    for (const realm of [{}, { realmId: "r".repeat(256) }]) {
      const planner = await idOf(create(http, "acme", named("planner", ["builder"], realm)));
      const builder = await idOf(create(http, "rival", named("builder", ["planner"], realm)));
      expect(await run(http, "rival", builder, ["peers"], message("planner"))).toEqual([[], "comms_peer_offline"]);
      const own = await idOf(create(http, "rival", named("planner", ["builder"], realm)));
      expect(await run(http, "rival", own, ["peers"], message("builder"))).toEqual([[{ name: "builder" }], "peer_message to builder"]);
      expect(await run(http, "rival", builder, ["drain"])).toMatchObject([[{ from: "planner", body: "x" }]]);
      expect(await run(http, "acme", planner, ["peers"], ["drain"])).toEqual([[], []]);
      expectProblem(await create(http, "acme", named("planner", [], realm)), 400, "INVALID_PARAMS");
      for (const id of [planner, builder, own]) await service.archive(id);
    }
  });

  test("are apart from those of sessions without a tenant, and of tenants that a realm pretends to be", async () => {
    const http = await withKeys(await open({ agent: PEERS }));
    const realms = ["", "acme", "4:acme", ":", "4:acme0:"];
    for (const realmId of realms) await idOf(create(http, "admin", named("n", ["n"], { realmId })));
    for (const realmId of realms) await idOf(create(http, "rival", named("n", ["n"], { realmId })));
    expect((await create(http, "acme", named("n"))).status).toBe(201);
  });

  test("stay a tenant's own while its session sleeps", async () => {
    const service = await open({ agent: PEERS });
    const http = await withKeys(service);
    const asleep = await idOf(create(http, "acme", named("planner", ["builder"])));
    await service.hibernate(asleep);
    await until("it sleeps", () => service.inspect().sessions.live === 0);
    await idOf(create(http, "rival", named("planner")));
    const builder = await idOf(create(http, "acme", named("builder", ["planner"])));
    expect(await run(http, "acme", asleep, ["peers"])).toEqual([[{ name: "builder" }]]);
    expect(await run(http, "acme", builder, ["peers"])).toEqual([[{ name: "planner" }]]);
  });
});
