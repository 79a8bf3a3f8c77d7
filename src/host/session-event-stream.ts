/** A subscriber's view of a session's events: a lossy ring with gap markers, read by polling or as an async iterable. */
import type { EventEnvelope } from "../protocol/events.ts";
import type { SessionError } from "../protocol/errors.ts";
import { EventRing } from "./event-ring.ts";
import { overloaded } from "./overloaded.ts";

/** Reads of a stream that may wait for its next event. */
export const READS_MAX = 1024;

export const tooManyReads = (): SessionError => overloaded("reads", `${READS_MAX} reads of a stream are waiting`, READS_MAX);

/** Everything emitted from the subscription on, until the session leaves. A slow reader loses the oldest and is told how many. */
export interface SessionEventStream extends AsyncIterableIterator<EventEnvelope> {
  /** Of one that begins behind a cursor: waits until that has been looked at. Rejects as the first read will. */
  begin?(): Promise<void>;
  /** Synchronous poll: the next envelope (possibly a gap marker), or undefined when there is none now. */
  tryNext(): EventEnvelope | undefined;
  /** No more will come; what the ring holds can still be read. */
  readonly closed: boolean;
}

export class Subscription implements SessionEventStream {
  readonly #ring: EventRing;
  readonly #onLeave: () => void;
  #waiting: { resolve: (step: IteratorResult<EventEnvelope, undefined>) => void; reject: (error: unknown) => void }[] = [];
  #isClosed = false;
  /** What the next read rejects with, once. */
  #failure: unknown;

  /** @param onLeave - the reader has left; called at most once, not after `close` */
  constructor(sourceId: string, size: number, onLeave: () => void) {
    this.#ring = new EventRing(sourceId, size);
    this.#onLeave = onLeave;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  /** From the hub. Never waits and never fails. @returns whether an older one was lost for it */
  push(envelope: EventEnvelope): boolean {
    if (this.#waiting.length > 0 && this.#ring.isEmpty) {
      this.#waiting.shift()?.resolve({ done: false, value: envelope });
      return false;
    }
    const isLossy = this.#ring.push(envelope);
    while (this.#waiting.length > 0) {
      const next = this.#ring.shift();
      if (next === undefined) break;
      this.#waiting.shift()?.resolve({ done: false, value: next });
    }
    return isLossy;
  }

  /** From the hub: events that never arrived. */
  lost(count: number): void {
    this.#ring.lose(count);
  }

  /** From the hub: the session has left. */
  close(): void {
    this.#isClosed = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  /** From the service: there is no such session. Whoever reads next is told, then the stream is closed. */
  fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#onLeave();
    this.#isClosed = true;
    const waiting = this.#waiting.splice(0);
    if (waiting.length === 0) this.#failure = error;
    for (const { reject } of waiting) reject(error);
  }

  tryNext(): EventEnvelope | undefined {
    return this.#ring.shift();
  }

  next(): Promise<IteratorResult<EventEnvelope, undefined>> {
    const envelope = this.#ring.shift();
    if (envelope !== undefined) return Promise.resolve({ done: false, value: envelope });
    if (this.#failure !== undefined) {
      const error = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#isClosed) return Promise.resolve({ done: true, value: undefined });
    if (this.#waiting.length >= READS_MAX) return Promise.reject(tooManyReads());
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<EventEnvelope, undefined>> {
    if (!this.#isClosed) this.#onLeave();
    this.close();
    while (this.#ring.shift() !== undefined); // the reader left: nothing is kept for it
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
