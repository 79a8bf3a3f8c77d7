/** What every route of the API has: the role it needs, problem documents for whatever goes wrong. */
import { createRoute, z } from "@hono/zod-openapi";
import type { RouteConfig } from "@hono/zod-openapi";
import type { TypedResponse } from "hono";

import { requireRole } from "../auth/authenticate.ts";
import type { Ctx } from "../env.ts";
import type { Role } from "../principal.ts";
import { ProblemSchema } from "../problems.ts";

/** Member of the OpenAPI document that names the role a route needs; absent: anybody. */
const ROLE_MEMBER = "x-warren-role";

/** @returns an answer of JSON, for a route's table of them */
export function jsonAnswer<S extends z.ZodType>(description: string, schema: S) {
  return { description, content: { "application/json": { schema } } };
}

/** @returns a body of JSON, for a route's request */
export function jsonBody<S extends z.ZodType>(schema: S, required: boolean) {
  return { content: { "application/json": { schema } }, required };
}

/** For an answer whose type says more than its schema. */
export function answerJson(c: Ctx, value: object): JsonAnswer {
  return c.body(JSON.stringify(value), 200, { "content-type": "application/json" }) as unknown as JsonAnswer;
}
type JsonAnswer = Response & TypedResponse<never, 200, "json">;

const EVENTS = { "text/event-stream": { schema: z.string().openapi({ description: "server-sent events; docs/http.md says which" }) } };

/** @returns an answer of JSON or, to a client that accepts them, of events */
export function turnAnswer<S extends z.ZodType>(description: string, schema: S) {
  return { description, content: { "application/json": { schema }, ...EVENTS } };
}

export function eventsAnswer(description: string) {
  return { description, content: EVENTS };
}

const PROBLEM = { description: "a problem document", content: { "application/problem+json": { schema: ProblemSchema } } };

/** @param role - that is needed for it */
export function apiRoute<const R extends RouteConfig>(role: Role, config: R) {
  return createRoute({
    ...config,
    [ROLE_MEMBER]: role,
    middleware: requireRole(role),
    responses: { ...config.responses, default: PROBLEM } as R["responses"] & { default: typeof PROBLEM },
  });
}
