/**
 * What a store keeps of a session, as it crosses to the store thread and back. The leading system message is part of the head, every
 * other message part of an append-only log, so a turn's write is as small as the turn. Times are epoch milliseconds.
 */
import type { AgentEvent } from "./events.ts";
import type { SessionId } from "./ids.ts";
import type { JsonValue } from "./json.ts";
import type { CreateSessionRequest } from "./requests.ts";
import type { Message, PendingSystemContextAppend, Session, Usage } from "./session-model.ts";
import type { RunResult } from "./views.ts";

/** What a wake-up rebuilds the agent from: the create request without its prompt, its event function and the session it resumed. */
export type StoredRequest = Omit<CreateSessionRequest, OfTheCall>;
/** What is the call's own and not the session's. */
type OfTheCall = "onEvent" | "sessionId" | "idempotencyKey";

/** A turn's result as the agent gave it: the session's id is known. */
export type StoredResult = Omit<RunResult, "sessionId">;

/** A turn that was saved. */
export interface SavedTurn {
  readonly ticket: number;
  readonly result: StoredResult;
  /** The idempotency key of its request. */
  readonly key?: string | undefined;
}

/** How long a turn is remembered for whoever asks for it once more, in milliseconds. */
export const KEYED_TURN_KEPT_MS = 24 * 60 * 60 * 1000;
/** How many turns of a session are remembered so; the oldest is forgotten. */
export const KEYED_TURNS_MAX = 1024;

/** What tells the request of a turn that is remembered. */
export interface KeyedRequest {
  /** Its idempotency key. */
  readonly key: string;
  /** Of what it asked for (lane/turn-fingerprint.ts): a request that has the key and another fingerprint is refused. */
  readonly fingerprint: string;
  /** When the turn was saved, in epoch milliseconds. */
  readonly at: number;
}

/** A good turn that is remembered by its idempotency key. */
export interface KeyedTurn extends KeyedRequest {
  readonly ticket: number;
  readonly result: StoredResult;
}

/** What a write says about the session as a whole. It replaces what the head had; an absent optional member is gone then. */
export interface SessionState {
  readonly updatedAt: number;
  readonly usage: Usage;
  readonly lastAssistantText?: string | undefined;
  /** Text of the leading system message, which counts in messageCount. */
  readonly system?: string | undefined;
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** Number of the last event of the session. */
  readonly lastSeq: number;
  /** How many staged appends of system context the agent has taken, ever. */
  readonly contextTaken: number;
  /** The last turn that was saved: what its caller is told if its lane is lost, or asks with the turn's key once more. */
  readonly lastTurn?: SavedTurn | undefined;
}

/** A session without its log. */
export interface SessionHead extends SessionState {
  readonly id: SessionId;
  /** Fencing number: grows each time the session is made live; a write with an older one is refused. */
  readonly epoch: number;
  /** Grows by one with every write of the session's owner. */
  readonly version: number;
  readonly createdAt: number;
  /** Messages in the log. With the leading system message, if there is one, they are the session's messageCount. */
  readonly logLength: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Name of the agent that serves it. */
  readonly agent: string;
  readonly request: StoredRequest;
  readonly isArchived: boolean;
}

/** Of a session's request, what says where it goes and whether it may sleep. */
export type PlacedRequest = Pick<StoredRequest, "isolation" | "resourceLimits" | "hostMode">;

/** What the dispatcher has to know of a sleeping session to have it woken. */
export interface SleepingSession {
  readonly head: Pick<SessionHead, "epoch" | "labels" | "contextTaken" | "isArchived"> & { readonly request: PlacedRequest };
  readonly context: StoredContext | undefined;
}

/** A session to be laid down. */
export interface NewSession {
  readonly id: SessionId;
  readonly createdAt: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly agent: string;
  readonly request: StoredRequest;
  readonly state: SessionState;
  /** The log: without a leading system message. */
  readonly messages: readonly Message[];
  /**
   * The id is that of a stored session which this one goes on from. Without it a stored id is refused ("exists"); with it the stored
   * session is replaced, unless it is archived, or newer than this one by updatedAt, then by its number of messages ("stale").
   */
  readonly replaces?: boolean | undefined;
}

