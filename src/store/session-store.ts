/**
 * What a store of sessions does. Warren runs it in a thread of its own, one per host; Warren's own implementations are `memory` and
 * `lmdb`, and anybody's will do that passes the conformance suite (`warren/store/conformance`).
 *
 *   B1. A call that resolved is as durable as the store promises; one that rejected with a StoreError changed nothing.
 *   B2. Each call is atomic: all of it is seen, or nothing.
 *   B3. A write with an epoch that is not the session's newest is refused ("fenced"), whatever else is true of it. Epochs are issued by
 *       `create`, `open` and `fence` only, and never go back; a store that is opened after a crash may have raised them all.
 *   B4. What one session's rows hold never makes a call for another session fail.
 *   B5. Calls take effect in the order they were made; what they give is the caller's own, changing it changes nothing stored.
 */
import type { Answer } from "../protocol/answers.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { Message } from "../protocol/session-model.ts";
import type { PackedSession, PackedWrite } from "../protocol/store-calls.ts";
import type { AcceptedInput, RestingState, RuntimePage } from "../protocol/stored-runtime.ts";
import type {
  KeyedTurn,
  LoggedEvent,
  NewSession,
  SessionHead,
  SessionWrite,
  StoredContext,
  StoredEvent,
  StoredQuery,
  StoredSummary,
} from "../protocol/stored-session.ts";

/** Every method rejects with a StoreError and nothing else. */
export interface SessionStore {
  /**
   * Lay a session down. With `replaces` the stored session's log, state, labels and staged context are gone, its event log goes on.
   *
   * @returns its epoch: 1 at least, and with `replaces` one more than the stored session had. Its version is 1. Refusals: exists, archived,
   *   stale
   */
  create(session: NewSession): Promise<number>;
  /** Make a session its caller's: raises the epoch. @returns head and whole log. Refusals: not_found, archived */
  open(id: SessionId): Promise<{ head: SessionHead; messages: Message[] }>;
  /** Take a session away from whoever owns it: raises the epoch, archived or not. @returns the head, undefined when there is none */
  fence(id: SessionId): Promise<SessionHead | undefined>;
  /** Add to the log and replace the state. The version grows by one. Refusals: not_found, fenced, version, archived */
  append(write: SessionWrite): Promise<void>;
  /** Replace the log and the state, as `append` otherwise. */
  rewrite(write: SessionWrite): Promise<void>;

  /**
   * For a store that keeps msgpack anyway: `append` or `rewrite` of a write as it crossed to the store thread. Called instead of them.
   *
   * @param write - its bytes are views into all that came with it: copy what is kept
   */
  writePacked?(write: PackedWrite, how: "append" | "rewrite"): Promise<void>;
  /** Likewise: `open`, for the lane to look into. */
  openPacked?(id: SessionId): Promise<PackedSession>;

  /** @returns the head, archived or not; undefined when there is none */
  head(id: SessionId): Promise<SessionHead | undefined>;
  /** A page of the log. @returns undefined when there is no such session. @param limit - undefined: to the end */
  messages(id: SessionId, offset: number, limit: number | undefined): Promise<Message[] | undefined>;
  /** A session whose rows cannot be read is left out (B4). */
  list(query: StoredQuery): Promise<StoredSummary[]>;

  /**
   * Mark a session archived: hidden from listings, refused by `open`. Marking it again changes nothing.
   *
   * @param runningTicket - of the turn that runs now: its write is still taken
   * @returns whether there is such a session
   */
  archive(id: SessionId, runningTicket: number | undefined): Promise<boolean>;
  /** Remove a session with its log, context and events. @returns whether there was one */
  remove(id: SessionId): Promise<boolean>;

  /** @returns the staged context, undefined when there is none */
  context(id: SessionId): Promise<StoredContext | undefined>;
  /** Replace the staged context of a session that is not archived. Refusals: not_found, archived */
  putContext(id: SessionId, context: StoredContext): Promise<void>;

