/** What callers may ask: one schema per request, checked before anything is changed. Members nobody knows are refused by name. */
import * as z from "zod";

import type { EventEnvelope } from "./events.ts";
import type { SessionId } from "./ids.ts";
import { SESSION_ID_MAX, isNewSessionId } from "./ids.ts";
import { json } from "./json-schema.ts";
import { list } from "./list.ts";
import type { ResourceLimits } from "./resource-limits.ts";
import { ResourceLimitsSchema } from "./resource-limits.ts";
import type { PendingSystemContextAppend, Session, SkillKey } from "./session-model.ts";
import {
  PendingSystemContextAppend as PendingAppendSchema,
  Session as SessionSchema,
  SkillKey as SkillKeySchema,
  ToolOverlay,
} from "./session-model.ts";
import { parseInput } from "./parse.ts";
import { ExecutionKindParam } from "./runtime.ts";
import type { ExecutionKind } from "./runtime.ts";

/** A consumer of a turn's events. A promise it returns is awaited and holds the agent back; what it throws detaches it. */
export type OnEvent = (envelope: EventEnvelope) => void | Promise<void>;

/** Any JSON; reaches the builder unchanged. `resumeSession` (a whole `Session`) names the session to rebuild. */
export type SessionBuildOptions = { resumeSession?: Session | undefined; [option: string]: unknown };

const callback = <T>(): z.ZodType<T> => z.custom<T>((value) => typeof value === "function", "must be a function");
const positiveMs = z.number().positive().max(2_147_483_647);
/** A record schema that refuses the key `__proto__`, which zod would leave out in silence. */
const withoutProto = <S extends z.ZodType>(record: S): z.ZodPipe<z.ZodType<unknown>, S> =>
  z
    .custom<unknown>(
      (value) => typeof value !== "object" || value === null || !Object.hasOwn(value, "__proto__"),
      "must not have a key __proto__",
    )
    .pipe(record as never);
const labels = withoutProto(
  z.record(z.string().min(1).max(256), z.string().max(4096)).refine((map) => Object.keys(map).length <= 64, "must have at most 64 entries"),
);
const sessionId = z.string().min(1).max(SESSION_ID_MAX);
const newSessionId = z.string().refine(isNewSessionId, "must be a UUIDv7 in lower case");
const idempotencyKey = z.string().min(1).max(1024);
/** In a store half a surrogate pair would be another key. */
const turnKey = idempotencyKey.refine((key) => !/\p{Surrogate}/u.test(key), "must be well-formed Unicode");
const page = { offset: z.int().nonnegative().optional(), limit: z.int().nonnegative().optional() };

/** Members that `createSession` and `startTurn` share. */
const turnMembers = {
  prompt: z.string(),
  hostMode: z.boolean().optional(),
  skillReferences: list(SkillKeySchema).optional(),
  onEvent: callback<OnEvent>().optional(),
};

export const SessionIdParam = sessionId;

export const CreateSessionRequestSchema = z.strictObject({
  ...turnMembers,
  sessionId: newSessionId.optional(),
  idempotencyKey: turnKey.optional(),
  agent: z.string().min(1).optional(),
  model: z.string().optional(),
  systemPrompt: z.string().optional(),
  maxTokens: z.int().positive().optional(),
  initialTurn: z.enum(["run_immediately", "defer"]).optional(),
  labels: labels.optional(),
  isolation: z.enum(["shared", "dedicated"]).optional(),
  resourceLimits: ResourceLimitsSchema.optional(),
  build: withoutProto(z.record(z.string(), json().optional())).optional(),
});

/**
 * @param build - of a create request
 * @returns the id of the session that it resumes; undefined: it is a new one
 * @throws SessionError INVALID_PARAMS naming the field
 */
export function resumedIdOf(build: Readonly<Record<string, unknown>> | undefined): SessionId | undefined {
  const resumed = build?.["resumeSession"];
  return resumed === undefined ? undefined : parseInput(SessionSchema, resumed, "request.build.resumeSession").id;
}

export const StartTurnRequestSchema = z.strictObject({
  ...turnMembers,
  flowToolOverlay: ToolOverlay.optional(),
  additionalInstructions: list(z.string()).optional(),
  executionKind: ExecutionKindParam.optional(),
  preTurnContextAppends: list(PendingAppendSchema).optional(),
  timeoutMs: positiveMs.optional(),
  idempotencyKey: turnKey.optional(),
  idempotencyScope: z.enum(["session", "last_turn"]).optional(),
  onBusy: z.enum(["reject", "enqueue", "interrupt", "rollback", "latest", "merge"]).optional(),
});

export const CallOptionsSchema = z.strictObject({
  signal: z.custom<AbortSignal>((value) => value instanceof AbortSignal, "must be an AbortSignal").optional(),
  onAdmitted: callback<(ticket: number) => void>().optional(),
  onQueued: callback<(position: number) => void>().optional(),
});

export const SessionQuerySchema = z.strictObject({ labels: labels.optional(), after: sessionId.optional(), ...page });
export const SessionHistoryQuerySchema = z.strictObject(page);
export const ForkOptionsSchema = z.strictObject({
  messages: z.int().nonnegative().optional(),
  labels: labels.optional(),
  sessionId: newSessionId.optional(),
});
export const AppendSystemContextRequestSchema = z.strictObject({
  text: z.string(),
  source: z.string().optional(),
  // Keys of appends are members of a stored record.
  idempotencyKey: idempotencyKey.refine((key) => key !== "__proto__", "must not be __proto__").optional(),
});
export const SystemContextAppends = list(PendingAppendSchema);
export const SubscribeOptionsSchema = z.strictObject({
  bufferSize: z.int().positive().max(1_048_576).optional(),
  after: z.union([z.string(), z.number()]).optional(),
});
export const ShutdownOptionsSchema = z.strictObject({ deadlineMs: z.number().nonnegative().max(2_147_483_647).optional() });
export const TicketParam = z.int().positive();

