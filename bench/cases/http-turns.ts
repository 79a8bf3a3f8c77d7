/**
 * Turns over HTTP: POST /v1/sessions/{id}/turns from a process of its own, over connections that are kept alive; beside a bare handler
 * that parses the same JSON and answers as much of it. Closed loop. Every connection has sessions of its own, so that none is busy.
 */
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { decodeFromCompressedBase64 } from "hdr-histogram-js";

import { WarrenServer } from "../../src/server/index.ts";
import type { Contender, ContenderKind } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { percentileUs } from "../harness/load.ts";
import { ClientProcess } from "../peers/client-process.ts";
import type { HttpPeer } from "../peers/http-server.ts";
import { serveBare, sessionLike } from "../peers/http-server.ts";
import type { TurnLoad, TurnsDone } from "../peers/turn-load-worker.ts";
import { openWarren } from "../peers/warren.ts";

interface Load {
  readonly connections: number;
}
type Served = HttpPeer & { readonly ids: readonly string[] };

const SESSIONS = 1000;
const ROUND_MS = 1500;
const LEAD_IN_MS = 200;
/** What is on the way of a request is a lot of code, and it compiles late. */
const WARM_UP_MS = 5000;
const BODY = JSON.stringify({ prompt: "x".repeat(100) });
const MAIN = "64 connections";

const CLIENT = new URL("../peers/turn-load-worker.js", import.meta.url);

function contender(name: string, kind: ContenderKind, open: () => Promise<Served>): Contender<Load> {
  return {
    name,
    kind,
    open: async ({ connections }) => {
      const server = await open();
      const client = new ClientProcess(CLIENT);
      let runs = 0;
      const load = (durationMs: number): Promise<TurnsDone> => {
        // The end of a run leaves turns behind that nobody waits for: the next run is with the other half of the sessions.
        const ids = server.ids.filter((_, n) => n % 2 === runs % 2);
        runs++;
        const share = (connection: number) => ids.filter((_, n) => n % connections === connection).map((id) => `/v1/sessions/${id}/turns`);
        const order: TurnLoad = {
          url: server.url,
          paths: Array.from({ length: connections }, (_, connection) => share(connection)),
          body: BODY,
          durationMs,
        };
        return client.give<TurnsDone>(order);
      };
      await load(WARM_UP_MS);
      return {
        leadIn: () => load(LEAD_IN_MS),
        round: async () => {
          const before = process.cpuUsage();
          const { turns, perSecond, latencies: encoded } = await load(ROUND_MS);
          const { user, system } = process.cpuUsage(before);
          const latencies = decodeFromCompressedBase64(encoded);
          const [p50Us, p99Us] = [percentileUs(latencies, 50), percentileUs(latencies, 99)];
          return { figures: { perSecond, p50Us, p99Us, cpuUs: (user + system) / turns }, latencies };
        },
        close: async () => {
          await client.end();
          await server.close();
        },
      };
    },
  };
}

async function openServer(): Promise<Served> {
  const { service, ids } = await openWarren({ sessions: SESSIONS });
  const server = await WarrenServer.start(service, { port: 0 });
  const close = async (): Promise<void> => {
    await server.close();
    await service.shutdown();
  };
  return { url: server.url, port: server.port, ids, close };
}

/** @param ownsGlobals - as `serveBare` */
function openBare(ownsGlobals: boolean): () => Promise<Served> {
  return async () => {
    const app = new Hono<{ Bindings: HttpBindings }>();
    app.post("/v1/sessions/:id/turns", async (c) => {
      const { prompt } = await c.req.json<{ prompt: string }>();
      return c.json({ text: prompt, sessionId: c.req.param("id"), turns: 1, toolCalls: 0, usage: { inputTokens: 0, outputTokens: 0 } });
    });
    return { ...(await serveBare(app, ownsGlobals)), ids: Array.from({ length: SESSIONS }, (_, n) => sessionLike(n)) };
  };
}

export const httpTurns = defineCase<Load>({
  name: "http-turns",
  title: "Turns over HTTP",
  metrics: {
    perSecond: { unit: "turns/s", better: "higher" },
    p50Us: { unit: "µs", better: "lower" },
    p99Us: { unit: "µs", better: "lower" },
    /** Of the server's process, all its threads. */
    cpuUs: { unit: "µs of CPU a turn", better: "lower" },
  },
  yardstick: "bare Hono handler",
  scenarios: [
    { name: MAIN, parameters: { connections: 64 } },
    { name: "1 connection", parameters: { connections: 1 } },
  ],
  smoke: [MAIN],
  contenders: [
    contender("warren over HTTP", "warren", openServer),
    contender("bare Hono handler", "limit", openBare(false)),
    contender("bare Hono, globals replaced", "limit", openBare(true)),
  ],
});
