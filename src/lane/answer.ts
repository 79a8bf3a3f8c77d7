/** What a session answers to queries, none of which is a turn: exports, history pages, context writes, its state for a fork or a move. */
import type { SessionAgent } from "../protocol/agent.ts";
import type { AgentEvent } from "../protocol/events.ts";
import type { ForkSource } from "../protocol/fork-source.ts";
import type {
  ApplyContextCommand,
  ExportCommand,
  ForkCommand,
  HistoryCommand,
  MoveOutCommand,
  SessionBoundary,
} from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { MovedSession } from "../protocol/moved-session.ts";
import type { Message, PendingSystemContextAppend, SessionSnapshot } from "../protocol/session-model.ts";
import type { KeyedTurn } from "../protocol/stored-session.ts";
import { Session as SessionSchema } from "../protocol/session-model.ts";
import { encodeValue } from "../transport/codec.ts";
import { AgentError } from "./agent-errors.ts";
import type { AgentTenure } from "./agent-tenure.ts";
import { boundaryOf } from "./boundary-state.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import { addContext } from "./turn-agent.ts";
import type { SnapshotOutcome } from "./turn-end.ts";
import type { LastTurn } from "./turn-seat.ts";

export type QueryCommand = ExportCommand | HistoryCommand | ApplyContextCommand | ForkCommand | MoveOutCommand;

/** The session that is asked. */
export interface AnswerSeat {
  readonly agent: SessionAgent;
  readonly tenure: AgentTenure;
  readonly keeper: SessionKeeper | undefined;
  readonly lastSeq: number;
  readonly lastTurn: LastTurn | undefined;
  readonly keyedTurns: readonly KeyedTurn[];
  /** Events that wait for the next turn. */
  readonly held: readonly AgentEvent[];
  takeSnapshot(): SnapshotOutcome;
  publish(snapshot: SessionSnapshot): void;
}

/** Whether answering enters the agent's code; the others only ask what the session is. */
export function entersAgent([op]: QueryCommand): boolean {
  return op === COMMANDS.APPLY_CONTEXT.op;
}

/** @returns the answer; a promise of it when something has to be saved first, which rejects with what the store said. @throws what the agent throws */
export function answerOf(seat: AnswerSeat, command: QueryCommand): unknown {
  switch (command[0]) {
    case COMMANDS.EXPORT.op:
      return SessionSchema.parse(seat.tenure.sessionClone());
    case COMMANDS.HISTORY.op:
      return historyPage(seat, command[4], command[5]);
    case COMMANDS.APPLY_CONTEXT.op:
      return applyContext(seat, command[4], command[5] === true);
    case COMMANDS.FORK.op:
      return forkSource(seat, command[4]);
    case COMMANDS.MOVE_OUT.op:
      return packed(seat);
    default:
      return command satisfies never;
  }
}

function historyPage({ tenure }: AnswerSeat, offset: number, limit: number | undefined): { messageCount: number; messages: Message[] } {
  const { messages } = tenure.sessionClone();
  const end = limit === undefined ? messages.length : Math.min(offset + limit, messages.length);
  return { messageCount: messages.length, messages: SessionSchema.shape.messages.parse(messages.slice(offset, end)) };
}

function forkSource({ tenure }: AnswerSeat, count: number | undefined): ForkSource {
  const session = tenure.sessionClone();
  const messages = session.messages.slice(0, count);
  return { ...tenure.order, session: SessionSchema.parse({ ...session, messages }), messageCount: session.messages.length };
}

type Applied = SessionBoundary | null;

function applyContext(seat: AnswerSeat, appends: PendingSystemContextAppend[], wantsBoundary: boolean): Applied | Promise<Applied> {
  if (wantsBoundary) addContext(seat.agent, appends);
  else seat.agent.applyRuntimeSystemContext(appends);
  const boundary = wantsBoundary ? boundaryOf(seat.agent.sessionClone()) : null;
  const taken = seat.takeSnapshot();
  if (!taken.ok) throw new AgentError("internal_error", taken.error.message);
  const publish = (): Applied => {
    seat.publish(taken.snapshot);
    return boundary;
  };
  return seat.keeper === undefined ? publish() : seat.keeper.saveRest(taken.snapshot, true).then(publish);
}

function packed({ tenure, lastSeq, lastTurn, keyedTurns, held }: AnswerSeat): Uint8Array {
  const moved: MovedSession = { ...tenure.order, session: SessionSchema.parse(tenure.sessionClone()), lastSeq, lastTurn, keyedTurns, held };
  return encodeValue(moved);
}
