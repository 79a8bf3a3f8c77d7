/** The HTTP API: what each route answers, and what is refused, how. */
import { describe, expect, test } from "vitest";

import { deferred, hosts, script, sharedHost } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import type { SseEvent } from "../helpers/servers.ts";
import { expectProblem, servers, sharedServer } from "../helpers/servers.ts";

const openHost = hosts();
const { open: openPersistent } = persistentHosts();
const serve = servers();
const shared = sharedHost();
const sharedApi = sharedServer(shared);

describe("sessions", () => {
  test("a create runs its first turn, says where the session is, and gives its result", async () => {
    const http = sharedApi();
    const answer = await http.post("/v1/sessions", { prompt: "hello", labels: { user: "ada" } });
    expect(answer.status).toBe(201);
    const { sessionId } = answer.body as { sessionId: string };
    expect(answer.headers.get("location")).toBe(`/v1/sessions/${sessionId}`);
    expect(answer.body).toEqual({ text: "hello", sessionId, turns: 1, toolCalls: 0, usage: { inputTokens: 3, outputTokens: 2 } });
    const view = await http.get(`/v1/sessions/${sessionId}`);
    expect(view.body).toMatchObject({ state: { sessionId, messageCount: 2, isActive: false, labels: { user: "ada" } } });
  });

  test("an answer has the headers that were set before there was one, and its length", async () => {
    const http = sharedApi();
    const given = { "x-request-id": "of-the-caller" };
    const created = await http.post("/v1/sessions", { prompt: "grüße" }, given);
    const { sessionId } = created.body as { sessionId: string };
    const turned = await http.post(`/v1/sessions/${sessionId}/turns`, { prompt: "grüße" }, given);
    for (const { headers, body } of [created, turned]) {
      expect(headers.get("x-request-id")).toBe("of-the-caller");
      expect(headers.get("content-type")).toBe("application/json");
      expect(headers.get("content-length")).toBe(String(Buffer.byteLength(JSON.stringify(body))));
    }
    expect([created.status, turned.status]).toEqual([201, 200]);
  });

  test("pages of sessions come in the order of creation, filtered by labels, and have a cursor while there is more", async () => {
    const http = await serve(await openHost());
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(await http.session({ labels: { parity: i % 2 === 0 ? "even" : "odd", "a.b": "c" } }));
    const seen: string[] = [];
    let path = "/v1/sessions?limit=2";
    for (;;) {
      const { body } = await http.get<{ data: { sessionId: string }[]; nextCursor?: string }>(path);
      seen.push(...body.data.map(({ sessionId }) => sessionId));
      if (body.nextCursor === undefined) break;
      path = `/v1/sessions?limit=2&cursor=${body.nextCursor}`;
    }
    expect(seen).toEqual(ids);
    const even = await http.get<{ data: unknown[] }>("/v1/sessions?label.parity=even&label.a.b=c");
    expect(even.body.data).toHaveLength(3);
    expectProblem(await http.get("/v1/sessions?lable.parity=even"), 400, "INVALID_PARAMS");
    expectProblem(await http.get("/v1/sessions?limit=0"), 400, "INVALID_PARAMS");
  });

  test("an archived session is gone for turns, and still can be read", async () => {
    const http = sharedApi();
    const id = await http.session();
    expect((await http.delete(`/v1/sessions/${id}`)).status).toBe(204);
    expectProblem(await http.post(`/v1/sessions/${id}/turns`, { prompt: "x" }), 404, "SESSION_NOT_FOUND");
    expect((await http.get(`/v1/sessions/${id}`)).status).toBe(200);
  });

  test("a fork has the first messages, labels of its own, and goes its own way", async () => {
    const http = sharedApi();
    const id = await http.session({ labels: { of: "the original" } });
    for (const prompt of ["a", "b"]) await http.post(`/v1/sessions/${id}/turns`, { prompt });
    const answer = await http.post<{ state: { sessionId: string } }>(`/v1/sessions/${id}/fork`, {
      messages: 2,
      labels: { of: "the fork" },
    });
    expect(answer).toMatchObject({ status: 201, body: { state: { messageCount: 2, labels: { of: "the fork" } } } });
    const { sessionId } = answer.body.state;
    expect(answer.headers.get("location")).toBe(`/v1/sessions/${sessionId}`);
    await http.post(`/v1/sessions/${sessionId}/turns`, { prompt: "c" });
    expect((await http.get(`/v1/sessions/${id}`)).body).toMatchObject({ state: { messageCount: 4 } });
    expect((await http.post(`/v1/sessions/${id}/fork`)).body).toMatchObject({ state: { messageCount: 4, labels: { of: "the original" } } });
    const problem = expectProblem(await http.post(`/v1/sessions/${id}/fork`, { messages: 5 }), 400, "INVALID_PARAMS");
    expect(problem.errors?.[0]?.field).toBe("messages");
  });

  test("what needs a store is 501 without one", async () => {
    const http = sharedApi();
    const id = await http.session();
    expectProblem(await http.post(`/v1/sessions/${id}/hibernate`), 501, "SESSION_PERSISTENCE_DISABLED");
    expectProblem(await http.delete(`/v1/sessions/${id}?purge=true`), 501, "SESSION_PERSISTENCE_DISABLED");
    expect((await http.get(`/v1/sessions/${id}`)).body).toMatchObject({ state: { isActive: false } });
  });

  test("a stored session sleeps, wakes for a turn, and is removed for good", async () => {
    const http = await serve(await openPersistent());
    const id = await http.session();
    expect((await http.post(`/v1/sessions/${id}/hibernate`)).status).toBe(204);
    expect((await http.post(`/v1/sessions/${id}/turns`, { prompt: "again" })).body).toMatchObject({ text: "again" });
    expect((await http.delete(`/v1/sessions/${id}?purge=true`)).status).toBe(204);
    expectProblem(await http.get(`/v1/sessions/${id}`), 404, "SESSION_NOT_FOUND");
  });

  test("a session is removed for good also where archiving removes it, live or asleep, once", async () => {
    const http = await serve(await openPersistent({ archivePolicy: "delete" }));
    const [live, asleep] = [await http.session(), await http.session()];
    await http.post(`/v1/sessions/${asleep}/hibernate`);
    for (const id of [live, asleep]) {
      expect((await http.delete(`/v1/sessions/${id}?purge=true`)).status).toBe(204);
      expectProblem(await http.delete(`/v1/sessions/${id}?purge=true`), 404, "SESSION_NOT_FOUND");
    }
  });
});

