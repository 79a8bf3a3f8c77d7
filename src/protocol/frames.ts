/**
 * Records that cross the data port of a lane, in both directions. A frame is a msgpack array of records; a record is a tuple whose
 * first member is its opcode. One table per direction gives opcode and length; the codec refuses a record that fits neither. The last
 * `optional` members of a record may be left off, which is what the records of ordinary turns do: an absent member costs nothing.
 *
 * A session is named by (slot, generation): the generation tells a late record of a forgotten session from its slot's new owner. A
 * turn is named by the word of its ticket, which is also what stands in the lock; only the TURN record has the whole ticket, which
 * the agent may want.
 */
import type { CommsAsk, CommsFailure } from "./comms.ts";
import type { WireError } from "./errors.ts";
import type { AgentEvent } from "./events.ts";
import type { SessionId } from "./ids.ts";
import type { CoreApplyTerminal, ExecutionKind } from "./runtime.ts";
import type { PendingSystemContextAppend, SkillKey, ToolOverlay, Usage } from "./session-model.ts";
import type { AgentSnapshots } from "./snapshots.ts";
import type { StoredContext, StoredEvent, StoredRequest } from "./stored-session.ts";

/** Largest frame an outbox builds from small records, in records; a larger backlog is sent as several. */
export const FRAME_RECORDS_MAX = 512;

/** Main to lane. */
export const COMMANDS = {
  CREATE: { op: 1, length: 7, optional: 1 },
  TURN: { op: 2, length: 7, optional: 2 },
  EXPORT: { op: 3, length: 4 },
  HISTORY: { op: 4, length: 6 },
  APPLY_CONTEXT: { op: 5, length: 6, optional: 1 },
  STAGE_CONTEXT: { op: 6, length: 4 },
  CREDIT: { op: 7, length: 5 },
  DETACH: { op: 8, length: 4 },
  WAKE: { op: 9, length: 1 },
  FORGET: { op: 10, length: 3 },
  OPEN: { op: 11, length: 6 },
  HIBERNATE: { op: 12, length: 5, optional: 1 },
  EVENT_TAIL: { op: 13, length: 5 },
  MOVE_OUT: { op: 14, length: 4 },
  MOVE_IN: { op: 15, length: 6 },
  AGENT_SNAPSHOT: { op: 16, length: 5 },
  FORK: { op: 17, length: 5 },
  COMMS_SEAT: { op: 20, length: 4 },
  COMMS_REPLY: { op: 21, length: 6, optional: 1 },
  PEER_DELIVER: { op: 22, length: 5 },
} as const;

/** Lane to main. */
export const REPORTS = {
  BUILT: { op: 1, length: 8, optional: 1 },
  BUILD_FAILED: { op: 2, length: 4 },
  RESULT: { op: 3, length: 11, optional: 2 },
  FAILED: { op: 4, length: 8, optional: 3 },
  EVENT: { op: 5, length: 7 },
  REPLY: { op: 6, length: 3 },
  REPLY_ERROR: { op: 7, length: 3 },
  CONTEXT_TAKEN: { op: 8, length: 4 },
  FORGOTTEN: { op: 9, length: 3 },
  STRAY_ERROR: { op: 10, length: 3, optional: 1 },
  DELTAS: { op: 11, length: 7 },
  GAVE_UP: { op: 12, length: 4 },
  COMMS_CALL: { op: 20, length: 7, optional: 2 },
  PEER_TAKEN: { op: 21, length: 5 },
  COMMS_HELD: { op: 22, length: 4 },
} as const;

/** What the codec needs of a table's row. */
export interface RecordShape {
  readonly op: number;
  /** Members, the opcode and the optional ones included. */
  readonly length: number;
  /** How many of the last ones may be absent. Default none. */
  readonly optional?: number;
}

