/** Sessions: created, listed, looked at, forked, put to sleep, taken out of service. */
import { z } from "@hono/zod-openapi";

import { SessionError } from "../../protocol/errors.ts";
import { refuse } from "../../protocol/parse.ts";
import type { CreateSessionRequest } from "../../protocol/requests.ts";
import type { SessionView } from "../../protocol/views.ts";
import type { Api } from "../api.ts";
import type { ServerParts } from "../env.ts";
import { createKeyed, forkKeyed, onceFor } from "../idempotency/keyed.ts";
import { createRequestOf } from "../library-requests.ts";
import type { Principal } from "../principal.ts";
import { isNotFound } from "../problems.ts";
import { archiveWithin, createWithin, startWithin } from "../quotas/limited-work.ts";
import { limitedBy } from "../quotas/rate-limit-headers.ts";
import * as schemas from "../schemas.ts";
import type { StartTurn } from "../turn-answer.ts";
import { answerTurn } from "../turn-answer.ts";
import { apiRoute, jsonAnswer, jsonBody, turnAnswer } from "./route.ts";

/** Sessions a page has unless told otherwise, and at most. */
const PAGE = 50;
const PAGE_MAX = 1000;
const LABEL = "label.";

const tags = ["sessions"];
const params = schemas.SessionIdParams;

const create = apiRoute("run", {
  method: "post",
  path: "/v1/sessions",
  tags,
  summary: "Create a session and, unless deferred, run its first turn",
  request: { body: jsonBody(schemas.CreateSessionBody, true) },
  responses: { 201: turnAnswer("the first turn's result", schemas.RunResult) },
});

const listQuery = z
  .object({
    limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(PAGE).openapi({ type: "integer" }),
    cursor: z.string().min(1).max(256).optional().openapi({ description: "nextCursor of the page before" }),
    labels: z
      .unknown()
      .openapi({
        param: { name: "labels", in: "query", style: "form", explode: true },
        type: "object",
        additionalProperties: { type: "string" },
        propertyNames: { pattern: "^label\\." },
        description: "label.NAME=VALUE: only sessions with that label; may be repeated with other names",
      } as never)
      .optional(),
  })
  .catchall(z.string());

const list = apiRoute("read", {
  method: "get",
  path: "/v1/sessions",
  tags,
  summary: "Sessions by id, which is the order of creation",
  request: { query: listQuery },
  responses: { 200: jsonAnswer("a page of sessions", schemas.SessionPage) },
});

const read = apiRoute("read", {
  method: "get",
  path: "/v1/sessions/{id}",
  tags,
  summary: "One session",
  request: { params },
  responses: { 200: jsonAnswer("the session as it is now", schemas.SessionView) },
});

const archive = apiRoute("run", {
  method: "delete",
  path: "/v1/sessions/{id}",
  tags,
  summary: "Take a session out of service; a running turn finishes",
  request: {
    params,
    query: z.strictObject({
      purge: z.enum(["true", "false"]).optional().openapi({ description: "remove a stored session and its events for good" }),
    }),
  },
  responses: { 204: { description: "done" } },
});

const fork = apiRoute("run", {
  method: "post",
  path: "/v1/sessions/{id}/fork",
  tags,
  summary: "A new session with the same agent and the same messages, or the first of them",
  request: { params, body: jsonBody(schemas.ForkBody, false) },
  responses: { 201: jsonAnswer("the new session", schemas.SessionView) },
});

const hibernate = apiRoute("admin", {
  method: "post",
  path: "/v1/sessions/{id}/hibernate",
  tags,
  summary: "Put an idle session to sleep; its next turn wakes it",
  request: { params },
  responses: { 204: { description: "it sleeps" } },
});

const release = apiRoute("admin", {
  method: "post",
  path: "/v1/sessions/{id}/release-quarantine",
  tags,
  summary: "Let a session run again that brought its thread down repeatedly",
  request: { params },
  responses: { 204: { description: "it may run" } },
});

