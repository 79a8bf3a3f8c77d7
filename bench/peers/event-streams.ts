/** Servers of event streams: Warren's, and Hono's with nothing behind it that writes the same events to as many streams. */
import type { ServerResponse } from "node:http";

import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import type { SSEStreamingApi } from "hono/streaming";
import { streamSSE } from "hono/streaming";

import { WarrenServer } from "../../src/server/index.ts";
import { serveBare, sessionLike } from "./http-server.ts";
import { stampOf } from "./stamps.ts";
import { openWarren } from "./warren.ts";

export interface StreamServer {
  readonly port: number;
  readonly ids: readonly string[];
  /** Make the n-th session say an event that has a stamp. Waits at most for what the server itself waits for. */
  emit(n: number): Promise<unknown>;
  close(): Promise<void>;
}
export type OpenStreamServer = (sessions: number) => Promise<StreamServer>;

export const openWarrenStreams: OpenStreamServer = async (sessions) => {
  const { service, ids } = await openWarren({ agentName: "stamps", sessions });
  const server = await WarrenServer.start(service, { port: 0 });
  const turns: Promise<unknown>[] = ids.map(() => Promise.resolve());
  return {
    port: server.port,
    ids,
    // Behind the session's turn before, should that be late.
    emit: (n) => (turns[n] = (turns[n] as Promise<unknown>).then(() => service.startTurn(ids[n] as string, { prompt: "" }))),
    close: async () => {
      await server.close();
      await service.shutdown();
    },
  };
};

/** As the framework's own helper does it: a web stream for each client. */
export const openHelperStreams: OpenStreamServer = async (sessions) => {
  const { app, watchers, ids, envelopeOf } = bareApp<SSEStreamingApi>(sessions);
  app.get("/v1/sessions/:id/events", (c) =>
    streamSSE(c, async (stream) => {
      watchers.get(c.req.param("id"))?.push(stream);
      await stream.write("retry: 1000\n\n");
      await new Promise<void>((resolve) => stream.onAbort(resolve));
    }),
  );
  const emit = async (n: number): Promise<void> => {
    const { id, seq, data } = envelopeOf(n);
    await Promise.all((watchers.get(id) ?? []).map((stream) => stream.writeSSE({ id: String(seq), data })));
  };
  return { ...(await serveBare(app)), ids, emit };
};

/** The least there is: the same text, written to each connection. */
export const openWrittenStreams: OpenStreamServer = async (sessions) => {
  const { app, watchers, ids, envelopeOf } = bareApp<ServerResponse>(sessions);
  app.get("/v1/sessions/:id/events", (c) => {
    const { outgoing } = c.env;
    outgoing.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" });
    outgoing.write("retry: 1000\n\n");
    watchers.get(c.req.param("id"))?.push(outgoing as ServerResponse);
    return RESPONSE_ALREADY_SENT;
  });
  const emit = async (n: number): Promise<void> => {
    const { id, seq, data } = envelopeOf(n);
    const text = `id: ${seq}\ndata: ${data}\n\n`;
    for (const outgoing of watchers.get(id) ?? []) outgoing.write(text);
  };
  return { ...(await serveBare(app)), ids, emit };
};

/** @template W - what writes to a client */
function bareApp<W>(sessions: number) {
  const ids = Array.from({ length: sessions }, (_, n) => sessionLike(n));
  const seqs = ids.map(() => 0);
  const envelopeOf = (n: number): { id: string; seq: number; data: string } => {
    const id = ids[n] as string;
    const seq = (seqs[n] = (seqs[n] as number) + 1);
    const payload = { type: "text_delta", delta: stampOf() };
    return {
      id,
      seq,
      data: JSON.stringify({ eventId: sessionLike(seq), sourceId: `session:${id}`, seq, timestampMs: Date.now(), payload }),
    };
  };
  return { app: new Hono<{ Bindings: HttpBindings }>(), watchers: new Map<string, W[]>(ids.map((id) => [id, []])), ids, envelopeOf };
}
