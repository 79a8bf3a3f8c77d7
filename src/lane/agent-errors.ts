/** Errors on the agent's side, and how what an agent threw becomes the turn's error. */
import { inspect } from "node:util";

import { ERRORS, agentFailure, hasErrorCode, toWire } from "../protocol/errors.ts";
import type { AgentErrorData, ErrorCode, WireError } from "../protocol/errors.ts";
import { isInstance } from "../protocol/foreign.ts";
import type { JsonValue } from "../protocol/json.ts";
import { isRecord, isText } from "../protocol/shapes.ts";
import { StoreError, storeFailure } from "../protocol/store-error.ts";
import { cloneJson } from "../protocol/json.ts";

/** Thrown by an agent to fail its turn with a kind (and details, any JSON) of its own. */
export class AgentError extends Error {
  readonly kind: string;
  readonly details?: unknown;
  constructor(kind: string, message: string, details?: unknown) {
    super(message);
    this.name = "AgentError";
    this.kind = kind;
    if (details !== undefined) this.details = details;
  }
}

/** Thrown by `throwIfInterrupted`, and the reason of the turn's signal. Swallowing it changes nothing. */
export class TurnInterrupted extends Error {
  constructor() {
    super("Run was cancelled");
    this.name = "TurnInterrupted";
  }
}

export const CANCELLED: WireError = toWire(agentFailure("cancelled", "Run was cancelled"));

/** @returns the failure of a turn whose agent threw `thrown`, which may be anything */
export function turnFailure(thrown: unknown): WireError {
  const { name, message, kind, details } = describeThrown(thrown);
  if (name === "TurnInterrupted") return CANCELLED;
  const shown = details ?? (name !== undefined && name !== "Error" && name !== "AgentError" ? { name } : undefined);
  return toWire(agentFailure(kind ?? "internal_error", message, { ...(shown !== undefined && { details: shown }) }));
}

/** @returns why a session could not be saved: the store's error, or the agent's that gave something which cannot be */
export function saveFailure(thrown: unknown): WireError {
  return isInstance(thrown, StoreError) ? toWire(storeFailure(thrown)) : turnFailure(thrown);
}

/** @returns the failure of a build: one of our codes passes through unchanged, everything else is AGENT_ERROR */
export function buildFailure(thrown: unknown): WireError {
  try {
    if (hasErrorCode(thrown)) {
      // Read once: a getter may say something else the next time.
      const { code, message, agentError, details } = thrown as Partial<Record<"code" | "message" | "agentError" | "details", unknown>>;
      const plain = details === undefined ? undefined : cloneJson(details);
      const agents = agentError === undefined ? undefined : cloneJson(agentError);
      if (typeof code !== "string" || !Object.hasOwn(ERRORS, code)) return turnFailure(thrown);
      return {
        code: code as ErrorCode,
        message: String(message).slice(0, MESSAGE_MAX),
        ...(isAgentError(agents) && { agentError: agents }),
        ...(isRecord(plain) && { details: plain }),
      };
    }
  } catch {
    // Not readable as one of ours (a getter that throws, details that are not JSON): described like any other value.
  }
  return turnFailure(thrown);
}

const isAgentError = (value: unknown): value is AgentErrorData => isRecord(value) && isText(value["kind"]) && isText(value["message"]);

interface Thrown {
  readonly name?: string;
  readonly message: string;
  readonly kind?: string;
  readonly details?: JsonValue;
}

/** Longest message taken over from an agent, in characters. */
const MESSAGE_MAX = 16_384;

/** Read what can be read of a thrown value; getters that throw and proxies that lie are no reason to fail. */
function describeThrown(thrown: unknown): Thrown {
  try {
    if (typeof thrown !== "object" || thrown === null) return { message: String(thrown).slice(0, MESSAGE_MAX) };
    const { name, message, kind, details } = thrown as Record<string, unknown>;
    return {
      message: (typeof message === "string" && message !== "" ? message : typeof name === "string" ? name : inspect(thrown)).slice(
        0,
        MESSAGE_MAX,
      ),
      ...(typeof name === "string" && { name }),
      ...(typeof kind === "string" && { kind }),
      ...plainDetails(details),
    };
  } catch {
    return undescribed(thrown);
  }
}

/** At the end of the stack nothing can be called, not even what would shorten a message: the name can be read all the same. */
function undescribed(thrown: unknown): Thrown {
  const message = "an error that cannot be described";
  try {
    const { name } = thrown as { name?: unknown };
    return typeof name === "string" ? { name, message } : { message };
  } catch {
    return { message };
  }
}

function plainDetails(details: unknown): { details?: JsonValue } {
  if (details === undefined) return {};
  try {
    return { details: cloneJson(details) };
  } catch {
    return {}; // details that are not JSON are left behind; the message still stands
  }
}

/** A short description for a log. */
export function describeError(thrown: unknown): string {
  try {
    if (!(thrown instanceof Error)) return String(thrown);
    const { stack, message }: { stack?: unknown; message: unknown } = thrown;
    return typeof stack === "string" ? stack : String(message);
  } catch {
    return "an error that cannot be described";
  }
}