  /** The event log, where the store keeps one. */
  readonly events?: EventStore | undefined;
  /** Runtimes of sessions and their inputs, where the store keeps them. */
  readonly runtimes?: RuntimeStore | undefined;
  /** Turns that are remembered by their idempotency keys, where the store can; where it cannot, only a session's last one is known. */
  readonly keyedTurns?: KeyedTurnStore | undefined;
  /** Answers of a server, where the store keeps them. */
  readonly answers?: AnswerStore | undefined;
  /** Write a copy of everything to `path`, which does not exist yet, while the store is in use. */
  backup?(path: string): Promise<void>;
  /** Finish what was begun, make it durable, let go of everything. */
  close(): Promise<void>;
}

/** Events of sessions, numbered; `SessionWrite.events` writes here too, in one transaction with its turn. */
export interface EventStore {
  /** Add events behind those that are there. @returns the last number in the log, 0 when it is empty. Refusals: not_found, fenced, archived (as for `append`) */
  append(write: EventWrite): Promise<number>;
  /** Events from number `seq` on, in order, at most `limit`. */
  readFrom(id: SessionId, seq: number, limit: number): Promise<LoggedEvent[]>;
  /** @returns the last event in the log, undefined when it is empty. @param maxEpoch - the last one that was written under this epoch or an older one */
  last(id: SessionId, maxEpoch?: number): Promise<{ seq: number; epoch: number } | undefined>;
}

/**
 * Runtimes of stored sessions, archived or not, and the inputs they have accepted. They are main's rows, so no epoch guards them. They go
 * with their session, and stay when it is archived or replaced.
 */
export interface RuntimeStore {
  /** Lay a runtime down, or put it into another state; its inputs stay. Refusals: not_found */
  put(id: SessionId, state: RestingState): Promise<void>;
  /** Add an input behind those that are there. Refusals: not_found, also of a session without a runtime */
  addInput(id: SessionId, input: AcceptedInput): Promise<void>;
  /** Those that are not there are passed over. */
  removeInputs(id: SessionId, inputIds: readonly string[]): Promise<void>;
  /** Remove a runtime with its inputs. @returns whether there was one */
  remove(id: SessionId): Promise<boolean>;
  /**
   * Some of the runtimes, in any order, with their inputs in theirs. What cannot be read is left out (B4).
   *
   * @param from - `next` of the page before; undefined: the first page
   * @returns `next` undefined: there are no more
   */
  page(from: string | undefined): Promise<RuntimePage>;
}

/**
 * Turns that were saved with `SessionWrite.keyed`, in one transaction with the turn. Each is kept for KEYED_TURN_KEPT_MS from its `at` on,
 * of a session the KEYED_TURNS_MAX that were saved last. They stay when their session is archived or replaced, and go with it.
 *
 * Those whose time is over are removed by and by: no call removes more than a few.
 */
export interface KeyedTurnStore {
  /** @returns the turn that was saved last under the key; undefined when there is none, or its time is over. @param now - epoch milliseconds */
  find(id: SessionId, key: string, now: number): Promise<KeyedTurn | undefined>;
  /** @returns the keys of all that `find` may give, the one that was saved first first; those of some whose time is over may be among them */
  keys(id: SessionId): Promise<string[]>;
}

/**
 * Answers of a server by a key of its own, each until it expires. They are no session's. Those that have expired are removed by and by: no
 * call removes more than a few. Refusals: invalid (a key or value that is too long).
 */
export interface AnswerStore {
  /** @returns the value; undefined when there is none, or it has expired. @param now - epoch milliseconds, in every call */
  get(key: string, now: number): Promise<Uint8Array | undefined>;
  /** Lay an answer down, in the place of one that is there. @param answer - its bytes may be a view, here and in `claim`: copy what is kept */
  put(key: string, answer: Answer, now: number): Promise<void>;
  /** As `put`, unless there is one that has not expired. @returns that one's value, and nothing is changed */
  claim(key: string, answer: Answer, now: number): Promise<Uint8Array | undefined>;
  /** @returns whether there was one */
  remove(key: string): Promise<boolean>;
}

export interface EventWrite {
  readonly id: SessionId;
  readonly epoch: number;
  /** Numbers grow; those that are in the log already are refused ("version"). */
  readonly events: readonly StoredEvent[];
  readonly ticket?: number | undefined;
}

/** What a third party's store module exports. Runs in the store thread. */
export interface SessionStoreModule {
  readonly createSessionStore: (options: unknown) => Promise<SessionStore> | SessionStore;
}
