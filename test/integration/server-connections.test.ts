/** Thousands of clients that come and go: what the server holds of them afterwards. Measures memory of the process, so it runs alone. */
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { expect, test } from "vitest";

import { hosts, script } from "../helpers/hosts.ts";
import type { Api } from "../helpers/servers.ts";
import { servers } from "../helpers/servers.ts";

const openHost = hosts();
const serve = servers();

const CLIENTS = 10_000;
/** At a time. */
const TOGETHER = 50;
/** A stream that is not let go of is some 7,000. */
const BYTES_A_CLIENT = 150;

test("10,000 clients that come and go leave nothing behind, however they go", async () => {
  const service = await openHost();
  const http = await serve(service);
  const id = await http.session();
  const stay = await http.events(id);
  /** The one that stays, and what is kept for it. */
  const settled = async (): Promise<void> => {
    await expect.poll(() => service.inspect().subscribers, { timeout: 10_000 }).toBe(2);
  };

  await comeAndGo(http, id, CLIENTS / 5); // code is compiled, buffers have their size
  await settled();
  const before = heapBytes();
  await comeAndGo(http, id, CLIENTS);
  await settled();
  await expect.poll(() => (heapBytes() - before) / CLIENTS, { timeout: 10_000 }).toBeLessThan(BYTES_A_CLIENT);

  await http.post(`/v1/sessions/${id}/turns`, { prompt: script(["emit", 1]) });
  expect(await stay.upTo(1)).toHaveLength(1);
  await stay.leave();
}, 120_000);

async function comeAndGo(http: Api, id: string, clients: number): Promise<void> {
  let left = clients;
  const lane = async (): Promise<void> => {
    while (left > 0) await visit(http, id, left-- % 3);
  };
  await Promise.all(Array.from({ length: TOGETHER }, lane));
}

/** One client: it ends its connection, breaks it, or goes before it is answered. */
async function visit(http: Api, id: string, how: number): Promise<void> {
  const socket = connect(http.server.port, "127.0.0.1");
  const closed = new Promise<void>((resolve) => socket.on("error", () => {}).once("close", () => resolve()));
  socket.write(`GET /v1/sessions/${id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  const happened = how === 2 ? "connect" : "data";
  await new Promise((resolve) => socket.once(happened, resolve));
  if (how === 0) socket.end().resume();
  else if (how === 1) socket.resetAndDestroy();
  else socket.destroy();
  await closed;
}

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect(); // what finalizers of the first let go
  return process.memoryUsage().heapUsed;
}