/** A create request as it crosses: without the caller's event function. */
export type WireCreateRequest = StoredRequest;
/** What a turn carries beside its prompt; undefined when it carries nothing. */
export interface TurnExtras {
  readonly skillReferences?: SkillKey[] | undefined;
  readonly overlay?: ToolOverlay | undefined;
  readonly idempotencyKey?: string | undefined;
  /** The key is looked for in the session's last good turn only. */
  readonly isLastTurnOnly?: true | undefined;
  readonly executionKind?: ExecutionKind | undefined;
  readonly contextAppends?: PendingSystemContextAppend[] | undefined;
  /** Say with the result what the session is then. */
  readonly wantsBoundary?: true | undefined;
  /** Of a turn that is traced: the span whose children its agent's own spans are (W3C Trace Context). */
  readonly traceparent?: string | undefined;
  /** Say with the report when the turn was where (LaneTimes). */
  readonly wantsTimes?: true | undefined;
}
/**
 * When a turn was where in its lane: milliseconds of a clock that all threads of the process share (transport/monotonic.ts). The agent was
 * entered and left again; saving a good turn began and was done. Absent: it did not come to that.
 */
export interface LaneTimes {
  /** The agent's name. */
  readonly agent: string;
  /** The lane took the turn up. */
  readonly taken: number;
  readonly entered?: number | undefined;
  readonly left?: number | undefined;
  readonly saving?: number | undefined;
  readonly saved?: number | undefined;
}
/** A session at a boundary. `docs/runtime.md` defines the JSON. */
export interface SessionBoundary {
  /** SHA-256 of the messages' JSON, lower-case hex. */
  readonly digest: string;
  readonly messageCount: number;
  /** The whole session as JSON in UTF-8. */
  readonly snapshot: Uint8Array;
}
/** A boundary that a turn ended at; the terminal is left out when it is the result. */
export interface TurnBoundary extends SessionBoundary {
  readonly terminal?: Exclude<CoreApplyTerminal, { kind: "run_result" }>;
}
/** What a result has beyond its text and counts; undefined when there is nothing. */
export interface ResultExtras {
  /** The usage as a whole, where it has more than input and output tokens. */
  readonly usage?: Usage;
  readonly rest?: { structuredOutput?: unknown; schemaWarnings?: unknown[]; skillDiagnostics?: unknown };
  /** Of a turn that wanted it. */
  readonly boundary?: TurnBoundary;
  /** Of a turn that wanted them. */
  readonly times?: LaneTimes;
}
/** Flags of a TURN record, added up. `renew`: before the turn its agent is built anew from the last boundary. */
export const TURN_FLAGS = { hostMode: 1, hasConsumer: 2, renew: 4 } as const;

type Slot = number;
type Generation = number;
type Ticket = number;
/** Word of a turn's ticket. */
type Word = number;
type RequestId = number;

/** `isFixed`: a new session has this id already, by its caller's choice or as a fork; its agent has to take it, and nothing that is stored gives way. */
export type CreateCommand = [
  op: 1,
  slot: Slot,
  generation: Generation,
  sessionId: SessionId,
  agent: string,
  request: WireCreateRequest,
  isFixed?: true,
];
export type TurnCommand = [
  op: 2,
  slot: Slot,
  generation: Generation,
  ticket: Ticket,
  prompt: string,
  flags?: number,
  extras?: TurnExtras | undefined,
];
export type ExportCommand = [op: 3, slot: Slot, generation: Generation, request: RequestId];
export type HistoryCommand = [op: 4, slot: Slot, generation: Generation, request: RequestId, offset: number, limit: number | undefined];
/** Answered with null; `wantsBoundary`: with the SessionBoundary, and what is in the system message already is left out. */
export type ApplyContextCommand = [
  op: 5,
  slot: Slot,
  generation: Generation,
  request: RequestId,
  appends: PendingSystemContextAppend[],
  wantsBoundary?: boolean,
];
export type StageContextCommand = [op: 6, slot: Slot, generation: Generation, append: PendingSystemContextAppend];
/** The consumer of a turn's events took `count` of them. */
export type CreditCommand = [op: 7, slot: Slot, generation: Generation, turn: Word, count: number];
/** The turn's own consumer is gone: only subscribers are left to send to. */
export type DetachCommand = [op: 8, slot: Slot, generation: Generation, turn: Word];
/** Look at the doorbell. */
export type WakeCommand = [op: 9];
/** Drop the session behind everything queued for it. */
export type ForgetCommand = [op: 10, slot: Slot, generation: Generation];
/**
 * Make a stored session live: the lane takes it from the store. `context` is what main has staged for it, `minSeq` the last event number main has seen.
 */
