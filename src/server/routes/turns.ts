/** Turns: started, interrupted; what they left in the transcript; context for the next one. */
import { z } from "@hono/zod-openapi";

import { notRunning } from "../../protocol/errors.ts";
import type { Api } from "../api.ts";
import type { ServerParts } from "../env.ts";
import * as schemas from "../schemas.ts";
import { turnRequestOf } from "../library-requests.ts";
import { startWithin } from "../quotas/limited-work.ts";
import type { Keyed } from "../idempotency/keyed.ts";
import { onceFor } from "../idempotency/keyed.ts";
import { limitedBy } from "../quotas/rate-limit-headers.ts";
import { answerTurn } from "../turn-answer.ts";
import type { StartTurn } from "../turn-answer.ts";
import { answerJson, apiRoute, jsonAnswer, jsonBody, turnAnswer } from "./route.ts";

/** Messages a page of a transcript has unless told otherwise, and at most. */
const PAGE = 100;
const PAGE_MAX = 1000;

const tags = ["turns"];
const params = schemas.SessionIdParams;

const start = apiRoute("run", {
  method: "post",
  path: "/v1/sessions/{id}/turns",
  tags,
  summary: "Run a turn and wait for its result, or follow its events",
  request: { params, body: jsonBody(schemas.StartTurnBody, true) },
  responses: { 200: turnAnswer("the turn's result", schemas.RunResult) },
});

const interrupt = apiRoute("run", {
  method: "post",
  path: "/v1/sessions/{id}/interrupt",
  tags,
  summary: "Stop the running turn: its caller gets AGENT_ERROR of kind cancelled",
  request: { params, body: jsonBody(schemas.InterruptBody, false) },
  responses: { 200: jsonAnswer("the turn will be cancelled", schemas.Interrupted) },
});

const history = apiRoute("read", {
  method: "get",
  path: "/v1/sessions/{id}/history",
  tags,
  summary: "A page of the transcript; waits for a running turn",
  request: {
    params,
    query: z.strictObject({
      offset: z.coerce.number().int().min(0).default(0).openapi({ type: "integer" }),
      limit: z.coerce.number().int().min(0).max(PAGE_MAX).default(PAGE).openapi({ type: "integer" }),
    }),
  },
  responses: { 200: jsonAnswer("messages, oldest first", schemas.HistoryPage) },
});

const context = apiRoute("run", {
  method: "post",
  path: "/v1/sessions/{id}/system-context",
  tags,
  summary: "Stage text for exactly the next model call",
  request: { params, body: jsonBody(schemas.SystemContextBody, true) },
  responses: { 200: jsonAnswer("what became of it", schemas.SystemContextStatus) },
});

export function turnRoutes(api: Api, parts: ServerParts): void {
  const { service, tenancy, quotas } = parts;

  api.openapi(start, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    const body = c.req.valid("json");
    const request = turnRequestOf(body);
    const limited = limitedBy(c, quotas);
    const run: StartTurn = (onEvent, call, onJoin) =>
      onceFor(c, parts, { body, signal: call.signal, onJoin }, (keyed, signal) => {
        const named = keyed && { idempotencyKey: keyed.key };
        return startWithin(limited, service, id, { ...request, ...named, ...(onEvent && { onEvent }) }, { ...call, signal });
      });
    return answerTurn(c, parts, run, { sessionId: id, status: 200, cancelOnDisconnect: body.cancelOnDisconnect });
  });

  api.openapi(interrupt, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    const body = c.req.valid("json");
    const { ticket } = body;
    await onceFor(c, parts, { body }, async () => {
      if (ticket === undefined) await service.interrupt(id);
      else if (!(await service.interruptTurn(id, ticket))) throw notRunning(id);
      return null;
    });
    return c.json({ interrupted: true as const }, 200);
  });

  api.openapi(history, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    return answerJson(c, await service.readHistory(id, c.req.valid("query")));
  });

  api.openapi(context, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    const body = c.req.valid("json");
    // By its key the library tells one that is done again after a crash.
    const append = (keyed: Keyed | undefined) =>
      service.appendSystemContext(
        id,
        keyed === undefined || body.idempotencyKey !== undefined ? body : { ...body, idempotencyKey: keyed.key },
      );
    return c.json(await onceFor(c, parts, { body }, append), 200);
  });
}
