/** Answers that are long on their way: a server that closes writes them out, and one that nobody takes is given up. */
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";

import { SignJWT, exportJWK, generateKeyPair } from "jose";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";

import { hosts, script, sleep } from "../helpers/hosts.ts";
import type { Api } from "../helpers/servers.ts";
import { servers } from "../helpers/servers.ts";

const openHost = hosts();
const serve = servers();

const clients: Socket[] = [];
afterEach(() => {
  for (const socket of clients.splice(0)) socket.destroy();
});

/** More than a connection's two ends hold. */
const PROMPTS = 20;
const PROMPT = "x".repeat(990_000);

/** A session whose transcript is long. */
async function longSession(http: Api): Promise<string> {
  const id = await http.session();
  for (let i = 0; i < PROMPTS; i++) {
    const { status } = await http.post(`/v1/sessions/${id}/turns`, { prompt: script(["say", "ok"], ["sleep", 0, PROMPT]) });
    expect(status).toBe(200);
  }
  return id;
}

async function ask(http: Api, path: string): Promise<Socket> {
  const socket = connect(http.server.port, "127.0.0.1").on("error", () => {});
  clients.push(socket);
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  await once(socket, "readable"); // it is being answered, and nothing is taken
  return socket;
}

/** Take everything there is. @returns how much came */
async function take(socket: Socket): Promise<number> {
  let bytes = 0;
  socket.on("data", (data) => (bytes += data.length));
  await once(socket, "close");
  return bytes;
}

test("L1, C1: the server's close cuts off no answer that is still being written", async () => {
  const http = await serve(await openHost());
  const id = await longSession(http);
  const socket = await ask(http, `/v1/sessions/${id}/history`);
  const closed = http.server.close();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await take(socket)).toBeGreaterThan(PROMPTS * PROMPT.length);
  await closed;
});

test("C2: a request that runs is answered, and connections on which nothing is asked end at once", async () => {
  const service = await openHost();
  const http = await serve(service);
  const id = await http.session();
  const silent = connect(http.server.port, "127.0.0.1");
  await once(silent, "connect");
  const answer = http.post(`/v1/sessions/${id}/turns`, { prompt: script(["sleep", 3000], ["say", "done"]) });
  await expect.poll(() => service.inspect().turns.running).toBe(1);
  const begunMs = performance.now();
  const ended = once(silent, "close").then(() => performance.now() - begunMs);
  silent.resume();
  const closed = http.server.close();
  expect(await ended).toBeLessThan(2000);
  const { status, body, headers } = await answer;
  expect({ status, text: body["text"], connection: headers.get("connection") }).toEqual({ status: 200, text: "done", connection: "close" });
  await closed;
  expect(performance.now() - begunMs).toBeLessThan(20_000); // its patience is longer
});

test("C2: a connection ends at once though the rest of a request came after its answer", async () => {
  const http = await serve(await openHost());
  const socket = connect(http.server.port, "127.0.0.1").on("error", () => {});
  clients.push(socket);
  const head = ["POST /v1/sessions HTTP/1.1", "host: localhost", "content-type: text/plain", "content-length: 20", "", ""];
  socket.write(head.join("\r\n"));
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 415 /);
  socket.resume();
  socket.write("x".repeat(20));
  await sleep(100);
  const begunMs = performance.now();
  await http.server.close({ deadlineMs: 3000 });
  expect(performance.now() - begunMs).toBeLessThan(1500);
});

test("C2: so does one whose request is still coming when the server begins to close", async () => {
  const http = await serve(await openHost());
  const socket = connect(http.server.port, "127.0.0.1").on("error", () => {});
  clients.push(socket);
  const head = ["POST /v1/sessions HTTP/1.1", "host: localhost", "content-type: text/plain", "content-length: 40", "", ""];
  socket.write(head.join("\r\n"));
  await once(socket, "data");
  socket.resume();
  socket.write("x".repeat(20));
  await sleep(100);
  const begunMs = performance.now();
  const closed = http.server.close({ deadlineMs: 3000 });
  await sleep(100);
  socket.write("x".repeat(20));
  await closed;
  expect(performance.now() - begunMs).toBeLessThan(1500);
});

test("L1: a turn's stream ends with its result, a session's at once", async () => {
  const service = await openHost();
  const http = await serve(service);
  const id = await http.session();
  const accept = { accept: "text/event-stream" };
  const follows = await fetch(`${http.url}/v1/sessions/${id}/events`, { headers: accept });
  const turn = await fetch(`${http.url}/v1/sessions/${id}/turns`, {
    method: "POST",
    headers: { ...accept, "content-type": "application/json" },
    body: JSON.stringify({ prompt: script(["emit", 1], ["sleep", 1500], ["emit", 1], ["say", "done"]) }),
  });
  const closed = http.server.close();
  const followed = await follows.text();
  expect(service.inspect().turns.running).toBe(1);
  expect(followed).not.toContain("run_completed");
  expect(await turn.text()).toMatch(/event: result\ndata: .*"text":"done"/);
  await closed;
});

test("C3: what is not answered by the deadline is cut off", async () => {
  const service = await openHost();
  const http = await serve(service);
  const id = await http.session();
  const answer = http.post(`/v1/sessions/${id}/turns`, { prompt: script(["sleep", 60_000]) }).catch((error: unknown) => error);
  await expect.poll(() => service.inspect().turns.running).toBe(1);
  await http.server.close({ deadlineMs: 100 });
  expect(await answer).toBeInstanceOf(Error);
  expect(service.inspect().turns.running).toBe(1); // a client that leaves ends no turn
});

test("C1: a client that takes nothing of its answer is cut off, one that waits for it is not", async () => {
  const service = await openHost();
  const http = await serve(service, { writeTimeoutMs: 500 });
  const id = await longSession(http);
  const other = await http.session();
  const socket = await ask(http, `/v1/sessions/${id}/history`);
  const waits = http.post(`/v1/sessions/${other}/turns`, { prompt: script(["sleep", 3000], ["say", "done"]) });
  expect((await waits).body).toMatchObject({ text: "done" });
  expect(await take(socket)).toBeLessThan(PROMPTS * PROMPT.length);
});

test("a WebSocket that is let in while the server closes is closed at once", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const token = await new SignJWT({ tenant: "t", role: "run" })
    .setProtectedHeader({ alg: "ES256" })
    .setIssuer("i")
    .setAudience("a")
    .setSubject("s")
    .setExpirationTime("1h")
    .sign(privateKey);
  let isAsked: () => void;
  const asked = new Promise<void>((resolve) => (isAsked = resolve));
  let tell: () => void;
  const told = new Promise<void>((resolve) => (tell = resolve));
  const issuer = createServer((_request, response) => {
    isAsked();
    void told.then(async () => response.end(JSON.stringify({ keys: [await exportJWK(publicKey)] })));
  });
  await once(issuer.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`;
  const http = await serve(await openHost(), { auth: { jwt: { issuer: "i", audience: "a", keys: { url } } } });

  const client = new WebSocket(`${http.url.replace("http", "ws")}/v1/ws`, { headers: { authorization: `Bearer ${token}` } });
  const code = once(client, "close").then(([said]) => said as number);
  await asked;
  const closed = http.server.close();
  tell!();
  expect(await code).toBe(1001);
  await closed;
  issuer.closeAllConnections();
  issuer.close();
});
