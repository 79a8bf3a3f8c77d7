/**
 * Who watches the turns of a host: what a metric or a trace hangs on. While nobody watches, a turn costs a look at one member.
 *
 *   W1. A turn that was told of as admitted is told of as settled once, in whatever way it ends.
 *   W2. An observer harms nobody: what it throws ends here.
 */
import type { SessionError } from "../protocol/errors.ts";
import type { LaneTimes, TurnExtras } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";

/** How a turn ended. "lost": its lane went down with it. */
export const TURN_OUTCOMES = ["completed", "failed", "cancelled", "lost"] as const;
export type TurnOutcome = (typeof TURN_OUTCOMES)[number];

/** A turn whose caller is being answered. */
export interface SettledTurn {
  readonly sessionId: SessionId;
  readonly ticket: number;
  /** Number of its lane; undefined: it never reached one. */
  readonly lane: number | undefined;
  readonly outcome: TurnOutcome;
  /** What the caller gets instead of a result. */
  readonly error: SessionError | undefined;
  /** Milliseconds from the admission to the answer. */
  readonly durationMs: number;
}

/** Called on the main thread, at once, for every turn: it must be quick. What it throws is ignored. */
export interface TurnObserver {
  onTurnAdmitted?(id: SessionId, ticket: number): void;
  onTurnSettled?(turn: SettledTurn): void;
}

/** Follows one turn that is traced. */
export interface TurnTrace {
  /** Told first, before the turn is sent. @returns what its lane is to be told; undefined: the turn is not followed */
  admitted(id: SessionId, ticket: number): Pick<TurnExtras, "traceparent" | "wantsTimes"> | undefined;
  /** @param times - what the lane measured, if it reported */
  settled(turn: SettledTurn, times: LaneTimes | undefined): void;
}

/** One turn that is watched. */
export class WatchedTurn {
  /** What the lane measured; undefined: it was not asked, or did not report. */
  times: LaneTimes | undefined;
  /** What its lane is to be told. */
  readonly extras: Pick<TurnExtras, "traceparent" | "wantsTimes"> | undefined;
  readonly #id: SessionId;
  readonly #ticket: number;
  readonly #admittedMs = performance.now();
  readonly #observers: readonly TurnObserver[];
  readonly #trace: TurnTrace | undefined;

  constructor(id: SessionId, ticket: number, observers: readonly TurnObserver[], trace: TurnTrace | undefined) {
    this.#id = id;
    this.#ticket = ticket;
    this.#observers = observers;
    this.extras = guarded(() => trace?.admitted(id, ticket));
    this.#trace = this.extras && trace;
    for (const observer of observers) guarded(() => observer.onTurnAdmitted?.(id, ticket));
  }

  /** @param lane - number of the lane it was in */
  settled(lane: number | undefined, error: SessionError | undefined): void {
    const durationMs = performance.now() - this.#admittedMs;
    const settled: SettledTurn = { sessionId: this.#id, ticket: this.#ticket, lane, outcome: outcomeOf(error), error, durationMs };
    for (const observer of this.#observers) guarded(() => observer.onTurnSettled?.(settled));
    guarded(() => this.#trace?.settled(settled, this.times));
  }
}

export class TurnObservers {
  /** Replaced, never changed: a turn's observers are those that were there at its admission (W1). */
  #observers: readonly TurnObserver[] = [];

  /** @returns what takes it away again */
  add(observer: TurnObserver): () => void {
    this.#observers = [...this.#observers, observer];
    return () => (this.#observers = this.#observers.filter((other) => other !== observer));
  }

  /** @returns undefined when nobody watches */
  watch(id: SessionId, ticket: number, trace: TurnTrace | undefined): WatchedTurn | undefined {
    return trace === undefined && this.#observers.length === 0 ? undefined : new WatchedTurn(id, ticket, this.#observers, trace);
  }
}

/** W2. Also for a trace: what exports it is the operator's code. */
function guarded<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch {
    return undefined; // there is nobody to tell
  }
}

function outcomeOf(error: SessionError | undefined): TurnOutcome {
  if (error === undefined) return "completed";
  const kind = error.agentError?.kind;
  return kind === "cancelled" ? "cancelled" : kind === "lane_lost" ? "lost" : "failed";
}
