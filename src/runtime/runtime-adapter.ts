/**
 * A small runtime for sessions: takes inputs, has each run as a turn, one at a time and in order, and is the authority over its sessions'
 * ends. What a service offers as `runtimeAdapter()`. Errors are SessionError. States: RUNTIME_TRANSITIONS.
 */
import type { RuntimeState } from "../core/machines.ts";
import type { InputId, RunId, SessionId } from "../protocol/ids.ts";
import type { CoreApplyOutput } from "../protocol/runtime.ts";
import type { RuntimeInput } from "../protocol/runtime-input.ts";
import type { AcceptedInput } from "../protocol/stored-runtime.ts";
import type { MachineSessionControlAuthority } from "./machine-authority.ts";

export interface RuntimeAdapter {
  /** Give a session a runtime. Ok for one that has one: a stopped one is revived, a destroyed one replaced. SESSION_NOT_FOUND when there is no such session. */
  register(id: SessionId): Promise<void>;
  /** Forget a session's runtime. What is queued is abandoned at once; waits for the input that runs. Ok when there is none. */
  unregister(id: SessionId): Promise<{ abandoned: number }>;
  /**
   * Have inputs run from now on, first those that wait. One that is attached goes on with the new executor.
   *
   * @param executor - default: the service's own, a turn with its receipt
   */
  attach(id: SessionId, executor?: RuntimeExecutor): Promise<void>;
  /** Let inputs wait. Waits for the one that runs. Ok for one that is not attached. */
  detach(id: SessionId): Promise<void>;
  /**
   * Queue an input. Resolves when it is accepted, on a durable runtime when it is in the store; not when it has run. An id that waits or
   * runs already gives that very input.
   *
   * INVALID_PARAMS; SESSION_NOT_FOUND when there is no runtime; SESSION_NOT_RUNNING in a state that takes none, with `details.state`;
   * HOST_OVERLOADED beyond 1,024 inputs or 16 MiB of a session, or 65,536 inputs or 256 MiB in all.
   */
  acceptInput(id: SessionId, input: RuntimeInput): Promise<InputTicket>;
  /** What the session's runtime is in now; undefined when it has none. */
  state(id: SessionId): RuntimeState | undefined;
  /**
   * Take no more inputs. Of an attached runtime those that are queued run first, for `deadlineMs` at most (default 30,000), then the one that
   * runs is interrupted; the rest is abandoned. Waits for all that. Ok for one that is retired.
   */
  retire(id: SessionId, options?: { deadlineMs?: number | undefined }): Promise<{ abandoned: number; drained: number }>;
  /** Abandon what is queued and take inputs again. What runs goes on. A retired or stopped runtime is idle then. */
  reset(id: SessionId): Promise<{ abandoned: number }>;
  /** Abandon what is queued, interrupt what runs and wait for it. `register` and `reset` revive. */
  stop(id: SessionId): Promise<{ abandoned: number }>;
  /** As `stop`, for good. */
  destroy(id: SessionId): Promise<{ abandoned: number }>;
  /** Every runtime, in no order. */
  list(): RuntimeSummary[];
  /** Permission to control this service's sessions; no other service takes it. */
  controlAuthority(): MachineSessionControlAuthority;
}

/** An input that was accepted. */
export interface InputTicket {
  readonly inputId: InputId;
  readonly runId: RunId;
  /** Inputs of the session ahead of it, the one that runs among them. */
  readonly position: number;
  /**
   * What running it gave. Rejects with what its run failed with; AGENT_ERROR of kind cancelled, with the cause as `details.reason`, when it
   * was abandoned; SESSION_NOT_FOUND when its session ended; HOST_CLOSED. Never an unhandled rejection.
   */
  readonly outcome: Promise<CoreApplyOutput>;
}

export interface RuntimeSummary {
  readonly id: SessionId;
  readonly state: RuntimeState;
  /** Inputs that wait or run. */
  readonly inputs: number;
}

/**
 * Runs one input. SESSION_BUSY means that nothing ran: the input goes back to the head of the queue and waits for the session's turn.
 *
 * @param signal - aborts when the input shall end
 */
export type RuntimeExecutor = (id: SessionId, input: AcceptedInput, signal: AbortSignal) => Promise<CoreApplyOutput>;