export function sessionRoutes(api: Api, parts: ServerParts): void {
  const { service, tenancy, quotas } = parts;

  api.openapi(create, async (c) => {
    const body = c.req.valid("json");
    const request = await createRequestOf(tenancy, c.var.principal, body);
    const limited = limitedBy(c, quotas);
    const start: StartTurn = (onEvent, call, onJoin) =>
      onceFor(c, parts, { body, creates: true, signal: call.signal, onJoin }, (keyed, signal) => {
        const shared = { ...call, signal };
        const create = (what: CreateSessionRequest) => createWithin(limited, service, what, shared);
        if (keyed === undefined) return create({ ...request, onEvent });
        return createKeyed(service, keyed, { ...request, onEvent }, create, (id, turn) => startWithin(limited, service, id, turn, shared));
      });
    return answerTurn(c, parts, start, { status: 201, cancelOnDisconnect: body.cancelOnDisconnect });
  });

  api.openapi(list, async (c) => {
    const { limit, cursor, labels: _, ...others } = c.req.valid("query");
    const labels = tenancy.filterFor(c.var.principal, labelsOf(others));
    const sessions = await service.list({ limit: limit + 1, after: cursor, ...(labels && { labels }) });
    const data = sessions.slice(0, limit).map((summary) => tenancy.shown(c.var.principal, summary));
    const last = data.at(-1);
    return c.json({ data, ...(sessions.length > limit && last && { nextCursor: last.sessionId }) }, 200);
  });

  api.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    return c.json(shownView(parts, c.var.principal, await service.read(id)), 200);
  });

  api.openapi(archive, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    const isPurge = c.req.valid("query").purge === "true";
    if (isPurge && service.purge === undefined) throw needsStore(id);
    await archiveWithin(limitedBy(c, quotas), service, id);
    if (isPurge) {
      await service.purge?.(id).catch((error: unknown) => {
        if (!isNotFound(error)) throw error; // with the archive policy "delete" it is gone already
      });
    }
    return c.body(null, 204);
  });

  api.openapi(fork, async (c) => {
    const { id } = c.req.valid("param");
    const { principal } = c.var;
    await tenancy.assertOwn(principal, id);
    const body = c.req.valid("json");
    const { messages, labels } = body;
    const given = labels === undefined ? undefined : await tenancy.labelsOfFork(principal, id, labels as Record<string, string>);
    const view = await onceFor(c, parts, { body, creates: true }, (keyed) =>
      forkKeyed(service, keyed, (sessionId) =>
        quotas.asSession(principal.tenant, () => service.forkSession(id, { messages, sessionId, ...(given && { labels: given }) })),
      ),
    );
    c.header("location", `/v1/sessions/${encodeURIComponent(view.state.sessionId)}`);
    return c.json(shownView(parts, principal, view), 201);
  });

  api.openapi(hibernate, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    if (service.hibernate === undefined) throw needsStore(id);
    await onceFor(c, parts, {}, async () => {
      await service.hibernate?.(id);
      return null;
    });
    return c.body(null, 204);
  });

  api.openapi(release, async (c) => {
    const { id } = c.req.valid("param");
    await tenancy.assertOwn(c.var.principal, id);
    await onceFor(c, parts, {}, () => service.releaseQuarantine(id).then(() => null));
    return c.body(null, 204);
  });
}

/** @throws SessionError INVALID_PARAMS for a member of the query that is none */
function labelsOf(query: Record<string, unknown>): Record<string, string> | undefined {
  const labels: [string, string][] = Object.entries(query).map(([name, value]) => {
    if (!name.startsWith(LABEL) || name.length === LABEL.length) refuse(name, "there is no such parameter: limit, cursor, label.NAME");
    return [name.slice(LABEL.length), value as string];
  });
  return labels.length === 0 ? undefined : Object.fromEntries(labels);
}

function shownView({ tenancy }: ServerParts, principal: Principal, view: SessionView): SessionView {
  return { ...view, state: tenancy.shown(principal, view.state) };
}

function needsStore(id: string): SessionError {
  return new SessionError("SESSION_PERSISTENCE_DISABLED", "session persistence is disabled", { sessionId: id });
}
