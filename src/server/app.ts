/**
 * The HTTP API as an app: what every request passes, the routes, and what becomes of errors.
 *
 *   X1. Whatever goes wrong is answered with a problem document.
 *   X2. Nothing of a session is touched before the request is authenticated, allowed, and understood.
 */
import { HTTPException } from "hono/http-exception";
import { requestId } from "hono/request-id";

import { SessionError } from "../protocol/errors.ts";
import { isInstance } from "../protocol/foreign.ts";
import type { Api } from "./api.ts";
import { createApi } from "./api.ts";
import { authenticate } from "./auth/authenticate.ts";
import { localOnly } from "./auth/loopback.ts";
import { jsonBodies } from "./bodies.ts";
import { dashboardRoutes } from "./dashboard.ts";
import { docsRoutes } from "./docs-page.ts";
import type { Ctx, ServerParts } from "./env.ts";
import { crossOrigin, securityHeaders } from "./hardening/browsers.ts";
import { methodsAt } from "./methods.ts";
import { HttpError, problemOf } from "./problems.ts";
import { rateLimitHeaders } from "./quotas/rate-limit-headers.ts";
import { eventRoutes } from "./routes/events.ts";
import { hostRoutes } from "./routes/host.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { ticketRoutes } from "./routes/tickets.ts";
import { turnRoutes } from "./routes/turns.ts";
import { websocketRoute } from "./routes/websocket.ts";
import { packageVersion } from "./version.ts";
import type { Sockets } from "./websocket/sockets.ts";

export function createApp(parts: ServerParts, sockets: Sockets): Api {
  const { authenticator, quotas, settings } = parts;
  const { maxBodyBytes, origins } = settings;
  const api = createApi();
  api.onError((error, c) => answerError(parts, error, c as Ctx));
  api.notFound((c) => answerError(parts, nothingAt(api, c as Ctx), c as Ctx));
  api.use(requestId());
  parts.observability.use(api);
  api.use(securityHeaders());
  if (!authenticator.isRequired) api.use(localOnly(origins));
  const cors = crossOrigin(origins);
  if (cors !== undefined) api.use(cors);
  api.use(authenticate(authenticator));
  api.use(rateLimitHeaders(quotas));
  api.use(jsonBodies(maxBodyBytes));
  hostRoutes(api, parts);
  sessionRoutes(api, parts);
  turnRoutes(api, parts);
  eventRoutes(api, parts);
  websocketRoute(api, parts, sockets);
  ticketRoutes(api, parts);
  docsRoutes(api, packageVersion());
  dashboardRoutes(api);
  return api;
}

/** What there is none of, at that path or with that method. */
function nothingAt(api: Api, c: Ctx): HttpError {
  const methods = methodsAt(api, c.req.path);
  if (methods.length === 0) return new HttpError("ROUTE_NOT_FOUND", `there is nothing at ${c.req.path}`);
  const allow = methods.join(", ");
  return new HttpError("METHOD_NOT_ALLOWED", `${c.req.path} knows ${allow}`, { headers: { allow } });
}

/** X1. */
function answerError({ logger }: ServerParts, error: unknown, c: Ctx): Response {
  const { problem, headers } = problemOf(understood(error), c.req.path);
  if (problem.code === "INTERNAL_ERROR") {
    const cause = isInstance(error, Error) ? error.stack : String(error);
    logger?.error({ path: c.req.path, requestId: c.var.requestId, cause }, "a request failed by a mistake of the server's");
  }
  return c.body(JSON.stringify(problem), problem.status as 500, { ...headers, "content-type": "application/problem+json" });
}

/** Errors of the framework's own are about the body: it could not be parsed. */
function understood(error: unknown): unknown {
  if (!isInstance(error, HTTPException) || error.status !== 400) return error;
  const issues = [{ field: "body", problem: "is not JSON" }];
  return new SessionError("INVALID_PARAMS", "invalid body: is not JSON", { details: { field: "body", issues } });
}
