/**
 * Every error Warren hands out: one table, one class, one wire form. `docs/errors.md` is generated from the two tables here.
 *
 * Callers test `code` (and, for AGENT_ERROR, `agentError.kind`), never the text and never `instanceof`.
 * Between threads an error travels as data: structured clone would drop its class and its fields.
 */
import { COMMS_ERRORS } from "./comms-errors.ts";
import type { SessionId } from "./ids.ts";

/** What a caller may do next. `bug`: report it, do not retry. */
export type Disposition = "retry" | "give-up" | "bug";

/** Codes of `SessionError`. AGENT_ERROR's disposition is that of its kind. */
export const ERRORS = {
  SESSION_NOT_FOUND: { disposition: "give-up", summary: "no such session: never created, archived, discarded, or lost with its lane" },
  SESSION_BUSY: { disposition: "retry", summary: "another turn of the session is running, or waits for it" },
  SESSION_NOT_RUNNING: { disposition: "give-up", summary: "no turn is running, or it has already passed the point of no return" },
  SESSION_PERSISTENCE_DISABLED: { disposition: "give-up", summary: "the call needs a store and the host has none" },
  SESSION_COMPACTION_DISABLED: { disposition: "give-up", summary: "the call needs a compacting agent" },
  SESSION_STORE_ERROR: { disposition: "retry", summary: "the store failed" },
  SESSION_UNSUPPORTED: { disposition: "give-up", summary: "this host or agent does not offer the operation" },
  SESSION_SYSTEM_CONTEXT_CONFLICT: { disposition: "give-up", summary: "the idempotency key is taken by a different text or source" },
  IDEMPOTENCY_CONFLICT: { disposition: "give-up", summary: "the idempotency key is that of an earlier turn whose request was another" },
  SESSION_QUARANTINED: { disposition: "give-up", summary: "the session brought its lane down repeatedly and waits for its release" },
  AGENT_ERROR: { disposition: "give-up", summary: "the agent, or the turn it ran, failed: see agentError.kind" },
  INVALID_PARAMS: { disposition: "bug", summary: "an argument is wrong; the message names the field, nothing was changed" },
  HOST_OVERLOADED: { disposition: "retry", summary: "a queue or limit of the host is full" },
  HOST_CLOSED: { disposition: "give-up", summary: "the host is shutting down or closed" },
} as const satisfies Record<string, { disposition: Disposition; summary: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** Kinds of AGENT_ERROR that Warren itself makes. An agent may throw kinds of its own with `AgentError`. */
export const AGENT_ERROR_KINDS = {
  cancelled: { disposition: "give-up", summary: "the turn was interrupted" },
  superseded: { disposition: "give-up", summary: "the turn waited for its session, and a later one took its place" },
  internal_error: { disposition: "give-up", summary: "the agent threw, could not be built, or the host is at its session limit" },
  invalid_event: { disposition: "bug", summary: "the agent emitted something that is not an event" },
  invalid_result: { disposition: "bug", summary: "the agent returned something that is not a result" },
  event_flood: { disposition: "bug", summary: "the agent emitted without awaiting, beyond 1,024 events or 8 MiB outstanding" },
  tool_overlay: { disposition: "give-up", summary: "the turn's tool overlay was refused before the run, or could not be cleared after it" },
  no_pending_boundary: { disposition: "give-up", summary: "the turn was to resume what is pending in the session, and nothing is" },
  callback_pending: {
    disposition: "give-up",
    summary: "the run waits for the answer to a tool call of its caller's: details.toolName and args",
  },
  lane_lost: { disposition: "retry", summary: "the thread that held the session ended; details.outcome says what became of the turn" },
  ...COMMS_ERRORS,
} as const satisfies Record<string, { disposition: Disposition; summary: string }>;

export interface AgentErrorData {
  readonly kind: string;
  readonly message: string;
  readonly details?: unknown;
}

/** The only form in which an error crosses a thread. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly agentError?: AgentErrorData;
  readonly details?: Record<string, unknown>;
}

export interface SessionErrorFields {
  readonly sessionId?: SessionId | undefined;
  readonly agentError?: AgentErrorData | undefined;
  readonly details?: Record<string, unknown> | undefined;
  readonly cause?: unknown;
  /** When this instance's is not that of its code or kind. */
  readonly disposition?: Disposition | undefined;
}

