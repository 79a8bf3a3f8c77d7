/** What one tenant can do to another's sessions by creating its own: nothing, and it learns nothing of them. */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

import type { Session } from "../../dist/src/index.js";
import type { ServableService } from "../../dist/src/server/index.js";
import { keyFileOf } from "../helpers/keys.ts";
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