/** A write of a session's owner: it must name the epoch under which it owns the session, and the version it knows. */
export interface SessionWrite {
  readonly id: SessionId;
  readonly epoch: number;
  readonly version: number;
  readonly state: SessionState;
  /** For `append` the messages to go behind the log, for `rewrite` the whole log. */
  readonly messages: readonly Message[];
  /** Of the turn this is the outcome of. An archived session takes the write of the turn that ran at its archive, and no other. */
  readonly ticket?: number | undefined;
  /** Events to go into the event log with it. */
  readonly events?: readonly StoredEvent[] | undefined;
  /** Remember `state.lastTurn` for this request; a turn that was remembered under its key is forgotten. See KeyedTurnStore. */
  readonly keyed?: KeyedRequest | undefined;
}

/** One event of the event log. */
export interface StoredEvent {
  readonly seq: number;
  readonly timestampMs: number;
  readonly payload: AgentEvent;
}
/** As it is read: with the epoch under which it was written. */
export interface LoggedEvent extends StoredEvent {
  readonly epoch: number;
}

/** A row of a listing. */
export interface StoredSummary {
  readonly id: SessionId;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly messageCount: number;
  readonly usage: Usage;
  readonly labels: Readonly<Record<string, string>>;
  readonly isArchived: boolean;
}

/** Filters first, then `after`, then offset, then limit. */
export interface StoredQuery {
  /** Every pair must match. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** "id" (default): ascending by bytes in UTF-8. "updated": by updatedAt, the latest first, of equal ones the id that sorts last. */
  readonly order?: "id" | "updated" | undefined;
  /** Only ids that sort behind this one. For order "id". */
  readonly after?: SessionId | undefined;
  /** Inclusive. */
  readonly createdAfter?: number | undefined;
  /** Inclusive. */
  readonly updatedAfter?: number | undefined;
  /** Archived sessions instead of the others. Default false. */
  readonly archived?: boolean | undefined;
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
}

/** System context staged for a session; the host's own row, which no lane writes. */
export interface StoredContext {
  /** How many appends were ever staged; those pending are the last of them. */
  readonly staged: number;
  readonly pending: readonly PendingSystemContextAppend[];
  readonly seen: Readonly<Record<string, { readonly text: string; readonly source?: string; readonly state: "pending" | "applied" }>>;
}

/** @returns how many messages the session has */
export function messageCountOf({ system, logLength }: Pick<SessionHead, "system" | "logLength">): number {
  return logLength + (system === undefined ? 0 : 1);
}

/** @returns the session as an agent resumes it and `export` gives it */
export function sessionOf(head: SessionHead, log: readonly Message[]): Session {
  const { id, system, createdAt, updatedAt, usage, metadata, labels, isArchived } = head;
  return {
    version: 1,
    id,
    messages: system === undefined ? [...log] : [{ role: "system", content: system }, ...log],
    createdAt,
    updatedAt,
    metadata: {
      ...metadata,
      ...(Object.keys(labels).length > 0 && { session_labels: { ...labels } }),
      ...(isArchived && { session_archived: true }),
    },
    usage: { ...usage },
  };
}

/** @returns messages as the store keeps them */
export function apart(messages: readonly Message[]): { system: string | undefined; log: readonly Message[] } {
  const first = messages[0];
  return first?.role === "system" ? { system: first.content, log: messages.slice(1) } : { system: undefined, log: messages };
}

/** @returns the session's metadata without what the store keeps in fields of its own */
export function metadataOf({ metadata }: Session): Record<string, JsonValue> {
  const { session_labels: _labels, session_archived: _archived, ...rest } = metadata;
  return rest as Record<string, JsonValue>;
}
