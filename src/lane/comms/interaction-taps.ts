/**
 * Events of single interactions, for whoever injected the interaction and subscribed to it. Pulled by one reader, once.
 *
 *   E1. TAP_EVENTS_MAX events wait for their reader; what comes then is lost, and one marker, stream_truncated with the reason
 *       "channel_full", takes its place as soon as there is room.
 *   E2. The last event waits for room, END_WAIT_MAX_MS at most; then it is lost too, which is told, and the stream ends without it.
 *   E3. A tap is gone when its last event came, when its reader left, and when the session leaves or the agent that had its interaction was
 *       given up: then its reader is told why.
 */
import { Mailbox } from "../../core/mailbox.ts";
import type { InteractionTap } from "../../protocol/comms.ts";
import type { AgentEvent } from "../../protocol/events.ts";

/** Events of one interaction that wait for their reader. */
export const TAP_EVENTS_MAX = 4096;
/** Milliseconds the last event of an interaction waits for room. */
export const END_WAIT_MAX_MS = 5000;
/** Interactions of a session that are subscribed to. */
export const TAPS_MAX = 1024;

const TRUNCATED: AgentEvent = Object.freeze({ type: "stream_truncated", reason: "channel_full" });

type Step = IteratorResult<AgentEvent, undefined>;

export class InteractionTaps {
  readonly #onLost: (interactionId: string) => void;
  readonly #byId = new Map<string, Tap>();

  /** @param onLost - the last event of an interaction was not read */
  constructor(onLost: (interactionId: string) => void) {
    this.#onLost = onLost;
  }

  get size(): number {
    return this.#byId.size;
  }

  open(id: string): Tap {
    const tap = new Tap(
      () => this.#byId.delete(id),
      () => this.#onLost(id),
    );
    this.#byId.set(id, tap);
    return tap;
  }

  at(id: string): Tap | undefined {
    return this.#byId.get(id);
  }

  /** E3. @param reason - what readers are told. @param except - interactions that are still to be answered */
  close(reason: unknown, except?: ReadonlySet<string>): void {
    for (const [id, tap] of this.#byId) if (except?.has(id) !== true) tap.fail(reason);
  }
}

class Tap implements InteractionTap, AsyncIterableIterator<AgentEvent> {
  readonly #onGone: () => void;
  readonly #onLost: () => void;
  readonly #events = new Mailbox<AgentEvent>(TAP_EVENTS_MAX);
  #isTruncated = false;
  #last: AgentEvent | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #failure: { readonly reason: unknown } | undefined;
  #reader: { resolve: (step: Step) => void; reject: (reason: unknown) => void } | undefined;

  constructor(onGone: () => void, onLost: () => void) {
    this.#onGone = onGone;
    this.#onLost = onLost;
  }

  event(event: AgentEvent): void {
    if (this.#isOver || this.#last !== undefined) return;
    if (!this.#mark() || !this.#events.push(event)) this.#isTruncated = true;
    this.#give();
  }

  end(event: AgentEvent): void {
    if (this.#isOver || this.#last !== undefined) return;
    this.#onGone();
    this.#last = event;
    if (this.#putLast()) return;
    this.#timer = setTimeout(() => {
      this.#last = undefined;
      this.#isOver = true;
      this.#onLost();
    }, END_WAIT_MAX_MS);
  }

  /** E1. @returns whether events that were lost are marked */
  #mark(): boolean {
    if (this.#isTruncated && this.#events.push(TRUNCATED)) this.#isTruncated = false;
    return !this.#isTruncated;
  }

  /** @returns whether there was room for it */
  #putLast(): boolean {
    if (this.#last === undefined || !this.#mark() || !this.#events.push(this.#last)) return false;
    clearTimeout(this.#timer);
    this.#last = undefined;
    this.#isOver = true;
    this.#give();
    return true;
  }

  /** The session leaves. */
  fail(reason: unknown): void {
    this.#failure = { reason };
    this.#leave();
    this.#reader?.reject(reason);
    this.#reader = undefined;
  }

  #leave(): void {
    this.#onGone();
    clearTimeout(this.#timer);
    this.#last = undefined;
    this.#isOver = true;
    this.#events.drain();
  }

  // ── the reader ──

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** One call at a time: a second ends the first. */
  async next(): Promise<Step> {
    if (this.#failure !== undefined) throw this.#failure.reason;
    const event = this.#events.shift();
    if (event !== undefined) {
      this.#putLast();
      return { done: false, value: event };
    }
    if (this.#isOver) return { done: true, value: undefined };
    this.#reader?.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => (this.#reader = { resolve, reject }));
  }

  async return(): Promise<Step> {
    this.#leave();
    this.#give();
    return { done: true, value: undefined };
  }

  #give(): void {
    if (this.#reader === undefined) return;
    const event = this.#events.shift();
    if (event !== undefined) this.#reader.resolve({ done: false, value: event });
    else if (this.#isOver) this.#reader.resolve({ done: true, value: undefined });
    else return;
    this.#reader = undefined;
  }
}