describe("turns", () => {
  test("the transcript comes in pages", async () => {
    const http = sharedApi();
    const id = await http.session();
    for (const prompt of ["a", "b"]) await http.post(`/v1/sessions/${id}/turns`, { prompt });
    const page = await http.get(`/v1/sessions/${id}/history?offset=1&limit=2`);
    expect(page.body).toMatchObject({
      messageCount: 4,
      offset: 1,
      limit: 2,
      hasMore: true,
      messages: [{ role: "assistant" }, { content: "b" }],
    });
  });

  test("a busy session is 409, and the turn that runs can be interrupted, by its ticket or whatever it is", async () => {
    const http = sharedApi();
    const id = await http.session();
    const running = await http.stream(`/v1/sessions/${id}/turns`, { prompt: script(["sleep", 60_000]) });
    const admitted = await running.next();
    expect(admitted).toMatchObject({ event: "admitted", data: { sessionId: id, ticket: expect.any(Number) } });
    const { ticket } = (admitted as SseEvent).data as { ticket: number };
    const problem = expectProblem(await http.post(`/v1/sessions/${id}/turns`, { prompt: "x" }), 409, "SESSION_BUSY");
    expect(problem).toMatchObject({ disposition: "retry", sessionId: id, instance: `/v1/sessions/${id}/turns` });
    expectProblem(await http.post(`/v1/sessions/${id}/interrupt`, { ticket: ticket + 1 }), 409, "SESSION_NOT_RUNNING");
    expect((await http.post(`/v1/sessions/${id}/interrupt`, { ticket })).body).toEqual({ interrupted: true });
    expect(await running.rest()).toMatchObject([
      { event: "problem", data: { code: "AGENT_ERROR", status: 409, agentError: { kind: "cancelled" } } },
    ]);
    expectProblem(await http.post(`/v1/sessions/${id}/interrupt`), 409, "SESSION_NOT_RUNNING");
  });

  test.each([
    [{ timeoutMs: 20, prompt: script(["sleep", 60_000]) }, 504],
    [{ prompt: script(["fail", "on purpose"]) }, 500],
    [{ prompt: script(["failKind", "llm", "the provider is down"]) }, 502],
    [{ prompt: script(["failKind", "budget", "spent"]) }, 429],
    [{ prompt: "x", flowToolOverlay: { allowedTools: ["none of ours"] } }, 422],
  ])("a turn that fails is a problem document: %j is %d", async (body, status) => {
    const http = sharedApi();
    expectProblem(await http.post(`/v1/sessions/${await http.session()}/turns`, body), status, "AGENT_ERROR");
  });

  test("a host at its capacity is 503, and says when to come again", async () => {
    const http = await serve(await openHost({ maxSessions: 1 }));
    await http.session();
    const answer = await http.post("/v1/sessions", { prompt: "x" });
    expectProblem(answer, 503, "AGENT_ERROR");
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  test("staged context has its outcome, and its conflict", async () => {
    const http = sharedApi();
    const path = `/v1/sessions/${await http.session()}/system-context`;
    expect((await http.post(path, { text: "be brief", idempotencyKey: "k" })).body).toEqual({ status: "staged" });
    expect((await http.post(path, { text: "be brief", idempotencyKey: "k" })).body).toEqual({ status: "duplicate" });
    expectProblem(await http.post(path, { text: "be long", idempotencyKey: "k" }), 409, "SESSION_SYSTEM_CONTEXT_CONFLICT");
    expectProblem(await http.post(path, { text: " " }), 400, "INVALID_PARAMS");
  });

  test("a client that leaves ends no turn, unless it asked for that", async () => {
    const service = shared();
    const http = sharedApi();
    const leave = async (cancelOnDisconnect: boolean): Promise<string> => {
      const id = await http.session();
      const stream = await http.stream(`/v1/sessions/${id}/turns`, { prompt: script(["sleep", 400]), cancelOnDisconnect });
      await stream.next();
      await stream.leave();
      await expect.poll(async () => (await service.read(id)).state.isActive, { timeout: 10_000 }).toBe(false);
      return id;
    };
    expect((await service.read(await leave(false))).state.messageCount).toBe(2);
    expect((await service.read(await leave(true))).state.messageCount).toBe(0);
  });
});

describe("what is not understood", () => {
  test.each<[string, string, RequestInit, number, string]>([
    ["no such path", "/v1/nothing", {}, 404, "ROUTE_NOT_FOUND"],
    ["no such method", "/v1/sessions", { method: "PATCH" }, 405, "METHOD_NOT_ALLOWED"],
    ["no JSON", "/v1/sessions", { method: "POST", body: "{", headers: { "content-type": "application/json" } }, 400, "INVALID_PARAMS"],
    [
      "another type",
      "/v1/sessions",
      { method: "POST", body: "{}", headers: { "content-type": "text/plain" } },
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ],
    ["no body", "/v1/sessions", { method: "POST", headers: { "content-type": "application/json" } }, 400, "INVALID_PARAMS"],
    [
      "an answer nobody has",
      "/v1/sessions",
      { method: "POST", body: '{"prompt":"x"}', headers: { "content-type": "application/json", accept: "image/png" } },
      406,
      "NOT_ACCEPTABLE",
    ],
    ["no upgrade", "/v1/ws", {}, 426, "UPGRADE_REQUIRED"],
    ["an unknown session", "/v1/sessions/nobody", {}, 404, "SESSION_NOT_FOUND"],
    ["an unknown session's events", "/v1/sessions/nobody/events", {}, 404, "SESSION_NOT_FOUND"],
  ])("%s", async (_what, path, init, status, code) => {
    expectProblem(await sharedApi().get(path, init), status, code);
  });

  test("each wrong member of a body is named, and nothing is created", async () => {
    const service = await openHost();
    const http = await serve(service);
    const problem = expectProblem(await http.post("/v1/sessions", { prompt: 1, hostMode: "yes", colour: "red" }), 400, "INVALID_PARAMS");
    expect(problem.errors?.map(({ field }) => field)).toEqual(["prompt", "hostMode", "colour"]);
    for (const body of [
      { prompt: "x", labels: { "warren.tenant": "acme" } },
      { prompt: "x", labels: { a: 1 } },
      { prompt: "x", build: 3 },
      {},
    ]) {
      expectProblem(await http.post("/v1/sessions", body), 400, "INVALID_PARAMS");
    }
    const proto = await http.get("/v1/sessions", {
      method: "POST",
      body: '{"prompt":"x","build":{"__proto__":{}}}',
      headers: { "content-type": "application/json" },
    });
    expectProblem(proto, 400, "INVALID_PARAMS");
    expect(await service.list()).toEqual([]);
  });

  test("a body that is too large is refused, whether it says so or not", async () => {
    const http = await serve(await openHost(), { maxBodyBytes: 1000 });
    const body = JSON.stringify({ prompt: "x".repeat(2000) });
    const headers = { "content-type": "application/json" };
    expectProblem(await http.get("/v1/sessions", { method: "POST", body, headers }), 413, "PAYLOAD_TOO_LARGE");
    const chunked = { method: "POST", body: new Blob([body]).stream(), headers, duplex: "half" } as RequestInit;
    expectProblem(await http.get("/v1/sessions", chunked), 413, "PAYLOAD_TOO_LARGE");
    const small = { method: "POST", body: new Blob(['{"prompt":"x"}']).stream(), headers, duplex: "half" } as RequestInit;
    expect((await http.get("/v1/sessions", small)).status).toBe(201);
  });
});

describe("the server", () => {
  test("is ready while its host is open, and alive as long as it answers", async () => {
    const service = await openHost();
    const http = await serve(service);
    expect((await http.get("/readyz")).body).toEqual({ status: "ok" });
    const running = service.startTurn(await deferred(service), { prompt: script(["sleep", 300]) });
    const closed = service.shutdown();
    expect(await http.get("/readyz")).toMatchObject({ status: 503, body: { status: "closing" } });
    expect((await http.get("/healthz")).status).toBe(200);
    expectProblem(await http.post("/v1/sessions", { prompt: "x" }), 503, "HOST_CLOSED");
    await Promise.all([running, closed]);
  });

  test("closes in good order: what is being answered is answered, streams end, a second close is the first", async () => {
    const service = await openHost();
    const http = await serve(service);
    const id = await http.session();
    const events = await http.events(id);
    const answer = http.post(`/v1/sessions/${id}/turns`, { prompt: script(["sleep", 300], ["say", "done"]) });
    await expect.poll(() => service.inspect().turns.running).toBe(1);
    const closed = http.server.close();
    expect(http.server.close()).toBe(closed);
    expect(await events.rest()).toEqual([]);
    expect((await answer).body).toMatchObject({ text: "done" });
    await closed;
  });

  test("wrong options and an address that is taken are told before anything listens", async () => {
    const service = await openHost();
    await expect(serve(service, { prot: 1 } as never)).rejects.toMatchObject({
      code: "INVALID_PARAMS",
      details: { field: "options.prot" },
    });
    const http = await serve(service);
    await expect(serve(service, { port: http.server.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
