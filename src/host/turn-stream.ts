/**
 * A turn's own events as an async iterable.
 *
 *   U1. Until the first `next()` the stream is a lossy ring with gap marker, and the turn waits for nobody.
 *   U2. From then on nothing is lost: the agent waits for the reader. A reader that pauses beyond the stall limit makes it a ring again.
 *   U3. Leaving the loop lets the turn go on. After the last event the iterator ends as the turn did.
 */
import type { EventEnvelope } from "../protocol/events.ts";
import type { RunResult } from "../protocol/views.ts";
import { EVENT_WINDOW } from "../transport/credits.ts";
import { EventRing } from "./event-ring.ts";
import { READS_MAX, tooManyReads } from "./session-event-stream.ts";
import type { TurnConsumer, TurnFlow } from "./turn-consumer.ts";

/** startTurn with the turn's own event channel as an async iterable. */
export interface TurnStream extends AsyncIterable<EventEnvelope> {
  /** Never an unhandled rejection; the iterator throws the same error after the last event. */
  readonly result: Promise<RunResult>;
  /** Settles with the admission; rejects as `result` does when there is none. */
  readonly ticket: Promise<number>;
  /** Interrupt this turn. Rejects with SESSION_NOT_RUNNING when it does not run any more. */
  interrupt(): Promise<void>;
}

/**
 * A turn's stream around its reader.
 *
 * @param start - starts the turn. `onAdmitted` is called with its admission: before `start` returns, unless the turn has to wait for its
 * session; one that may adds to its caller's signal what makes it leave the line
 * @param interrupt - interrupts the turn of that ticket, or rejects with SESSION_NOT_RUNNING
 * @param cancelled - makes what a turn ends with that is interrupted in the line
 */
export function streamOf(
  reader: TurnEventReader,
  start: (onAdmitted: (ticket: number) => void, orLeaves: (signal: AbortSignal | undefined) => AbortSignal) => Promise<RunResult>,
  interrupt: (ticket: number) => Promise<void>,
  cancelled: () => unknown,
): TurnStream {
  let admitted: number | undefined;
  let waiting: Leaving | undefined;
  let tell!: (ticket: number) => void;
  const announced = new Promise<number>((resolve) => (tell = resolve));
  const onAdmitted = (number: number): void => tell((admitted = number));
  const result = start(onAdmitted, (signal) => (waiting = new Leaving(signal)).signal);
  // An error that follows the admission finds the race won.
  const ticket = Promise.race([announced, result.then(() => announced)]);
  const over = (): void => {
    waiting?.close();
    waiting = undefined;
  };
  result.then(over, (error: unknown) => {
    over();
    reader.finish(error);
  });
  ticket.catch(() => {}); // said by `result` already
  const stop = async (): Promise<void> => {
    if (admitted === undefined && waiting !== undefined) waiting.abort(cancelled());
    else await interrupt(await ticket);
  };
  return { result, ticket, interrupt: stop, [Symbol.asyncIterator]: () => reader };
}

/** A signal that is aborted when its caller's is, or when the turn is to leave its line. */
class Leaving {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#controller.abort(this.#outer?.reason);

  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  close(): void {
    this.#outer?.removeEventListener("abort", this.#onAbort);
  }
}

type Step = IteratorResult<EventEnvelope, undefined>;
interface Waiting {
  resolve: (step: Step) => void;
  reject: (error: unknown) => void;
}

export class TurnEventReader implements TurnConsumer, AsyncIterableIterator<EventEnvelope> {
  readonly #ring: EventRing;
  readonly #stallMs: number;
  #flow: TurnFlow | undefined;
  #mode: "lossy" | "waiting" | "left" = "lossy";
  /** Envelopes in the ring whose credit has gone back already. */
  #credited = 0;
  #readers: Waiting[] = [];
  #end: { error: unknown } | undefined;
  #stallTimer: NodeJS.Timeout | undefined;

  constructor(sourceId: string, stallMs: number) {
    this.#ring = new EventRing(sourceId, EVENT_WINDOW);
    this.#stallMs = stallMs;
  }

  // ── the turn's side ──

  attach(flow: TurnFlow): void {
    this.#flow = flow;
  }

  push(envelope: EventEnvelope): void {
    if (this.#mode === "left") {
      this.#flow?.taken(); // it came for subscribers, who are never waited for
      return;
    }
    const reader = this.#readers.shift();
    if (reader) {
      reader.resolve({ done: false, value: envelope });
      this.#flow?.taken();
      return;
    }
    if (this.#mode === "waiting") {
      this.#ring.keep(envelope); // bounded by the credits that are out
      this.#watchReader();
      return;
    }
    this.#flow?.taken();
    if (!this.#ring.push(envelope)) this.#credited++;
  }

  /** The result does not wait for the reader: what is left fits the ring. Also called when the turn never was admitted. */
  finish(error: unknown): undefined {
    this.#end ??= { error };
    clearTimeout(this.#stallTimer);
    for (const reader of this.#readers.splice(0)) this.#answerEnd(reader);
  }

  // ── the reader's side ──

  next(): Promise<Step> {
    if (this.#mode === "lossy" && this.#end === undefined) this.#mode = "waiting";
    const envelope = this.#ring.shift();
    if (envelope !== undefined) {
      this.#took(envelope);
      return Promise.resolve({ done: false, value: envelope });
    }
    if (this.#readers.length >= READS_MAX) return Promise.reject(tooManyReads());
    return new Promise((resolve, reject) => {
      if (this.#end || this.#mode === "left") this.#answerEnd({ resolve, reject });
      else this.#readers.push({ resolve, reject });
    });
  }

  return(): Promise<Step> {
    if (this.#mode !== "left") {
      this.#mode = "left";
      clearTimeout(this.#stallTimer);
      if (this.#end === undefined) this.#flow?.detach();
      for (const reader of this.#readers.splice(0)) reader.resolve({ done: true, value: undefined });
      while (this.#ring.shift() !== undefined); // nobody will read it
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #took(envelope: EventEnvelope): void {
    if (this.#stallTimer) this.#watchReader();
    if (envelope.seq === 0) return; // a gap marker of our own
    if (this.#credited > 0) this.#credited--;
    else this.#flow?.taken();
  }

  #watchReader(): void {
    if (this.#ring.length === 0) {
      clearTimeout(this.#stallTimer);
      this.#stallTimer = undefined;
    } else if (this.#stallTimer) this.#stallTimer.refresh();
    else this.#stallTimer = setTimeout(() => this.#stall(), this.#stallMs);
  }

  /** U2: the reader pauses; give back every credit and be a ring. */
  #stall(): void {
    if (this.#mode !== "waiting" || this.#end) return;
    this.#stallTimer = undefined;
    for (; this.#credited < this.#ring.length; this.#credited++) this.#flow?.taken();
    this.#mode = "lossy";
  }

  /** U3. Only the first read past the end sees the error, as in any async generator. */
  #answerEnd(reader: Waiting): void {
    const error = this.#mode === "left" ? undefined : this.#end?.error;
    if (error === undefined) {
      reader.resolve({ done: true, value: undefined });
      return;
    }
    this.#end = { error: undefined };
    reader.reject(error);
  }
}
