/**
 * Events an agent emits, and the envelope they travel in.
 *
 * The set is open: a `type` not in the table passes as long as the event is JSON, and consumers must tolerate it.
 * A known type must have its fields. Names of types keep snake_case; fields are camelCase.
 */
import * as z from "zod";

import { isInstance } from "./foreign.ts";
import { json } from "./json-schema.ts";
import { NotJsonError, cloneJson } from "./json.ts";
import { list } from "./list.ts";
import { StopReason, Usage } from "./session-model.ts";
import { textDelta } from "./text-delta.ts";

const text = z.string();
const count = z.number().nonnegative();
const hook = { hookId: text, point: text };
const tool = { id: text, name: text };

/** Fields of every known event by type. */
const EVENT_FIELDS = {
  run_started: { sessionId: text, prompt: text },
  run_completed: { sessionId: text, result: text, usage: Usage },
  run_failed: { sessionId: text, error: text },
  hook_started: hook,
  hook_completed: { ...hook, durationMs: count },
  hook_failed: { ...hook, error: text },
  hook_denied: { ...hook, reasonCode: text, message: text, payload: json().optional() },
  hook_rewrite_applied: { ...hook, patch: json() },
  hook_patch_published: { ...hook, envelope: json() },
  turn_started: { turnNumber: count },
  reasoning_delta: { delta: text },
  reasoning_complete: { content: text },
  text_delta: { delta: text },
  text_complete: { content: text },
  tool_call_requested: { ...tool, args: json() },
  tool_result_received: { ...tool, isError: z.boolean() },
  turn_completed: { stopReason: StopReason, usage: Usage },
  tool_execution_started: tool,
  tool_execution_completed: { ...tool, result: text, isError: z.boolean(), durationMs: count },
  tool_execution_timed_out: { ...tool, timeoutMs: count },
  compaction_started: { inputTokens: count, estimatedHistoryTokens: count, messageCount: count },
  compaction_completed: { summaryTokens: count, messagesBefore: count, messagesAfter: count },
  compaction_failed: { error: text },
  budget_warning: { budgetType: z.enum(["tokens", "time", "tool_calls"]), used: count, limit: count, percent: count },
  retrying: { attempt: count, maxAttempts: count, error: text, delayMs: count },
  skills_resolved: { skills: list(json()), injectionBytes: count },
  skill_resolution_failed: { reference: json(), error: text },
  interaction_complete: { interactionId: text, result: text },
  interaction_failed: { interactionId: text, error: text },
  stream_truncated: { reason: json() },
  tool_config_changed: { payload: json() },
} as const satisfies Record<string, z.core.$ZodShape>;

export type KnownEventType = keyof typeof EVENT_FIELDS;
export type KnownAgentEvent = {
  [T in KnownEventType]: { type: T } & z.infer<z.ZodObject<(typeof EVENT_FIELDS)[T]>>;
}[KnownEventType];
/** Any event: a known one with its fields, or one of a type of your own with any JSON members. */
export type AgentEvent = KnownAgentEvent | { type: string; [member: string]: unknown };

/** @returns whether the event is of this type; narrows it to its fields, which comparing `type` cannot, as the set of types is open */
export function isEventOf<T extends KnownEventType>(event: AgentEvent, type: T): event is Extract<KnownAgentEvent, { type: T }> {
  return event.type === type;
}

const KNOWN = new Map<string, z.ZodType<AgentEvent>>(
  Object.entries(EVENT_FIELDS).map(([type, fields]) => [
    type,
    z.looseObject({ type: z.literal(type), ...fields }) as z.ZodType<AgentEvent>,
  ]),
);

/**
 * Check an event and copy it, so that what is stamped is what was checked and cannot change any more.
 *
 * @returns the copy, or what is wrong with the event, as a sentence that names the member
 */
export function parseEvent(event: unknown): { ok: true; event: AgentEvent } | { ok: false; problem: string } {
  if (typeof event !== "object" || event === null) {
    return { ok: false, problem: `an event is an object with a type, not ${event === null ? "null" : typeof event}` };
  }
  let copy: AgentEvent;
  try {
    // The text event of every agent, copied by hand: it is nearly all the traffic there is.
    const delta = textDelta(event);
    if (delta !== undefined) return { ok: true, event: { type: "text_delta", delta } };
    copy = cloneJson(event) as AgentEvent;
  } catch (error) {
    return { ok: false, problem: describeUnreadable(event, error) };
  }
  if (typeof copy.type !== "string" || copy.type === "") return { ok: false, problem: "an event's type must be a non-empty string" };
  const known = KNOWN.get(copy.type)?.safeParse(copy);
  return known?.success === false ? { ok: false, problem: `event ${copy.type}: ${describeIssue(known.error)}` } : { ok: true, event: copy };
}

function describeUnreadable(event: object, error: unknown): string {
  if (!isInstance(error, NotJsonError)) return "the event cannot be read";
  const type = typeOf(event);
  return `event ${typeof type === "string" ? type : "of no type"}: ${error.path.join(".") || "it"}: ${error.message}`;
}

/** A getter may throw, at the second look too. */
function typeOf(event: object): unknown {
  try {
    return (event as { type?: unknown }).type;
  } catch {
    return undefined;
  }
}

function describeIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? "is not valid" : `${issue.path.map(String).join(".") || "it"}: ${issue.message}`;
}

/** One stamped event, as every consumer sees it. */
export interface EventEnvelope {
  /** UUIDv7, unique. */
  eventId: string;
  /** `session:<id>`. */
  sourceId: string;
  /** 1-based and gapless over all turns of the session; 0 for a marker that is not the agent's, such as a gap. */
  seq: number;
  /** Epoch milliseconds at stamping. */
  timestampMs: number;
  mobId?: string;
  /** On a host with an event log: the position behind this event, for `subscribeSessionEvents({ after })`. Survives restarts. */
  cursor?: string;
  payload: AgentEvent;
}

/** Stands for events a slow reader lost. */
export type GapMarker = { type: "stream_truncated"; reason: { kind: GapKind; dropped: number } };
/** "stream_lagged": the reader was too slow, or they could not be kept. "rolled_back": they were of a turn that a crash undid. */
export type GapKind = "stream_lagged" | "rolled_back";

/** @param dropped - how many events it stands for */
export function gapMarker(dropped: number, kind: GapKind = "stream_lagged"): GapMarker {
  return { type: "stream_truncated", reason: { kind, dropped } };
}

/** @returns whether the payload is a marker of ours; only meaningful in an envelope whose seq is 0 */
export function isGapMarker(payload: AgentEvent): payload is GapMarker {
  return payload.type === "stream_truncated" && typeof (payload as Partial<GapMarker>).reason?.dropped === "number";
}

/** Total order of envelopes: time, then source, then number, then id. For `Array.sort`. */
export function compareEnvelopes(a: EventEnvelope, b: EventEnvelope): number {
  return a.timestampMs - b.timestampMs || compareText(a.sourceId, b.sourceId) || a.seq - b.seq || compareText(a.eventId, b.eventId);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
