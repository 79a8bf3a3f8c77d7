/**
 * Errors over HTTP: problem documents (RFC 9457) with Warren's stable codes. This file is the one table of statuses; docs/errors.md is
 * generated from it, among others.
 *
 * A client tests `code` (and, for AGENT_ERROR, `agentError.kind`), never the text.
 */
import { z } from "@hono/zod-openapi";

import type { Disposition, ErrorCode } from "../protocol/errors.ts";
import { ERRORS, SessionError, StreamError } from "../protocol/errors.ts";
import { isInstance } from "../protocol/foreign.ts";

/** Statuses of the library's codes. AGENT_ERROR's is that of its kind, where that has one. */
export const STATUSES = {
  SESSION_NOT_FOUND: 404,
  SESSION_BUSY: 409,
  SESSION_NOT_RUNNING: 409,
  SESSION_PERSISTENCE_DISABLED: 501,
  SESSION_COMPACTION_DISABLED: 501,
  SESSION_STORE_ERROR: 500,
  SESSION_UNSUPPORTED: 501,
  SESSION_SYSTEM_CONTEXT_CONFLICT: 409,
  IDEMPOTENCY_CONFLICT: 422,
  SESSION_QUARANTINED: 409,
  AGENT_ERROR: 500,
  INVALID_PARAMS: 400,
  HOST_OVERLOADED: 503,
  HOST_CLOSED: 503,
} as const satisfies Record<ErrorCode, number>;

/**
 * Statuses of kinds of AGENT_ERROR that are not the server's fault: what the caller asked for, what somebody else did, what will pass. Kinds
 * after contract §1.14: a provider's failure 502, an exhausted budget 429, a hook's denial 403.
 */
export const KIND_STATUSES: Readonly<Partial<Record<string, number>>> = {
  cancelled: 409,
  superseded: 409,
  tool_overlay: 422,
  no_pending_boundary: 409,
  callback_pending: 409,
  lane_lost: 503,
  llm: 502,
  budget: 429,
  hook_denied: 403,
};

/** Codes that only the server has. */
export const HTTP_ERRORS = {
  UNAUTHENTICATED: { status: 401, disposition: "give-up", summary: "no credentials, or wrong ones" },
  FORBIDDEN: { status: 403, disposition: "give-up", summary: "the credentials do not allow it" },
  ROUTE_NOT_FOUND: { status: 404, disposition: "bug", summary: "there is nothing at this path" },
  METHOD_NOT_ALLOWED: { status: 405, disposition: "bug", summary: "the path knows other methods: see Allow" },
  NOT_ACCEPTABLE: { status: 406, disposition: "bug", summary: "the answer has none of the accepted types" },
  IDEMPOTENCY_IN_PROGRESS: {
    status: 409,
    disposition: "retry",
    summary: "the first request with this Idempotency-Key is not answered yet",
  },
  PAYLOAD_TOO_LARGE: { status: 413, disposition: "bug", summary: "the request's body is too large" },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, disposition: "bug", summary: "the request's body is not of the type that is asked for" },
  UPGRADE_REQUIRED: { status: 426, disposition: "bug", summary: "the path speaks another protocol: see Upgrade" },
  RATE_LIMITED: { status: 429, disposition: "retry", summary: "too many requests: see Retry-After" },
  QUOTA_EXCEEDED: { status: 429, disposition: "retry", summary: "the tenant has as many as it may" },
  INTERNAL_ERROR: { status: 500, disposition: "bug", summary: "a mistake of Warren's; it is logged" },
  UNAVAILABLE: { status: 503, disposition: "retry", summary: "something the answer needs cannot be reached" },
} as const satisfies Record<string, { status: number; disposition: Disposition; summary: string }>;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;

/** Seconds a client is told to wait when nothing better is known. */
const RETRY_AFTER_S = 1;

