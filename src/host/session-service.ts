/** The operations every session service offers. Errors are SessionError unless a member says otherwise. */
import type { RemoteCommsRuntime, RemoteEventInjector, RemoteSubscribableInjector } from "../protocol/handles.ts";
import type { SessionId } from "../protocol/ids.ts";
import type {
  AppendSystemContextRequest,
  CallOptions,
  CreateSessionRequest,
  ForkOptions,
  SessionHistoryQuery,
  SessionQuery,
  StartTurnRequest,
  SubscribeOptions,
} from "../protocol/requests.ts";
import type { PendingSystemContextAppend, Session, SystemContextSnapshot } from "../protocol/session-model.ts";
import type { HostSnapshot, RunResult, SessionHistoryPage, SessionSummary, SessionView } from "../protocol/views.ts";
import type { SessionEventStream } from "./session-event-stream.ts";
import type { TurnStream } from "./turn-stream.ts";

export interface SessionService {
  /** Build a session and, unless deferred, run its first turn. Waits for both. When the first turn fails, the session stays and the error carries its id. */
  createSession(request: CreateSessionRequest, options?: CallOptions): Promise<RunResult>;
  /**
   * Run a turn. Waits for it and its last `onEvent`. Admission happens before this returns; when a turn is running, or waits, it is SESSION_BUSY
   * at once, or what `request.onBusy` says.
   */
  startTurn(id: SessionId, request: StartTurnRequest, options?: CallOptions): Promise<RunResult>;
  /** startTurn with the turn's own event channel as an async iterable; leaving the loop lets the turn go on. */
  streamTurn(id: SessionId, request: Omit<StartTurnRequest, "onEvent">, options?: CallOptions): TurnStream;
  /** Ask for the running turn's interrupt. Does not wait for the turn: its caller gets AGENT_ERROR of kind cancelled. SESSION_NOT_RUNNING when there is none. */
  interrupt(id: SessionId): Promise<void>;
  /** Interrupt only if that very turn still runs; false if it does not. */
  interruptTurn(id: SessionId, ticket: number): Promise<boolean>;
  /** Ask the running turn to stop at its next boundary. Cooperative: never turned into an interrupt. SESSION_NOT_RUNNING when there is none. */
  cancelAfterBoundary(id: SessionId): Promise<void>;
  /** Live or archived. Never waits for a turn or a lane. */
  read(id: SessionId): Promise<SessionView>;
  /** Live sessions by id, which is the order of creation. Never waits for a turn or a lane. */
  list(query?: SessionQuery): Promise<SessionSummary[]>;
  /** A page of the transcript. Waits for a running turn. SESSION_PERSISTENCE_DISABLED for an archived session of a host without store. */
  readHistory(id: SessionId, query?: SessionHistoryQuery): Promise<SessionHistoryPage>;
  /** The whole session. Waits for a running turn. */
  exportSession(id: SessionId): Promise<Session>;
  /**
   * Make a session that begins as this one, or as its first messages: with a new id, the same agent and create request but no name among
   * peers, its usage and metadata, its labels unless others are given. Nothing runs. Waits for a running turn, then for the build; with a
   * store the fork is in it then. INVALID_PARAMS when the session has fewer messages than are to be kept.
   */
  forkSession(id: SessionId, options?: ForkOptions): Promise<SessionView>;
  /** Take the session out of service and keep its last view. A running turn finishes, and its caller gets the real result. */
  archive(id: SessionId): Promise<void>;
  /** As archive, keeping nothing. */
  discardLiveSession(id: SessionId): Promise<void>;
  /** Stage text for exactly the next model call. Never waits. SESSION_SYSTEM_CONTEXT_CONFLICT when the key is taken by another text. */
  appendSystemContext(id: SessionId, request: AppendSystemContextRequest): Promise<{ status: "applied" | "staged" | "duplicate" }>;
  /** Write text into the system message for good. Waits for a running turn. */
  applyRuntimeSystemContext(id: SessionId, appends: PendingSystemContextAppend[]): Promise<void>;
  /** Events from now on; throws StreamError NOT_FOUND at once for an unknown or archived session. */
  subscribeSessionEvents(id: SessionId, options?: SubscribeOptions): SessionEventStream;
  /** Handles that the agent offers; undefined when the session or the capability is missing. They die, typed, when the session leaves its lane. */
  eventInjector(id: SessionId): Promise<RemoteEventInjector | undefined>;
  interactionEventInjector(id: SessionId): Promise<RemoteSubscribableInjector | undefined>;
  commsRuntime(id: SessionId): Promise<RemoteCommsRuntime | undefined>;
  /** What is staged and which keys are taken; undefined when the session is not live. */
  systemContextState(id: SessionId): Promise<SystemContextSnapshot | undefined>;
  /** Let a quarantined session run again. */
  releaseQuarantine(id: SessionId): Promise<void>;
  /** Resolves at the next registration only; registrations of the past are not remembered. */
  waitSessionRegistered(): Promise<SessionId>;
  /** Archive nothing, stop everything: running turns finish up to the deadline (default 30,000 ms), then are interrupted. Waits for the threads' end. */
  shutdown(options?: { deadlineMs?: number | undefined }): Promise<void>;
  /** Lanes, sessions, queues, heartbeats: what is measured now, nothing assumed. */
  inspect(): HostSnapshot;
}