export type OpenCommand = [
  op: 11,
  slot: Slot,
  generation: Generation,
  sessionId: SessionId,
  context: StoredContext | undefined,
  minSeq: number,
];
/**
 * Save what is not saved and drop the session, behind everything queued for it. Answered with null. `mayStay`: if the agent cannot say what
 * it is, the session is not dropped, and the answer is false.
 */
export type HibernateCommand = [op: 12, slot: Slot, generation: Generation, request: RequestId, mayStay?: boolean];
/** The events from number `from` on that are not in the log yet. Answered at once, also while a turn runs. */
export type EventTailCommand = [op: 13, slot: Slot, generation: Generation, request: RequestId, from: number];
/** Pack the session for another lane (MovedSession); it stays as it is until it is forgotten. */
export type MoveOutCommand = [op: 14, slot: Slot, generation: Generation, request: RequestId];
/** Build the session that another lane has packed. `pending`: the system context staged for it that its agent has not taken. */
export type MoveInCommand = [
  op: 15,
  slot: Slot,
  generation: Generation,
  sessionId: SessionId,
  packed: Uint8Array,
  pending: PendingSystemContextAppend[],
];
/** One of the agent's snapshots, null when it gives none. Answered at once, also while a turn runs. */
export type AgentSnapshotCommand = [op: 16, slot: Slot, generation: Generation, request: RequestId, which: keyof AgentSnapshots];
/** What a fork with the first `messages` messages is made from (ForkSource); undefined: with all of them. */
export type ForkCommand = [op: 17, slot: Slot, generation: Generation, request: RequestId, messages: number | undefined];
/** What main knows of the session's line to its peers: "none" it has, "closed" it is, or whom it trusts, where that is not what it asked for. */
export type CommsSeatCommand = [op: 20, slot: Slot, generation: Generation, seat: "none" | "closed" | readonly string[]];
/** What a COMMS_CALL is answered with. */
export type CommsReplyCommand = [
  op: 21,
  slot: Slot,
  generation: Generation,
  request: RequestId,
  value: unknown,
  failure?: CommsFailure | undefined,
];
/** A message for the session's inbox. Main says who sent it, and has not read it. */
export type PeerDeliverCommand = [op: 22, slot: Slot, generation: Generation, from: string, message: Uint8Array];
/** Records of sessions' lines to their peers. */
export type CommsCommandRecord = CommsSeatCommand | CommsReplyCommand | PeerDeliverCommand;
export type LaneCommand =
  | CreateCommand
  | TurnCommand
  | ExportCommand
  | HistoryCommand
  | ApplyContextCommand
  | StageContextCommand
  | CreditCommand
  | DetachCommand
  | WakeCommand
  | ForgetCommand
  | OpenCommand
  | HibernateCommand
  | EventTailCommand
  | MoveOutCommand
  | MoveInCommand
  | AgentSnapshotCommand
  | ForkCommand
  | CommsCommandRecord;

