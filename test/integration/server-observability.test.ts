/** A server that is watched: its metrics, its log, its spans. */
import { propagation } from "@opentelemetry/api";
import { afterEach, describe, expect, test } from "vitest";

import type { ServableService, ServerOptions } from "../../dist/src/server/index.js";
import { WarrenServer, createLogger } from "../../dist/src/server/index.js";
import { hosts, script } from "../helpers/hosts.ts";
import { parsePrometheus, valueOf } from "../helpers/prometheus.ts";
import { Spans, namesOf } from "../helpers/spans.ts";

const TRACED = new URL("../fixtures/traced.mjs", import.meta.url);
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

const open = hosts();
const servers: WarrenServer[] = [];
const spans = new Spans();
afterEach(async () => {
  spans.unregister();
  propagation.disable();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(service: ServableService, options: ServerOptions = {}): Promise<WarrenServer> {
  const server = await WarrenServer.start(service, { port: 0, ...options });
  servers.push(server);
  return server;
}
/** @returns the service with one method of the test's */
function replacing<M extends keyof ServableService>(service: ServableService, method: M, by: ServableService[M]): ServableService {
  return new Proxy(service, {
    get: (target, name) => {
      const value: unknown = name === method ? by : Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
const ask = async (server: WarrenServer, path: string, init?: RequestInit): Promise<{ status: number; text: string; headers: Headers }> => {
  const response = await fetch(server.url + path, init);
  return { status: response.status, text: await response.text(), headers: response.headers };
};
const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers },
});
const idOf = ({ text }: { text: string }): string => (JSON.parse(text) as { sessionId: string }).sessionId;

describe("metrics", () => {
  test("/metrics answers a scrape: turns, and requests by route and status", async () => {
    const server = await serve(await open());
    const id = idOf(await ask(server, "/v1/sessions", json({ prompt: script(["return", "a"]) })));
    await ask(server, `/v1/sessions/${id}/turns`, json({ prompt: script(["return", "a"]) }));
    await ask(server, `/v1/sessions/${id}`);
    await ask(server, "/v1/sessions/0199c2f0-0000-7000-8000-000000000000");
    await ask(server, "/no/such/thing");
    const { status, text, headers } = await ask(server, "/metrics");
    expect([status, headers.get("content-type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
    const families = parsePrometheus(text);
    expect(valueOf(families, "warren_turns_settled_total", { outcome: "completed" })).toBe(2);
    const requests = families
      .get("warren_http_requests_total")
      ?.samples.map(({ labels, value }) => [...Object.values(labels), value].join(" "));
    expect(requests?.sort()).toEqual([
      "GET /v1/sessions/:id 200 1",
      "GET /v1/sessions/:id 404 1",
      "GET unmatched 404 1",
      "POST /v1/sessions 201 1",
      "POST /v1/sessions/:id/turns 200 1",
    ]);
    expect(valueOf(families, "warren_http_request_duration_seconds_count", { method: "GET", route: "/v1/sessions/:id" })).toBe(2);
  });

  test("the host's report has the rates of the last seconds", async () => {
    const server = await serve(await open());
    await ask(server, "/v1/sessions", json({ prompt: script(["return", "a"]) }));
    const { recent } = JSON.parse((await ask(server, "/v1/host")).text) as { recent: { turnsPerS: number; latencyMs: { p50: number } } };
    expect(recent.turnsPerS).toBeGreaterThan(0);
    expect(recent.latencyMs.p50).toBeGreaterThan(0);
  });
});

describe("the log", () => {
  test("a request is a line: who, what, how it ended; no body, no query, no header", async () => {
    const lines: string[] = [];
    const logger = createLogger({ destination: { write: (line) => void lines.push(line) } });
    const server = await serve(await open(), { logger });
    const id = idOf(await ask(server, "/v1/sessions", json({ prompt: script(["return", "secret"]) }, { authorization: "Bearer secret" })));
    await ask(server, `/v1/sessions/${id}?token=secret`, { headers: { "x-request-id": "mine" } });
    await ask(server, "/secret");
    await ask(server, "/healthz");
    await ask(server, "/metrics");
    const base = { level: "info", msg: "request", ms: expect.any(Number), principal: "local" };
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { ...base, method: "POST", route: "/v1/sessions", status: 201, request: expect.any(String) },
      { ...base, method: "GET", route: "/v1/sessions/:id", status: 200, session: id, request: "mine" },
      { level: "info", method: "GET", route: "unmatched", status: 404 }, // what is nothing needs no principal
    ]);
    expect(lines.join("")).not.toContain("secret");
  });

  test("it can be told not to", async () => {
    const lines: string[] = [];
    const logger = createLogger({ destination: { write: (line) => void lines.push(line) } });
    const server = await serve(await open(), { logger, logRequests: false });
    await ask(server, "/v1/sessions");
    expect(lines).toEqual([]);
  });
});

describe("traces", () => {
  const header = (version: string, more = ""): Record<string, string> => ({ traceparent: `${version}-${TRACE}-${PARENT}-01${more}` });

  test("a request goes on with the trace in its headers, down to the agent", async () => {
    spans.register();
    const server = await serve(await open({ agent: TRACED, tracing: true }), { tracing: true });
    const { text } = await ask(server, "/v1/sessions", json({ prompt: "" }, header("00")));
    expect(spans.trees().map(namesOf)).toEqual([["POST /v1/sessions", ["warren.session.create", ["warren.turn", ["warren.lane.run"]]]]]);
    const [request] = spans.all.filter(({ name }) => name.startsWith("POST"));
    expect(request?.parentSpanContext).toMatchObject({ traceId: TRACE, spanId: PARENT, isRemote: true });
    expect(request?.attributes).toEqual({ "http.request.method": "POST", "http.route": "/v1/sessions", "http.response.status_code": 201 });
    const turn = spans.all.find(({ name }) => name === "warren.turn");
    expect((JSON.parse(text) as { text: string }).text).toBe(`00-${TRACE}-${turn?.spanContext().spanId}-01`);
  });

  test.each([
    ["a later version says more", header("01", "-more"), TRACE],
    ["no version says more than it may", header("00", "-more"), undefined],
    ["ff is none", header("ff"), undefined],
    ["rubbish", { traceparent: "00-zz" }, undefined],
    ["no trace", { traceparent: `00-${"0".repeat(32)}-${PARENT}-01` }, undefined],
  ])("a header: %s", async (_, headers, traceId) => {
    spans.register();
    const server = await serve(await open(), { tracing: true });
    await ask(server, "/healthz", { headers });
    expect(spans.all).toHaveLength(1);
    const [request] = spans.all;
    if (traceId === undefined) expect(request?.spanContext().traceId).not.toBe(TRACE);
    else expect(request?.spanContext().traceId).toBe(traceId);
  });

  test("S1: a mistake of the server's is an error, a refused request is none; neither names the address", async () => {
    spans.register();
    const service = await open();
    const broken = replacing(service, "list", () => Promise.reject(new TypeError("a mistake")));
    const server = await serve(broken, { tracing: true });
    await ask(server, "/v1/sessions/secret?token=secret");
    await ask(server, "/v1/sessions");
    expect(spans.all.map(({ name, status, attributes }) => [name, status.code, attributes["error.type"]])).toEqual([
      ["GET /v1/sessions/:id", 0, undefined],
      ["GET /v1/sessions", 2, "500"],
    ]);
    expect(JSON.stringify(spans.all.map(({ attributes }) => attributes))).not.toContain("secret");
  });

  test("S2: without a provider nothing is made", async () => {
    const server = await serve(await open({ agent: TRACED, tracing: true }), { tracing: true });
    const { status } = await ask(server, "/v1/sessions", json({ prompt: "" }, header("00")));
    expect([status, spans.all]).toEqual([201, []]);
  });
});

test("a server that cannot listen leaves nobody watching", async () => {
  const service = await open();
  const { port } = await serve(service);
  let watching = 0;
  const counted = replacing(service, "observe", (observer) => {
    watching++;
    const end = service.observe(observer);
    return () => {
      watching--;
      end();
    };
  });
  await expect(WarrenServer.start(counted, { port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  expect(watching).toBe(0);
});