/** Thrown by every operation. Test `code`, never the text. */
export class SessionError extends Error {
  readonly code: ErrorCode;
  readonly disposition: Disposition;
  declare readonly sessionId?: SessionId;
  declare readonly agentError?: AgentErrorData;
  declare readonly details?: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, fields: SessionErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = "SessionError";
    this.code = code;
    this.disposition = fields.disposition ?? (fields.agentError ? dispositionOfKind(fields.agentError.kind) : ERRORS[code].disposition);
    if (fields.sessionId !== undefined) this.sessionId = fields.sessionId;
    if (fields.agentError !== undefined) this.agentError = fields.agentError;
    if (fields.details !== undefined) this.details = fields.details;
  }
}

function dispositionOfKind(kind: string): Disposition {
  const known: Partial<Record<string, { disposition: Disposition }>> = AGENT_ERROR_KINDS;
  return known[kind]?.disposition ?? "give-up";
}

/** Thrown by event streams. */
export class StreamError extends Error {
  readonly code: "NOT_FOUND" | "CLOSED" | "INTERNAL";
  constructor(code: StreamError["code"], message: string) {
    super(message);
    this.name = "StreamError";
    this.code = code;
  }
}

export const notFound = (id: SessionId): SessionError =>
  new SessionError("SESSION_NOT_FOUND", `session not found: ${id}`, { sessionId: id });
export const busy = (id: SessionId): SessionError => new SessionError("SESSION_BUSY", `session is busy: ${id}`, { sessionId: id });
export const notRunning = (id: SessionId): SessionError =>
  new SessionError("SESSION_NOT_RUNNING", `no turn running on session: ${id}`, { sessionId: id });
/** A session was to be created under an id that is another one's. */
export const takenId = (id: SessionId): SessionError =>
  new SessionError("INVALID_PARAMS", `invalid request.sessionId: ${id} is taken`, {
    sessionId: id,
    disposition: "give-up",
    details: { field: "request.sessionId", reason: "taken", issues: [{ field: "request.sessionId", problem: "is taken" }] },
  });
export const hostClosed = (): SessionError => new SessionError("HOST_CLOSED", "the host is closed");

/** An AGENT_ERROR of one kind; `details` (JSON) are found on its agentError and, when they are an object, on the error too. */
export function agentFailure(
  kind: string,
  message: string,
  fields: { sessionId?: SessionId; details?: unknown; disposition?: Disposition } = {},
): SessionError {
  const { sessionId, details, disposition } = fields;
  return new SessionError("AGENT_ERROR", `agent error: ${message}`, {
    sessionId,
    disposition,
    agentError: { kind, message, ...(details !== undefined && { details }) },
    details: typeof details === "object" && details !== null && !Array.isArray(details) ? (details as Record<string, unknown>) : undefined,
  });
}

/** There is a session of the id that an agent says its new one has. */
export const duplicateId = (id: SessionId): SessionError =>
  agentFailure("internal_error", `Duplicate session ID generated: ${id}`, { sessionId: id, details: { reason: "duplicate_id" } });

/** @returns the error as data, without its session (the receiver knows it) */
export function toWire(error: SessionError): WireError {
  const { code, message, agentError, details } = error;
  return { code, message, ...(agentError && { agentError }), ...(details && { details }) };
}

/** @returns the error that `wire` describes, for the given session */
export function fromWire(wire: WireError, sessionId?: SessionId): SessionError {
  return new SessionError(wire.code, wire.message, { sessionId, agentError: wire.agentError, details: wire.details });
}

/** @returns whether a value of unknown origin names one of our codes, as a `SessionError` of another module copy would */
export function hasErrorCode(
  value: unknown,
): value is { code: ErrorCode; message: string; details?: unknown; agentError?: AgentErrorData } {
  return (
    typeof value === "object" && value !== null && "code" in value && typeof value.code === "string" && Object.hasOwn(ERRORS, value.code)
  );
}