export type BuiltReport = [
  op: 1,
  slot: Slot,
  generation: Generation,
  sessionId: SessionId,
  createdAt: number,
  handles: number,
  lastAssistantText: string | undefined,
  kept?: KeptReport | undefined,
];
/** What main must know of a session that is kept in a store. */
export interface KeptReport {
  readonly epoch: number;
  /** What a stored session asked for when it was created. */
  readonly comms?: CommsAsk | undefined;
}
/** What EVENT_TAIL is answered with. */
export interface EventTail {
  /** Number of the session's last event. */
  readonly lastSeq: number;
  readonly events: readonly StoredEvent[];
}
export type BuildFailedReport = [op: 2, slot: Slot, generation: Generation, error: WireError];
/** `lastAssistantText` is undefined when it is `text`, "" when there is none. */
export type ResultReport = [
  op: 3,
  slot: Slot,
  generation: Generation,
  turn: Word,
  text: string,
  turns: number,
  toolCalls: number,
  inputTokens: number,
  outputTokens: number,
  lastAssistantText?: string | undefined,
  extras?: ResultExtras | undefined,
];
/** `lastAssistantText` is undefined when it is unchanged, "" when there is none. `isDropped`: the lane has dropped the session, and left its lock to main. */
export type FailedReport = [
  op: 4,
  slot: Slot,
  generation: Generation,
  turn: Word,
  error: WireError,
  lastAssistantText?: string | undefined,
  isDropped?: true | undefined,
  times?: LaneTimes | undefined,
];
export type EventReport = [op: 5, slot: Slot, generation: Generation, turn: Word, seq: number, timestampMs: number, payload: AgentEvent];
/**
 * Events of one turn, of one millisecond and with nothing between them, each of which is `{ type: "text_delta", delta }` and nothing else.
 * Nearly all events are: a map costs more than its text, and a row of them only its first.
 */
export type DeltasReport = [
  op: 11,
  slot: Slot,
  generation: Generation,
  turn: Word,
  firstSeq: number,
  timestampMs: number,
  deltas: string[],
];
export type ReplyReport = [op: 6, request: RequestId, value: unknown];
export type ReplyErrorReport = [op: 7, request: RequestId, error: WireError];
/** The agent took the oldest `count` pending appends. */
export type ContextTakenReport = [op: 8, slot: Slot, generation: Generation, count: number];
export type ForgottenReport = [op: 9, slot: Slot, generation: Generation];
/** The turn's run ignored its interrupt for the grace and was given up: its end follows when the agent has been rebuilt. */
export type GaveUpReport = [op: 12, slot: Slot, generation: Generation, turn: Word];
/** `count`: how many it stands for, itself included, when it is more than one. */
export type StrayErrorReport = [op: 10, description: string, count?: number];
/** What a session's agent asks of its line to its peers. "withdraw": what the request of that number sends is not to be sent any more. */
export type CommsVerb = "send" | "withdraw" | "trust" | "distrust" | "peers";
export type CommsCallReport = [
  op: 20,
  slot: Slot,
  generation: Generation,
  request: RequestId,
  verb: CommsVerb,
  name?: string | undefined,
  message?: Uint8Array | undefined,
];
/** The agent took `count` messages of peers out of its inbox, of `bytes` in all: there is room for others. */
export type PeerTakenReport = [op: 21, slot: Slot, generation: Generation, count: number, bytes: number];
/** Whether what main does not know of holds the session in its lane: something was injected, or its agent waits for something. */
export type CommsHeldReport = [op: 22, slot: Slot, generation: Generation, isHeld: boolean];
export type CommsReport = CommsCallReport | PeerTakenReport | CommsHeldReport;
/** Reports that speak of a session as such. */
export type SessionReport = BuiltReport | BuildFailedReport | ContextTakenReport | ForgottenReport | CommsReport;
/** Reports that speak of a turn; the word of its ticket names it. */
export type TurnReport = EventReport | DeltasReport | ResultReport | FailedReport;
export type LaneReport = SessionReport | TurnReport | GaveUpReport | ReplyReport | ReplyErrorReport | StrayErrorReport;
