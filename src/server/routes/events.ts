/** A session's events as they come, for as long as the client stays; one that comes back goes on where it was. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { z } from "@hono/zod-openapi";

import type { EventEnvelope } from "../../protocol/events.ts";
import { assertTakesEvents } from "../accept.ts";
import type { Api } from "../api.ts";
import type { ServerParts } from "../env.ts";
import { afterOf, eventFrame } from "../event-frames.ts";
import type { EventReader } from "../event-feeds.ts";
import { problemOf } from "../problems.ts";
import * as schemas from "../schemas.ts";
import type { SseStream } from "../sse.ts";
import { sseEvent } from "../sse.ts";
import { apiRoute, eventsAnswer } from "./route.ts";

/** Characters written at a time. */
const BATCH_CHARS = 65_536;

const cursor = z.string().min(1).max(512).optional();

const events = apiRoute("read", {
  method: "get",
  path: "/v1/sessions/{id}/events",
  tags: ["turns"],
  summary: "The session's events from now on, or from behind the last one that was seen",
  request: {
    params: schemas.SessionIdParams,
    query: z.strictObject({
      after: cursor.openapi({ description: "as Last-Event-ID, for clients that cannot set headers" }),
      ticket: z.string().max(128).optional().openapi({ description: "of POST /v1/tickets, for clients that cannot set headers" }),
    }),
    headers: z.object({ "last-event-id": cursor.openapi({ description: "the last event that was seen: its id, or its cursor" }) }),
  },
  responses: { 200: eventsAnswer("the events") },
});

export function eventRoutes(api: Api, { service, feeds, streams, tenancy }: ServerParts): void {
  api.openapi(events, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    assertTakesEvents(c.req.header("accept"));
    await service.read(id); // SESSION_NOT_FOUND while there is still a status to say it with
    if (c.req.raw.method === "HEAD") return c.body(null, 200, { "content-type": "text/event-stream; charset=utf-8" });
    const after = c.req.valid("header")["last-event-id"] ?? c.req.valid("query").after;
    const reader = feeds.open(id, after === undefined ? undefined : afterOf(id, after));
    let stream: SseStream;
    try {
      await reader.begin?.(); // refused behind a status of 200, a browser would come back with it for ever
      streams.assertRoom();
      stream = streams.open(c.env.outgoing, c.res.headers);
    } catch (error) {
      void reader.return?.();
      throw error;
    }
    stream.onClose(() => void reader.return?.());
    await copy(reader, stream, c.req.path);
    return RESPONSE_ALREADY_SENT;
  });
}

/** Waits until the session or the client has gone. */
async function copy(reader: EventReader, stream: SseStream, path: string): Promise<void> {
  try {
    for (;;) {
      const step = await reader.next();
      if (step.done === true) break;
      let text = eventFrame(step.value);
      for (let next: EventEnvelope | undefined; text.length < BATCH_CHARS && (next = reader.tryNext()) !== undefined;)
        text += eventFrame(next);
      stream.send(text);
      if (!(await stream.ready())) return;
    }
    stream.end(sseEvent("end", "{}"));
  } catch (error) {
    stream.end(sseEvent("problem", JSON.stringify(problemOf(error, path).problem)));
  }
}
