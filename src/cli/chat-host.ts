/** What a chat needs of whoever runs its sessions: a host in this process, or a server. */
import type { AgentEvent } from "../protocol/events.ts";
import type { Message } from "../protocol/session-model.ts";
import type { RunResult } from "../protocol/views.ts";

/** Of a new session. */
export interface ChatSessionOptions {
  /** By its name; undefined: the host's only one. */
  readonly agent?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface ChatTurnOptions {
  /** Milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** What to do when somebody else's turn runs. */
  readonly onBusy?: "reject" | "enqueue" | "interrupt" | "rollback" | "latest" | "merge" | undefined;
  readonly onEvent: (event: AgentEvent) => void;
  /** Nobody waits for it any more: it is ended, or taken out of line. */
  readonly signal: AbortSignal;
}

export interface ChatTurn {
  /** Resolves when the turn is over and `onEvent` has been told of all its events. */
  readonly result: Promise<RunResult>;
  /** Stop this turn, be it in line, and no other. Does not wait for its end. */
  interrupt(): Promise<void>;
}

export interface ChatSummary {
  readonly id: string;
  readonly updatedAt: number;
  readonly messageCount: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** Operations reject with an error whose message is for people; `code` and `agentError` are as in docs/errors.md. Who aborts a signal does not wait for what it was given to. */
export interface ChatHost {
  /** @returns the id of a new session, in which nothing has run */
  create(options: ChatSessionOptions, signal: AbortSignal): Promise<string>;
  turn(id: string, prompt: string, options: ChatTurnOptions): ChatTurn;
  /** @returns the last messages, at most `limit` */
  history(id: string, limit: number, signal?: AbortSignal): Promise<readonly Message[]>;
  /** @returns sessions, at most `limit` */
  list(limit: number, signal: AbortSignal): Promise<readonly ChatSummary[]>;
  /** Text for exactly the next model call. */
  system(id: string, text: string, signal: AbortSignal): Promise<string>;
  /** Waits until all it started has ended. */
  close(): Promise<void>;
}
