/** Requests that ask for another protocol: most are answered as if they had not, and none keeps its connection. */
import { connect } from "node:net";
import type { Socket } from "node:net";

import { afterEach, expect, test } from "vitest";

import { hosts, script, sharedHost } from "../helpers/hosts.ts";
import { keyFileOf } from "../helpers/keys.ts";
import type { Api } from "../helpers/servers.ts";
import { servers, sharedServer } from "../helpers/servers.ts";

const openHost = hosts();
const serve = servers();
const shared = sharedHost();
const sharedApi = sharedServer(shared);

const H2C = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
const WEBSOCKET =
  "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/** A client that never ends its side of a connection. */
class Raw {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #told = "";
  #onMore: (() => void) | undefined;

  constructor({ server }: Api) {
    this.socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
    this.closed = new Promise((resolve) => this.socket.on("error", () => {}).once("close", () => resolve()));
    this.socket.on("data", (data) => {
      this.#told += data.toString();
      this.#onMore?.();
    });
    raws.push(this);
  }

  say(text: string): void {
    this.socket.write(text);
  }

  /** @returns what it was told, up to there */
  async upTo(what: RegExp): Promise<string> {
    for (let found; ;) {
      if ((found = what.exec(this.#told)) !== null) {
        const end = found.index + found[0].length;
        const told = this.#told.slice(0, end);
        this.#told = this.#told.slice(end);
        return told;
      }
      await new Promise<void>((resolve) => (this.#onMore = resolve));
    }
  }
}

const raws: Raw[] = [];
afterEach(() => {
  for (const { socket } of raws.splice(0)) socket.destroy();
});

test("a request that asks for HTTP/2 is answered in HTTP/1.1, and so is the next one of its connection", async () => {
  const raw = new Raw(sharedApi());
  for (let i = 0; i < 2; i++) {
    raw.say(`GET /healthz HTTP/1.1\r\nhost: localhost\r\n${H2C}\r\n`);
    expect(await raw.upTo(/\{.*\}/)).toMatch(/^HTTP\/1\.1 200 /);
  }
  raw.say("GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n");
  expect(await raw.upTo(/\{.*\}/)).toMatch(/^HTTP\/1\.1 404 /);
});

test("its body comes through, also the part that comes later", async () => {
  const http = sharedApi();
  const raw = new Raw(http);
  const body = JSON.stringify({ prompt: script(["sleep", 0, "x".repeat(100_000)], ["say", "all of it"]) });
  const path = `/v1/sessions/${await http.session()}/turns`;
  const head = `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
  raw.say(`POST ${path} HTTP/1.1\r\nhost: localhost\r\n${H2C}${head}\r\n${body.slice(0, 70_000)}`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  raw.say(body.slice(70_000));
  expect(await raw.upTo(/all of it/)).toMatch(/^HTTP\/1\.1 200 /);
});

test("one that goes away at once, by a reset, harms nobody", async () => {
  const http = sharedApi();
  for (const ask of [H2C, WEBSOCKET, "connection: upgrade\r\nupgrade: x\r\n"]) {
    for (const path of ["/healthz", "/v1/ws", "/v1/sessions"]) {
      const raw = new Raw(http);
      raw.say(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n${ask}\r\n`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      raw.socket.resetAndDestroy();
      await raw.closed;
    }
  }
  expect((await http.get("/healthz")).status).toBe(200);
});

test("behind a request that is not answered yet it ends the connection", async () => {
  const service = await openHost();
  const http = await serve(service);
  const id = await http.session();
  const raw = new Raw(http);
  const body = JSON.stringify({ prompt: script(["sleep", 60_000]), cancelOnDisconnect: true });
  raw.say(
    `POST /v1/sessions/${id}/turns HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await expect.poll(() => service.inspect().turns.running).toBe(1);
  raw.say(`GET /healthz HTTP/1.1\r\nhost: localhost\r\n${H2C}\r\n`);
  await expect.poll(() => service.inspect().turns.running).toBe(0);
  raw.socket.end();
  await raw.closed;
});

test("a WebSocket is spoken at its own path; elsewhere asking for one changes nothing, and leaves nothing behind", async () => {
  const service = await openHost();
  const http = await serve(service);
  const id = await http.session();
  const raw = new Raw(http);
  raw.say(`GET /v1/sessions/${id} HTTP/1.1\r\nhost: localhost\r\n${WEBSOCKET}\r\n`);
  expect(await raw.upTo(/\{.*\}/)).toMatch(/^HTTP\/1\.1 200 /);
  raw.say(`POST /v1/ws HTTP/1.1\r\nhost: localhost\r\n${WEBSOCKET}content-length: 0\r\n\r\n`);
  expect(await raw.upTo(/\{.*\}/)).toMatch(/^HTTP\/1\.1 405 /);
  raw.say(`GET /v1/sessions/${id}/events HTTP/1.1\r\nhost: localhost\r\n${WEBSOCKET}\r\n`);
  expect(await raw.upTo(/retry: 1000/)).toMatch(/^HTTP\/1\.1 200 /);
  expect(service.inspect().subscribers).toBe(2); // the reader's, and what is kept for it
  await http.delete(`/v1/sessions/${id}`);
  await raw.upTo(/event: end/);
  await expect.poll(() => service.inspect().subscribers).toBe(0);
});

test("a WebSocket that is refused is told, and its connection is ended though the client keeps its side open", async () => {
  const { file, remove } = keyFileOf({ one: { role: "admin" } });
  const http = await serve(await openHost(), { auth: { keyFile: file, reloadMs: 60_000 } });
  const raw = new Raw(http);
  raw.say(`GET /v1/ws HTTP/1.1\r\nhost: localhost\r\n${WEBSOCKET}\r\n`);
  expect(await raw.upTo(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 401 /);
  const begunMs = performance.now();
  await http.server.close();
  expect(performance.now() - begunMs).toBeLessThan(20_000);
  remove();
});
