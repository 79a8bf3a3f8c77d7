/**
 * What browsers are told: which pages may read answers, and what the server's own pages may do.
 *
 *   H1. Pages of other origins read nothing, unless they are named.
 *   H2. The server's pages load and send nothing elsewhere, are shown in no frame, and run no script that does not come from the server.
 */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";

import { sayAhead } from "./early-headers.ts";

const PREFLIGHT_MAX_AGE_S = 600;

/** @param origins - that are named. @returns undefined when there is none: then nothing is said, which means no. Ahead of authentication */
export function crossOrigin(origins: readonly string[]): MiddlewareHandler | undefined {
  if (origins.length === 0) return undefined;
  return cors({
    origin: [...origins],
    allowMethods: ["GET", "POST", "DELETE"],
    allowHeaders: ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "traceparent", "tracestate"],
    exposeHeaders: ["Location", "Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate", "X-Request-Id"],
    maxAge: PREFLIGHT_MAX_AGE_S,
  });
}

const POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** Of every answer. Nothing of TLS: the server speaks plain HTTP, and whoever puts TLS in front of it says so there. */
export const SECURITY_HEADERS = {
  "content-security-policy": POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

/** For the page of the API's documentation, which makes style elements and pictures of its own: what it sets as its `content-security-policy`. */
export const DOCUMENTATION_POLICY = `${POLICY}; style-src 'self' 'unsafe-inline'; img-src 'self' data:`;

/** H2, for all answers. What a handler sets itself counts. */
export function securityHeaders(): MiddlewareHandler {
  const headers = Object.entries(SECURITY_HEADERS);
  return async (c, next) => {
    for (const [name, value] of headers) sayAhead(c, name, value);
    await next();
  };
}
