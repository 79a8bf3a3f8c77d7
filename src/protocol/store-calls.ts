/**
 * What crosses the ports of the store thread: calls one way, answers the other. Every call is [op, request, method, arguments], every
 * answer names its request; calls of one port take effect in their order, those of different ports in any.
 */
import type { SessionId } from "./ids.ts";
import type { Message, Session } from "./session-model.ts";
import type { StoreReason } from "./store-error.ts";
import type { Answer } from "./answers.ts";
import type { AcceptedInput, RestingState, RuntimePage } from "./stored-runtime.ts";
import type {
  KeyedTurn,
  LoggedEvent,
  NewSession,
  SavedTurn,
  SessionHead,
  SleepingSession,
  StoredContext,
  StoredEvent,
  StoredQuery,
  StoredSummary,
} from "./stored-session.ts";
import type { StoreCounts } from "./views.ts";

/** To the store thread. */
export const STORE_COMMANDS = { CALL: { op: 1, length: 4 } } as const;
/** From the store thread. */
export const STORE_REPORTS = { REPLY: { op: 1, length: 3 }, REPLY_ERROR: { op: 2, length: 3 } } as const;

/** A StoreError as it crosses. */
export interface WireStoreError {
  readonly reason: StoreReason;
  readonly message: string;
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

export type StoreCommand = [op: 1, request: number, method: StoreMethod, args: readonly unknown[]];
export type StoreReport = [op: 1, request: number, value: unknown] | [op: 2, request: number, error: WireStoreError];

export type PackedUsage = readonly [input: number, output: number, cacheCreation: number | null, cacheRead: number | null];

/**
 * A SessionWrite as it crosses: what a store has no need to look into is msgpack already (transport/packed-write.ts). An array, since
 * members by name would cost as much as all the rest.
 */
export type PackedWrite = readonly [
  id: SessionId,
  epoch: number,
  version: number,
  ticket: number | null,
  updatedAt: number,
  usage: PackedUsage,
  lastSeq: number,
  contextTaken: number,
  hasSystem: boolean,
  /** Messages, one behind the other. */
  messages: Uint8Array,
  messageCount: number,
  /** See packTurn. */
  turn: Uint8Array,
  /** See packRest. */
  rest: Uint8Array,
  /** The rest is not what the write before said, or not known to be. */
  isRestNew: boolean,
  events: readonly StoredEvent[] | null,
  keyed: PackedKey | null,
];
/** A KeyedRequest. */
export type PackedKey = readonly [key: string, fingerprint: string, at: number];

/** An opened session as it crosses, an array as well. It is not archived. */
export type PackedSession = readonly [
  epoch: number,
  version: number,
  createdAt: number,
  updatedAt: number,
  usage: PackedUsage,
  labels: Readonly<Record<string, string>>,
  lastSeq: number,
  contextTaken: number,
  logLength: number,
  /** See encodeOrigin. */
  origin: Uint8Array,
  /** See packRest. */
  rest: Uint8Array,
  /** See packTurn. */
  turn: Uint8Array,
  /** Messages, one behind the other. */
  log: Uint8Array,
];

/**
 * What can be called over a port: the store's own methods (SessionStore and the stores beside it say what they do), and those of the thread
 * around it. Absent values come back as null.
 */
export interface StoreCalls {
  create(session: NewSession): number;
  open(id: SessionId): PackedSession;
  fence(id: SessionId): SessionHead | null;
  append(write: PackedWrite): void;
  rewrite(write: PackedWrite): void;
  head(id: SessionId): SessionHead | null;
  messages(id: SessionId, offset: number, limit: number | undefined): Message[] | null;
  /** What a wake-up needs to begin: one call, since many sessions may wake at once. */
  sleeping(id: SessionId): { head: SleepingSession["head"]; context: StoredContext | null } | null;
  list(query: StoredQuery): StoredSummary[];
  archive(id: SessionId, runningTicket: number | undefined): boolean;
  remove(id: SessionId): boolean;
  context(id: SessionId): StoredContext | null;
  putContext(id: SessionId, context: StoredContext): void;
  backup(path: string): void;

  logEvents(write: { id: SessionId; epoch: number; events: readonly StoredEvent[]; ticket?: number | undefined }): number;
  readEvents(id: SessionId, seq: number, limit: number): LoggedEvent[];
  lastEvent(id: SessionId, maxEpoch: number | undefined): { seq: number; epoch: number } | null;

  putRuntime(id: SessionId, state: RestingState): void;
  addInput(id: SessionId, input: AcceptedInput): void;
  removeInputs(id: SessionId, inputIds: readonly string[]): void;
  removeRuntime(id: SessionId): boolean;
  runtimes(from: string | undefined): RuntimePage;

  keyedTurn(id: SessionId, key: string, now: number): KeyedTurn | null;
  turnKeys(id: SessionId): string[];

  getAnswer(key: string, now: number): Uint8Array | null;
  putAnswer(key: string, answer: Answer, now: number): void;
  claimAnswer(key: string, answer: Answer, now: number): Uint8Array | null;
  removeAnswer(key: string): boolean;

  /** As `append` or `rewrite`, unless checkpoints are cancelled. @returns whether it was written */
  checkpoint(write: PackedWrite, isRewrite: boolean): boolean;
  /** Write no checkpoint of the sessions that are live now, until `rearmCheckpoints`. Resolves when none is being written. */
  cancelCheckpoints(): void;
  /** Replace a stored session by a snapshot of it, and fence whoever owns it, unless checkpoints are cancelled. @returns whether it was */
  adopt(session: Session, lastAssistantText: string | undefined): boolean;
  rearmCheckpoints(): void;
  /** The sessions that were live under those epochs sleep or are gone: they no longer have a gate. */
  dropGates(gates: readonly (readonly [id: SessionId, epoch: number])[]): void;
  /** The last turn of each that was saved; null: none, or no such session. "unreadable": its row is not one. */
  lastTurns(ids: readonly SessionId[]): (SavedTurn | null | "unreadable")[];
  /** Resolves when all that the port of a lane held has been done. @returns false when it did not close in time: it may hold more */
  laneDrained(connection: number): boolean;
  /** What was counted since the thread began. Answered at once, whatever the store does. */
  counts(): StoreCounts;
  /** Close the store; the thread ends by itself then. */
  close(): void;
}
export type StoreMethod = keyof StoreCalls;