export const ProblemSchema = z
  .object({
    type: z.string().openapi({ description: "urn:warren:error: and the code", example: "urn:warren:error:SESSION_BUSY" }),
    title: z.string().openapi({ description: "what the code means" }),
    status: z.int(),
    detail: z.string().openapi({ description: "what happened" }),
    instance: z.string().openapi({ description: "the path that was asked" }),
    code: z.string().openapi({ description: "stable: test this", example: "SESSION_BUSY" }),
    disposition: z.enum(["retry", "give-up", "bug"]).openapi({ description: "what a client may do next" }),
    sessionId: z.string().optional(),
    agentError: z.object({ kind: z.string(), message: z.string(), details: z.unknown().optional() }).optional(),
    details: z.record(z.string(), z.unknown()).optional(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .openapi("Problem");
export type Problem = z.infer<typeof ProblemSchema>;

/** An error of the server's own. */
export class HttpError extends Error {
  readonly code: HttpErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: HttpErrorCode, message: string, fields: { headers?: Record<string, string>; details?: Record<string, unknown> } = {}) {
    super(message);
    this.name = "HttpError";
    this.code = code;
    this.headers = fields.headers ?? {};
    this.details = fields.details;
  }
}

export function isNotFound(error: unknown): boolean {
  return isInstance(error, SessionError) && error.code === "SESSION_NOT_FOUND";
}

/** @returns the problem document and the headers that go with it. What is no error of ours is INTERNAL_ERROR, and tells nothing of itself */
export function problemOf(error: unknown, instance: string): { problem: Problem; headers: Record<string, string> } {
  if (isInstance(error, HttpError)) {
    const { status, disposition, summary } = HTTP_ERRORS[error.code];
    const { code, message, details, headers } = error;
    return { problem: { ...named(code, summary, status, message, instance, disposition), ...(details && { details }) }, headers };
  }
  if (isInstance(error, ReplayedProblem)) return { problem: error.problem, headers: {} };
  if (isInstance(error, StreamError)) return problemOf(ofStream(error), instance);
  if (isInstance(error, SessionError)) return ofSession(error, instance);
  const { status, disposition, summary } = HTTP_ERRORS.INTERNAL_ERROR;
  return { problem: named("INTERNAL_ERROR", summary, status, summary, instance, disposition), headers: {} };
}

/** A failure that is remembered: it is told again as it was told. */
export class ReplayedProblem extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = "ReplayedProblem";
    this.problem = problem;
  }
}

function named(code: string, title: string, status: number, detail: string, instance: string, disposition: Disposition): Problem {
  return { type: `urn:warren:error:${code}`, title, status, detail, instance, code, disposition };
}

function ofStream({ code, message }: StreamError): SessionError {
  if (code === "NOT_FOUND") return new SessionError("SESSION_NOT_FOUND", message);
  return new SessionError(code === "CLOSED" ? "HOST_CLOSED" : "SESSION_STORE_ERROR", message);
}

function ofSession(error: SessionError, instance: string): { problem: Problem; headers: Record<string, string> } {
  const { code, message, disposition, sessionId, agentError, details } = error;
  const status = statusOf(error);
  const problem: Problem = {
    ...named(code, ERRORS[code].summary, status, message, instance, disposition),
    ...(sessionId !== undefined && { sessionId }),
    ...(agentError && { agentError: { ...agentError } }),
    ...(details && { details }),
  };
  const issues = details?.["issues"];
  if (code === "INVALID_PARAMS" && Array.isArray(issues)) {
    problem.errors = (issues as { field: string; problem: string }[]).map((issue) => ({
      field: issue.field.replace(/^(request|options)\./, ""), // of the body, to an HTTP client
      message: issue.problem,
    }));
    delete problem.details;
  }
  return { problem, headers: status === 503 || status === 429 ? { "retry-after": String(retryAfterSeconds(details)) } : {} };
}

function statusOf({ code, agentError, details }: SessionError): number {
  if (code !== "AGENT_ERROR") return STATUSES[code];
  if (details?.["reason"] === "capacity") return 503;
  if (agentError?.kind === "cancelled" && details?.["reason"] === "timeout") return 504;
  if (agentError?.kind === "cancelled" && details?.["reason"] === "shutdown") return 503;
  return (agentError && KIND_STATUSES[agentError.kind]) ?? STATUSES.AGENT_ERROR;
}

function retryAfterSeconds(details: Record<string, unknown> | undefined): number {
  const ms = details?.["retryAfterMs"];
  return typeof ms === "number" ? Math.max(RETRY_AFTER_S, Math.ceil(ms / 1000)) : RETRY_AFTER_S;
}
