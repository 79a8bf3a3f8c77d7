/**
 * The consumer of one turn's own events: takes envelopes, gives credits back, and says when it is through.
 *
 * Two kinds: a callback (here), called in order, whose promises hold the agent back; and a turn's stream (turn-stream.ts).
 */
import type { EventEnvelope } from "../protocol/events.ts";
import type { OnEvent } from "../protocol/requests.ts";

/** What a consumer may do to its turn. */
export interface TurnFlow {
  /** One event was taken: its credit goes back. */
  taken(): void;
  /** The consumer wants no more: the turn goes on without it. */
  detach(): void;
}

export interface TurnConsumer {
  /** Tell it its turn, before the first event. */
  attach(flow: TurnFlow): void;
  push(envelope: EventEnvelope): void;
  /**
   * The turn has ended and no event will follow.
   *
   * @param error - why the turn failed
   * @param isAbrupt - do not wait for the consumer
   * @returns what to wait for before the caller is answered, if anything
   */
  finish(error: unknown, isAbrupt: boolean): Promise<void> | undefined;
}

/** Calls `onEvent` in order; waits for each promise it returns. What it throws, and a promise that takes too long, detach it. */
export class CallbackConsumer implements TurnConsumer {
  readonly #onEvent: OnEvent;
  readonly #stallMs: number;
  readonly #onDetached: (reason: unknown) => void;
  #flow: TurnFlow | undefined;
  #queue: EventEnvelope[] = [];
  #isAwaiting = false;
  #isDetached = false;
  #stallTimer: NodeJS.Timeout | undefined;
  #onThrough: (() => void) | undefined;

  /** @param onDetached - told once why, when the consumer failed or stalled */
  constructor(onEvent: OnEvent, stallMs: number, onDetached: (reason: unknown) => void) {
    this.#onEvent = onEvent;
    this.#stallMs = stallMs;
    this.#onDetached = onDetached;
  }

  attach(flow: TurnFlow): void {
    this.#flow = flow;
  }

  push(envelope: EventEnvelope): void {
    if (this.#isDetached) {
      this.#flow?.taken(); // it came for subscribers, who are never waited for
      return;
    }
    this.#queue.push(envelope);
    if (!this.#isAwaiting) this.#pump();
  }

  finish(_error: unknown, isAbrupt: boolean): Promise<void> | undefined {
    if (this.#isDetached || (!this.#isAwaiting && this.#queue.length === 0)) return this.#stop();
    if (isAbrupt) {
      this.#isDetached = true;
      return this.#stop();
    }
    return new Promise((resolve) => (this.#onThrough = resolve));
  }

  #stop(): undefined {
    clearTimeout(this.#stallTimer);
    this.#queue = [];
  }

  #pump(): void {
    let taken = 0;
    while (taken < this.#queue.length) {
      let returned: void | Promise<void>;
      try {
        returned = this.#onEvent(this.#queue[taken++] as EventEnvelope);
      } catch (error) {
        this.#detach(error);
        return;
      }
      if (isThenable(returned)) {
        this.#queue = this.#queue.slice(taken);
        this.#await(returned);
        return;
      }
      this.#flow?.taken();
    }
    this.#queue = [];
    if (this.#onThrough) {
      this.#stop();
      this.#onThrough();
    }
  }

  #await(returned: PromiseLike<void>): void {
    this.#isAwaiting = true;
    if (this.#stallTimer) this.#stallTimer.refresh();
    else
      this.#stallTimer = setTimeout(
        () => this.#isAwaiting && this.#detach(new Error(`no progress for ${this.#stallMs} ms`)),
        this.#stallMs,
      );
    returned.then(
      () => {
        this.#isAwaiting = false;
        if (this.#isDetached) return;
        this.#flow?.taken();
        this.#pump();
      },
      (error: unknown) => this.#detach(error),
    );
  }

  #detach(reason: unknown): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    this.#stop();
    this.#flow?.detach();
    this.#onDetached(reason);
    this.#onThrough?.();
  }
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
