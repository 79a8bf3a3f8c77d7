/** What a turn needs of the session it runs in. */
import type { SessionAgent } from "../protocol/agent.ts";
import type { WireError } from "../protocol/errors.ts";
import type { AgentEvent } from "../protocol/events.ts";
import type { StoredResult } from "../protocol/stored-session.ts";
import type { EventSource } from "./event-sender.ts";
import type { KeyedTurns } from "./keyed-turns.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import type { EndingSeat } from "./turn-end.ts";
import type { AskedTurn } from "./turn-again.ts";
import type { TurnRun } from "./turn-run.ts";

/** The last good turn, which its caller may ask for again. */
export interface LastTurn extends AskedTurn {
  readonly result: StoredResult;
}

export interface TurnSeat extends EventSource, EndingSeat {
  readonly agent: SessionAgent;
  readonly agentName: string;
  /** False: the one it had was given up, and nothing is asked of it any more. */
  readonly hasAgent: boolean;
  /** Take the events emitted while no turn ran, if there are any. */
  takeHeld(): AgentEvent[] | undefined;
  /** Keep an event for the next turn. @throws AgentError when there is no room or it is not one */
  emitOutside(event: AgentEvent): void | Promise<void>;
  /** The session's last good turn, if its request had a key: whoever asks for that turn again gets its result (R5). */
  lastTurn: LastTurn | undefined;
  /** Good turns by their keys, made when first asked for; undefined: the session is kept where none are remembered. */
  readonly keyed: KeyedTurns | undefined;
  /** Undefined: the session is not kept. */
  readonly keeper: SessionKeeper | undefined;
  /** The turn could not be saved: the session leaves, and what is queued for it fails with `error`. */
  abandon(error: WireError): void;
  /** Put a fresh agent in the place of one whose run was given up. Never rejects. */
  rebuild(): Promise<void>;
  turnEnded(run: TurnRun): void;
}