export interface CreateSessionRequest {
  prompt: string;
  /**
   * The id it is to have: a UUIDv7 in lower case, of the caller's making, so that who has to ask again can tell whether there is such a
   * session. One that is taken, by a live, stored or archived session, is INVALID_PARAMS with `details.reason` "taken". Default: a new id.
   */
  sessionId?: SessionId | undefined;
  /** Of its first turn: `startTurn` with this key and the same prompt gives that turn's result once more, or runs it if it did not succeed. */
  idempotencyKey?: string | undefined;
  agent?: string | undefined;
  model?: string | undefined;
  systemPrompt?: string | undefined;
  /** Per model call. */
  maxTokens?: number | undefined;
  /** "defer": register only; the prompt is discarded. Default "run_immediately". */
  initialTurn?: "run_immediately" | "defer" | undefined;
  hostMode?: boolean | undefined;
  labels?: Record<string, string> | undefined;
  skillReferences?: SkillKey[] | undefined;
  /** "dedicated": a lane of its own. Default "shared". */
  isolation?: "shared" | "dedicated" | undefined;
  /** Of its own lane, with isolation "dedicated" only; what is not named is as the host's options say. A stored session keeps them. */
  resourceLimits?: ResourceLimits | undefined;
  build?: SessionBuildOptions | undefined;
  onEvent?: OnEvent | undefined;
}

export interface StartTurnRequest {
  prompt: string;
  hostMode?: boolean | undefined;
  skillReferences?: SkillKey[] | undefined;
  flowToolOverlay?: { allowedTools?: string[] | undefined; blockedTools?: string[] | undefined } | undefined;
  additionalInstructions?: string[] | undefined;
  /** "resume_pending": no new prompt, the agent goes on with what is pending in its session. Default: the prompt is new content. */
  executionKind?: ExecutionKind | undefined;
  /**
   * Written into the system message before the run, in the same step, and for good: they stand whatever becomes of the turn. One whose
   * text is there already is left out, so that a turn may be asked for again.
   */
  preTurnContextAppends?: PendingSystemContextAppend[] | undefined;
  /** Milliseconds; the turn is interrupted after this long. */
  timeoutMs?: number | undefined;
  /**
   * A turn of the session that succeeded under this key gives its result once more, and nothing runs. Known are the keys of the last 24
   * hours, of a session the 1,024 youngest. IDEMPOTENCY_CONFLICT when that turn's request was another.
   */
  idempotencyKey?: string | undefined;
  /**
   * Which turns the key is looked for among. "last_turn": only the session's last good one, whatever it asked for, for who keeps a record of
   * results and needs to know of the one behind it; the turn is not remembered any longer than that. Default "session".
   */
  idempotencyScope?: "session" | "last_turn" | undefined;
  /**
   * When the session is busy. "reject" (default): SESSION_BUSY at once. All others wait for it. "enqueue": behind those that wait. "interrupt":
   * ahead of them, and what runs is interrupted. "rollback": as "interrupt", and what that run did to its agent's memory is undone. "latest":
   * in the place of the "latest" that waits, whose caller gets AGENT_ERROR superseded. "merge": as one turn with the "merge" that waits last,
   * if they differ in their prompts only.
   */
  onBusy?: "reject" | "enqueue" | "interrupt" | "rollback" | "latest" | "merge" | undefined;
  onEvent?: OnEvent | undefined;
}

export interface CallOptions {
  /** Before admission: rejects with signal.reason and nothing is left behind. Afterwards: that turn is interrupted (a merged one: by the last). */
  signal?: AbortSignal | undefined;
  /** Called synchronously when the turn is admitted: its ticket, for interruptTurn. */
  onAdmitted?: ((ticket: number) => void) | undefined;
  /**
   * Called when the turn has to wait for its session (onBusy): its place in the line, from 1 on; and again whenever that changes. If it
   * throws, the turn leaves the line, and its caller gets what was thrown.
   */
  onQueued?: ((position: number) => void) | undefined;
}

export interface SessionQuery {
  /** Every pair must match. */
  labels?: Record<string, string> | undefined;
  /** Only sessions whose id sorts behind this one. */
  after?: SessionId | undefined;
  offset?: number | undefined;
  limit?: number | undefined;
}

export interface SessionHistoryQuery {
  offset?: number | undefined;
  limit?: number | undefined;
}

export interface ForkOptions {
  /** How many of the session's messages the fork begins with, its system message included. Default all. */
  messages?: number | undefined;
  /** Default those of the session. */
  labels?: Record<string, string> | undefined;
  /** The id the fork is to have, as in CreateSessionRequest. Default: a new one. */
  sessionId?: SessionId | undefined;
}

export interface AppendSystemContextRequest {
  text: string;
  source?: string | undefined;
  idempotencyKey?: string | undefined;
}

/** A position in a session's events. */
export type EventCursor = string | number;
export interface SubscribeOptions {
  /** Events the subscriber's ring holds. Default 256. */
  bufferSize?: number | undefined;
  /** Needs an event log. */
  after?: EventCursor | undefined;
}
