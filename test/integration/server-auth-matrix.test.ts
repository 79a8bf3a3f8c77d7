/**
 * Every route of a running server × everybody who may ask. The routes are those of its OpenAPI document: a new one that does not stand in
 * the table below fails the first test.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { PersistentSessionService } from "../../dist/src/index.js";
import { WarrenServer } from "../../dist/src/server/index.js";
import { SCRIPTED } from "../helpers/hosts.ts";
import { keyFileOf } from "../helpers/keys.ts";
import { expectNoLeaks } from "../helpers/no-leaks.ts";

interface Route {
  /** The least role; undefined: anybody. */
  readonly needs?: "read" | "run" | "admin";
  /** The status for who may. Those of a session are asked of one that is idle. */
  readonly ok: number;
  readonly body?: object;
}

const ROUTES: Record<string, Route> = {
  "GET /healthz": { ok: 200 },
  "GET /readyz": { ok: 200 },
  "GET /metrics": { needs: "admin", ok: 200 },
  "GET /v1/host": { needs: "admin", ok: 200 },
  "POST /v1/tickets": { needs: "read", ok: 201 },
  "GET /v1/sessions": { needs: "read", ok: 200 },
  "POST /v1/sessions": { needs: "run", ok: 201, body: { initialTurn: "defer" } },
  "GET /v1/sessions/{id}": { needs: "read", ok: 200 },
  "DELETE /v1/sessions/{id}": { needs: "run", ok: 204 },
  "POST /v1/sessions/{id}/turns": { needs: "run", ok: 200, body: { prompt: "hello" } },
  "POST /v1/sessions/{id}/interrupt": { needs: "run", ok: 409, body: {} },
  "GET /v1/sessions/{id}/history": { needs: "read", ok: 200 },
  "POST /v1/sessions/{id}/system-context": { needs: "run", ok: 200, body: { text: "note" } },
  "GET /v1/sessions/{id}/events": { needs: "read", ok: 200 },
  "POST /v1/sessions/{id}/fork": { needs: "run", ok: 201, body: {} },
  "POST /v1/sessions/{id}/hibernate": { needs: "admin", ok: 204 },
  "POST /v1/sessions/{id}/release-quarantine": { needs: "admin", ok: 204 },
};
/** What the document cannot describe: without an upgrade it is refused, behind the question who asks. */
const BESIDE: Record<string, Route> = { "GET /v1/ws": { needs: "read", ok: 426 } };

const { file, keys, remove } = keyFileOf({
  read: { tenant: "acme", role: "read" },
  run: { tenant: "acme", role: "run" },
  admin: { role: "admin" },
  other: { tenant: "rival", role: "run" },
});
const ASKERS = {
  "no key": undefined,
  "wrong key": `${keys.run.slice(0, -1)}${keys.run.endsWith("A") ? "B" : "A"}`,
  "no key's form": "rubbish",
  "another tenant's": keys.other,
  read: keys.read,
  run: keys.run,
  admin: keys.admin,
} as const;
type Asker = keyof typeof ASKERS;

/** What the table means. */
function expected(name: string, { needs, ok }: Route, asker: Asker): number {
  if (needs === undefined) return ok;
  switch (asker) {
    case "no key":
    case "wrong key":
    case "no key's form":
      return 401;
    case "read":
      return needs === "read" ? ok : 403;
    case "run":
      return needs === "admin" ? 403 : ok;
    case "another tenant's":
      if (needs === "admin") return 403;
      return name.includes("{id}") ? 404 : ok;
    case "admin":
      return ok;
    default:
      return asker satisfies never;
  }
}

