/** From a request to a principal; tickets; and the server that needs none because it serves this machine only. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Hono } from "hono";
import { afterAll, afterEach, describe, expect, test } from "vitest";

import { Authenticator, authenticate, requireRole } from "../../src/server/auth/authenticate.ts";
import { UnsafeListenError, assertSafeToListen, localOnly } from "../../src/server/auth/loopback.ts";
import { AuthOptionsSchema } from "../../src/server/auth/options.ts";
import { newSecret } from "../../src/server/auth/secrets.ts";
import { TICKETS_MAX, TICKETS_OF_ONE_MAX, TICKET_MS, Tickets, redactedUrl, takesTicket } from "../../src/server/auth/tickets.ts";
import type { Env } from "../../src/server/env.ts";
import type { Principal, Role } from "../../src/server/principal.ts";
import { LOCAL } from "../../src/server/principal.ts";
import { problemOf } from "../../src/server/problems.ts";

const folder = mkdtempSync(join(tmpdir(), "warren-authenticate-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "keys.json");
const keys = Object.fromEntries(
  (["read", "run", "admin"] as const).map((role) => {
    const { id, hash, token } = newSecret();
    return [role, { row: { id, hash, role, createdAt: 1, ...(role !== "admin" && { tenant: "acme" }) }, token }];
  }),
) as unknown as Record<Role, { row: { id: string }; token: string }>;
const writeKeys = (...roles: Role[]): void =>
  writeFileSync(file, JSON.stringify({ format: "warren-keys/1", keys: roles.map((role) => keys[role].row) }));
writeKeys("read", "run", "admin");

/** An app with routes for each role, answering who asks. */
function appOf(authenticator: Authenticator): Hono<Env> {
  const app = new Hono<Env>();
  app.onError((error, c) => {
    const { problem, headers } = problemOf(error, c.req.path);
    return c.json(problem, problem.status as 500, headers);
  });
  app.use(authenticate(authenticator));
  app.get("/healthz", (c) => c.text("ok"));
  for (const role of ["read", "run", "admin"] as const) app.all(`/v1/${role}`, requireRole(role), (c) => c.json({ ...c.get("principal") }));
  app.get("/astray", requireRole("read"), (c) => c.text("never"));
  app.get("/v1/ws", (c) => c.json({ ...c.get("principal") }));
  app.all("/v1/sessions/:id/events", (c) => c.json({ ...c.get("principal") }));
  app.post("/v1/tickets", (c) => c.json(authenticator.tickets.issue(c.get("principal"))));
  return app;
}

const open: Authenticator[] = [];
afterEach(() => {
  for (const authenticator of open.splice(0)) authenticator.close();
});
async function authenticator(options: object | undefined = { keyFile: file }): Promise<Authenticator> {
  const settings = options && AuthOptionsSchema.parse(options);
  const opened = await Authenticator.open(settings);
  open.push(opened);
  return opened;
}
const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });

describe("authenticate", () => {
  test("A2: without a key 401 and how to show one; what is public needs none", async () => {
    const app = appOf(await authenticator());
    const answer = await app.request("/v1/read");
    expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="warren"']);
    expect(await answer.json()).toMatchObject({ code: "UNAUTHENTICATED", status: 401, type: "urn:warren:error:UNAUTHENTICATED" });
    expect((await app.request("/healthz")).status).toBe(200);
    expect((await app.request("/v1/nowhere")).status).toBe(401);
  });

  test("A2, A3: with a wrong one 401 that says so and does not repeat it", async () => {
    const app = appOf(await authenticator());
    const wrong = ["x", newSecret().token, `${keys.run.token}x`, "wk_", "a.b.c"].map((token) => `Bearer ${token}`);
    for (const authorization of [
      ...wrong,
      "",
      "Bearer",
      "Bearer ",
      "Basic dTpw",
      `Token ${keys.run.token}`,
      `Bearer ${keys.run.token} x`,
    ]) {
      const answer = await app.request("/v1/read", { headers: { authorization } });
      expect([authorization, answer.status]).toEqual([authorization, 401]);
      expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer realm="warren", error="invalid_token", error_description="[^"]+"$/);
      const text = await answer.text();
      for (const secret of [keys.run.token, "dTpw"]) expect(text).not.toContain(secret);
    }
  });

  test("roles: each includes the lesser ones, and a lesser one is 403", async () => {
    const app = appOf(await authenticator());
    const table: Record<string, number[]> = {};
    for (const [role, { token }] of Object.entries(keys))
      table[role] = await Promise.all(
        ["read", "run", "admin"].map(async (route) => (await app.request(`/v1/${route}`, bearer(token))).status),
      );
    expect(table).toEqual({ read: [200, 403, 403], run: [200, 200, 403], admin: [200, 200, 200] });
    const refused = await app.request("/v1/admin", bearer(keys.run.token));
    expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="warren", error="insufficient_scope", scope="admin"');
    expect(await refused.json()).toMatchObject({ code: "FORBIDDEN" });
    expect(await (await app.request("/v1/run", { headers: { authorization: `bEARER  ${keys.run.token} ` } })).json()).toEqual({
      tenant: "acme",
      role: "run",
      key: keys.run.row.id,
    });
  });

  test("a route that needs a role and lies where nobody is asked is closed, not open", async () => {
    const app = appOf(await authenticator());
    expect((await app.request("/astray", bearer(keys.admin.token))).status).toBe(401);
  });

  test("A1: without authentication everybody is the same one", async () => {
    const app = appOf(await authenticator(undefined as never));
    const local = appOf(await Authenticator.open(undefined));
    expect(await (await local.request("/v1/admin")).json()).toEqual({ role: LOCAL.role, key: LOCAL.key });
    expect((await local.request("/v1/admin", bearer("whatever"))).status).toBe(200);
    expect((await app.request("/v1/admin")).status).toBe(401);
  });

  test("a key that was taken out is refused after the file was read again", async () => {
    const opened = await authenticator({ keyFile: file, reloadMs: 1_000_000 });
    const app = appOf(opened);
    writeKeys("read");
    expect((await app.request("/v1/run", bearer(keys.run.token))).status).toBe(200);
    const [gone, kept] = await Promise.all(
      (["run", "read"] as const).map((role) => opened.identify({ authorization: `Bearer ${keys[role].token}` })),
    );
    expect(() => opened.assertCurrent(gone as Principal)).not.toThrow();
    await opened.reload();
    expect((await app.request("/v1/run", bearer(keys.run.token))).status).toBe(401);
    expect(() => opened.assertCurrent(gone as Principal)).toThrow(expect.objectContaining({ code: "UNAUTHENTICATED" }));
    expect(() => opened.assertCurrent(kept as Principal)).not.toThrow();
    writeKeys("read", "run", "admin");
  });

  test("is not opened on a file that cannot be used", async () => {
    await expect(authenticator({ keyFile: join(folder, "none.json") })).rejects.toThrow(/ENOENT/);
    await expect(
      authenticator({ keyFile: file, jwt: { issuer: "i", audience: "a", keys: { file: join(folder, "none.json") } } }),
    ).rejects.toThrow(/ENOENT/);
  });
});

describe("tickets", () => {
  test("T1, T2: a ticket opens a stream once, for whom it was made", async () => {
    const app = appOf(await authenticator());
    const issue = async (): Promise<string> => {
      const answer = await app.request("/v1/tickets", { method: "POST", ...bearer(keys.read.token) });
      return ((await answer.json()) as { ticket: string }).ticket;
    };
    const ticket = await issue();
    const used = await app.request(`/v1/ws?ticket=${ticket}`);
    expect(await used.json()).toEqual({ tenant: "acme", role: "read", key: keys.read.row.id });
    const again = await app.request(`/v1/ws?ticket=${ticket}`);
    expect([again.status, again.headers.get("www-authenticate")]).toEqual([401, expect.stringContaining("invalid_token")]);
    expect((await app.request(`/v1/sessions/x/events?ticket=${await issue()}`)).status).toBe(200);
    for (const [path, method] of [
      ["/v1/read", "GET"],
      ["/v1/sessions/x/events", "POST"],
    ] as const)
      // prettier-ignore
      expect((await app.request(`${path}?ticket=${await issue()}`, { method })).status).toBe(401);
    expect((await app.request(`/v1/ws?ticket=${keys.run.token}`)).status).toBe(401);
    expect((await app.request("/v1/tickets", { method: "POST" })).status).toBe(401);
  });

  test("T2: a ticket ends with the key that it was made with", async () => {
    const opened = await authenticator({ keyFile: file, reloadMs: 1_000_000 });
    const app = appOf(opened);
    const issue = async (role: "run" | "read"): Promise<string> => {
      const answer = await app.request("/v1/tickets", { method: "POST", ...bearer(keys[role].token) });
      return ((await answer.json()) as { ticket: string }).ticket;
    };
    const [gone, kept] = [await issue("run"), await issue("read")];
    writeKeys("read");
    await opened.reload();
    const statusOf = async (ticket: string): Promise<number> => (await app.request(`/v1/ws?ticket=${ticket}`)).status;
    expect([await statusOf(gone), await statusOf(kept)]).toEqual([401, 200]);
    writeKeys("read", "run", "admin");
  });

  test("T1: not after its time", () => {
    const tickets = new Tickets();
    const { ticket, expiresAt } = tickets.issue(LOCAL, 1000);
    expect(expiresAt).toBe(1000 + TICKET_MS);
    expect(tickets.redeem(ticket, expiresAt)).toBeUndefined();
    expect(tickets.size).toBe(0);
    const second = tickets.issue(LOCAL, 1000);
    expect(tickets.redeem(second.ticket, second.expiresAt - 1)).toBe(LOCAL);
    expect(tickets.redeem(second.ticket, 1001)).toBeUndefined();
  });

  test("T3: those of one holder are bounded, and those of all; time makes room", () => {
    const tickets = new Tickets();
    const holder = (n: number): Principal => ({ tenant: `t${n}`, role: "read", key: "k" });
    for (let n = 0; n < TICKETS_OF_ONE_MAX; n++) tickets.issue(holder(0), 0);
    expect(() => tickets.issue(holder(0), 0)).toThrow(expect.objectContaining({ code: "RATE_LIMITED" }));
    for (let n = tickets.size; n < TICKETS_MAX; n++) tickets.issue(holder(n), 1);
    expect(() => tickets.issue(holder(-1), 1)).toThrow(expect.objectContaining({ code: "HOST_OVERLOADED", disposition: "retry" }));
    expect(tickets.size).toBe(TICKETS_MAX);
    tickets.issue(holder(0), TICKET_MS);
    expect(tickets.size).toBe(TICKETS_MAX - TICKETS_OF_ONE_MAX + 1);
    tickets.issue(holder(0), 2 * TICKET_MS);
    expect(tickets.size).toBe(1);
  });

  test("where they may be shown, and how an address is logged", () => {
    const shown = ["/v1/ws", "/v1/sessions/a/events", "/v1/sessions/a/b/events", "/v1/sessions/events", "/v1/wsx", "/v1/sessions"];
    expect(shown.filter((path) => takesTicket("GET", path))).toEqual(["/v1/ws", "/v1/sessions/a/events"]);
    expect(takesTicket("POST", "/v1/ws")).toBe(false);
    expect(redactedUrl("/v1/ws?a=1&ticket=wt_x&b=2&access_token=y#z")).toBe("/v1/ws?a=1&ticket=[redacted]&b=2&access_token=[redacted]#z");
    expect(redactedUrl("/v1/sessions?label.ticket=7")).toBe("/v1/sessions?label.ticket=7");
  });
});

