/** Clients that ask a byte at a time: they are sent away, and the others are served meanwhile. */
import { connect } from "node:net";
import type { Socket } from "node:net";

import { afterAll, beforeAll, expect, test } from "vitest";

import { WarrenServer } from "../../dist/src/server/index.js";
import { sharedHost } from "../helpers/hosts.ts";

const host = sharedHost({ lanes: { count: 1 } });
let server: WarrenServer;
const sockets: Socket[] = [];
beforeAll(async () => {
  server = await WarrenServer.start(host(), { port: 0 });
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
});

/** @returns what a client is told before its connection is ended; it sends a little now and then */
function trickle(beginning: string): Promise<string> {
  const socket = connect(server.port, "127.0.0.1");
  sockets.push(socket);
  let told = "";
  socket.write(beginning);
  const more = setInterval(() => socket.write("x"), 500);
  return new Promise((resolve) => {
    socket.on("error", () => undefined); // it may be cut off in the middle of a write
    socket.on("data", (data) => (told += data.toString()));
    socket.on("close", () => {
      clearInterval(more);
      resolve(told);
    });
  });
}

test("headers that do not end are answered 408, and the connection is closed", async () => {
  const slow = Promise.all(Array.from({ length: 20 }, (_, n) => trickle(`GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-${n}: `)));
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  for (const told of await slow) expect(told).toMatch(/^HTTP\/1\.1 408 /);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
});
