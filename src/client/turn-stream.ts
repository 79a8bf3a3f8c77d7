/**
 * A turn's events as an async iterable.
 *
 *   I1. Until the first `next()` the newest 256 events are kept, and a gap says how many were lost: `result` alone may be awaited.
 *   I2. From then on what is not read stays in the connection, and nothing is lost here: as long as somebody reads. A reader that leaves
 *       256 waiting for ten seconds is taken for one that has stopped, and it is as in I1 until the next `next()`.
 *   I3. Leaving the loop lets the turn go on. After the last event the iterator ends as the turn did.
 */
import type { EventEnvelope } from "../protocol/events.ts";
import type { RunResult } from "../protocol/views.ts";
import type { TurnListeners } from "./turn-run.ts";

const KEPT = 256;
/** Milliseconds. The server cuts off whoever takes nothing for 30 s. */
const HELD_MAX_MS = 10_000;

export interface TurnStream extends AsyncIterable<EventEnvelope> {
  /** Never an unhandled rejection; the iterator throws the same error after the last event. */
  readonly result: Promise<RunResult>;
  /** Settles with the admission; rejects as `result` does when there is none. */
  readonly ticket: Promise<number>;
  /** Interrupt this turn, and no other. */
  interrupt(): Promise<void>;
}

/**
 * @param start - starts the turn and follows it
 * @param interrupt - the turn of that ticket
 */
export function turnStreamOf(
  start: (listeners: TurnListeners) => Promise<RunResult>,
  interrupt: (ticket: number) => Promise<void>,
): TurnStream {
  const events = new TurnEvents();
  let result!: Promise<RunResult>;
  const ticket = new Promise<number>((resolve, reject) => {
    result = start({ onEvent: (envelope) => events.push(envelope), onAdmitted: resolve });
    result.then(() => reject(new Error("no ticket: this is the answer of an earlier request")), reject);
  });
  ticket.catch(() => {}); // `result` says it
  result.then(
    () => events.end(undefined),
    (error: unknown) => events.end({ error }),
  );
  return { result, ticket, interrupt: async () => interrupt(await ticket), [Symbol.asyncIterator]: () => events };
}

type Step = IteratorResult<EventEnvelope, undefined>;
const DONE: Step = { done: true, value: undefined };

class TurnEvents implements AsyncIterableIterator<EventEnvelope> {
  #kept: EventEnvelope[] = [];
  #mode: "keeping" | "reading" | "left" = "keeping";
  #lost = 0;
  #end: { error?: unknown } | undefined;
  #readers: { resolve: (step: Step) => void; reject: (error: unknown) => void }[] = [];
  /** Lets the connection be read on. */
  #onRoom: (() => void) | undefined;

  push(envelope: EventEnvelope): void | Promise<void> {
    if (this.#mode === "left") return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: envelope });
      return;
    }
    this.#kept.push(envelope);
    if (this.#mode === "keeping") {
      if (this.#kept.length > KEPT) this.#lost += missing(this.#kept.shift() as EventEnvelope); // I1
    } else if (this.#kept.length >= KEPT) return this.#room();
  }

  /** I2. Settles when there is room, and when there will be none. */
  #room(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#mode = "keeping";
        this.#makeRoom();
      }, HELD_MAX_MS);
      this.#onRoom = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  end(failure: { error: unknown } | undefined): void {
    this.#end = failure ?? {};
    this.#makeRoom();
    for (const reader of this.#readers.splice(0)) {
      if (failure === undefined) reader.resolve(DONE);
      else reader.reject(failure.error);
    }
  }

  async next(): Promise<Step> {
    if (this.#mode === "keeping") this.#mode = "reading";
    const kept = this.#shift();
    if (kept !== undefined) return { done: false, value: kept };
    if (this.#mode === "left") return DONE;
    const end = this.#end;
    if (end === undefined) return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
    this.#end = {};
    if ("error" in end) throw end.error;
    return DONE;
  }

  #shift(): EventEnvelope | undefined {
    const first = this.#kept[0];
    if (first === undefined) return undefined;
    if (this.#lost > 0) {
      const dropped = this.#lost;
      this.#lost = 0;
      return {
        ...first,
        eventId: `${first.eventId}-gap`,
        seq: 0,
        payload: { type: "stream_truncated", reason: { kind: "stream_lagged", dropped } },
      };
    }
    this.#kept.shift();
    this.#makeRoom();
    return first;
  }

  #makeRoom(): void {
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  async return(): Promise<Step> {
    this.#mode = "left";
    this.#kept = [];
    for (const reader of this.#readers.splice(0)) reader.resolve(DONE);
    this.#makeRoom();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** How many events an envelope stands for. */
function missing({ seq, payload }: EventEnvelope): number {
  const { reason } = payload as { reason?: { dropped?: number } };
  return seq === 0 ? (reason?.dropped ?? 1) : 1;
}