describe("loopback", () => {
  test("L1: another address needs authentication", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1", "localhost", "LOCALHOST"])
      expect(() => assertSafeToListen({ host })).not.toThrow();
    for (const host of [
      undefined,
      "",
      "0.0.0.0",
      "::",
      "192.168.1.1",
      "128.0.0.1",
      "localhost.example",
      "127.0.0.1.example",
      "::2",
      "example",
    ]) {
      expect(() => assertSafeToListen({ host })).toThrow(UnsafeListenError);
      expect(() => assertSafeToListen({ host, auth: {} })).not.toThrow();
    }
    expect(() => assertSafeToListen({})).toThrow(
      expect.objectContaining({ code: "UNSAFE_LISTEN", message: expect.stringContaining("every address") }),
    );
  });

  const app = new Hono();
  app.onError((error, c) => c.json(problemOf(error, c.req.path).problem, 403));
  app.use(localOnly(["https://named.example"]));
  app.all("/", (c) => c.text("in"));
  const status = async (host: string | undefined, origin?: string): Promise<number> => {
    const headers = { ...(host !== undefined && { host }), ...(origin !== undefined && { origin }) };
    const answer = await app.request("http://x/", { method: "POST", headers });
    if (answer.status === 403) expect(await answer.json()).toMatchObject({ code: "FORBIDDEN" });
    return answer.status;
  };

  test("L2: the Host header is a name of this machine", async () => {
    for (const host of ["localhost", "localhost:8787", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:8787", "LocalHost:1"])
      expect([host, await status(host)]).toEqual([host, 200]);
    const wrong = [
      "evil.example",
      "evil.example:8787",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "::1",
      "[localhost]",
      "[127.0.0.1]",
      "",
    ];
    for (const host of [...wrong, undefined, "localhost:8787@evil.example", "evil@localhost", "localhost:", "localhost:123456", "10.0.0.1"])
      expect([host, await status(host)]).toEqual([host, 403]);
  });

  test("L2: a page that calls is the server's own, or named", async () => {
    for (const origin of ["http://localhost:8787", "https://localhost:8787", "https://named.example"])
      expect([origin, await status("localhost:8787", origin)]).toEqual([origin, 200]);
    for (const origin of [
      "null",
      "http://evil.example",
      "http://localhost:3000",
      "http://127.0.0.1:8787",
      "https://named.example.evil",
      "",
    ])
      expect([origin, await status("localhost:8787", origin)]).toEqual([origin, 403]);
  });
});