expectNoLeaks();
let service: PersistentSessionService;
let server: WarrenServer;
beforeAll(async () => {
  service = await PersistentSessionService.open({ agent: SCRIPTED, lanes: { count: 1 }, store: { kind: "memory" } });
  server = await WarrenServer.start(service, { port: 0, auth: { keyFile: file } });
});
afterAll(async () => {
  await server.close();
  await service.shutdown({ deadlineMs: 0 });
  remove();
});

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly challenge: string | null;
}
/** Streams are left as soon as they have begun. */
async function ask(method: string, path: string, key: string | undefined, body?: object): Promise<Answer> {
  const leave = new AbortController();
  const headers = { ...(key !== undefined && { authorization: `Bearer ${key}` }), ...(body && { "content-type": "application/json" }) };
  const answer = await fetch(server.url + path, { method, headers, signal: leave.signal, ...(body && { body: JSON.stringify(body) }) });
  const isProblem = answer.headers.get("content-type") === "application/problem+json";
  const { code } = isProblem ? ((await answer.json()) as { code: string }) : { code: undefined };
  leave.abort();
  return { status: answer.status, code, challenge: answer.headers.get("www-authenticate") };
}
async function newSession(): Promise<string> {
  const answer = await fetch(`${server.url}/v1/sessions`, {
    method: "POST",
    headers: { authorization: `Bearer ${keys.run}`, "content-type": "application/json" },
    body: JSON.stringify({ initialTurn: "defer" }),
  });
  return ((await answer.json()) as { sessionId: string }).sessionId;
}

test("every route of the server stands in the table, with the role that its document names", async () => {
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: Record<string, Record<string, object>> };
  const roles = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, Reflect.get(operation, "x-warren-role")]),
  );
  expect(Object.fromEntries(roles)).toEqual(Object.fromEntries(Object.entries(ROUTES).map(([name, { needs }]) => [name, needs])));
});

describe.each(Object.entries({ ...ROUTES, ...BESIDE }))("%s", (name, route) => {
  const [method = "", path = ""] = name.split(" ");
  test.each(Object.keys(ASKERS) as Asker[])("%s", async (asker) => {
    const id = path.includes("{id}") ? await newSession() : "";
    const answer = await ask(method, path.replace("{id}", id), ASKERS[asker], route.body);
    const status = expected(name, route, asker);
    expect(answer.status).toBe(status);
    const codes: Record<number, string> = { 401: "UNAUTHENTICATED", 403: "FORBIDDEN", 404: "SESSION_NOT_FOUND" };
    if (status in codes) expect(answer.code).toBe(codes[status]);
    if (status === 401) expect(answer.challenge).toMatch(asker === "no key" ? /^Bearer realm="warren"$/ : /error="invalid_token"/);
    if (id !== "" && status !== route.ok) expect((await ask("GET", `/v1/sessions/${id}`, keys.run)).status).toBe(200); // nothing happened to it
  });
});

test("a session of another tenant is answered like one that was never there", async () => {
  const [theirs, nobodys] = [await newSession(), "019a0000-0000-7000-8000-000000000000"];
  const bodyOf = async (id: string): Promise<string> => {
    const answer = await fetch(`${server.url}/v1/sessions/${id}`, { headers: { authorization: `Bearer ${keys.other}` } });
    return (await answer.text()).replaceAll(id, "ID");
  };
  expect(await bodyOf(theirs)).toBe(await bodyOf(nobodys));
  const listOf = async (key: string): Promise<string[]> => {
    const answer = await fetch(`${server.url}/v1/sessions?limit=1000`, { headers: { authorization: `Bearer ${key}` } });
    return ((await answer.json()) as { data: { sessionId: string }[] }).data.map(({ sessionId }) => sessionId);
  };
  expect(await listOf(keys.other)).not.toContain(theirs);
  expect(await listOf(keys.read)).toContain(theirs);
  expect(await listOf(keys.admin)).toContain(theirs);
});

test("what is not there is told only to who may ask", async () => {
  expect((await ask("GET", "/v1/nowhere", undefined)).status).toBe(401);
  expect(await ask("GET", "/v1/nowhere", keys.read)).toMatchObject({ status: 404, code: "ROUTE_NOT_FOUND" });
  expect(await ask("PUT", "/v1/sessions", keys.read)).toMatchObject({ status: 405, code: "METHOD_NOT_ALLOWED" });
  expect(await ask("GET", "/nowhere", undefined)).toMatchObject({ status: 404, code: "ROUTE_NOT_FOUND" });
});

test("an encoded path is the path it stands for", async () => {
  expect((await ask("GET", "/%761/host", undefined)).status).toBeGreaterThanOrEqual(401);
  expect((await ask("GET", "/v1%2Fhost", undefined)).status).toBeGreaterThanOrEqual(401);
  expect((await ask("GET", "//v1/host", undefined)).status).toBeGreaterThanOrEqual(401);
});
