/**
 * A session's events in one order, each once, from the two streams that bring them: the session's own, and that of a turn of this page.
 *
 *   E1. While a turn of this page runs its stream is shown, which has no gap. What the session's brings meanwhile waits, up to 1000 events.
 *   E2. When the turn's stream has ended, or was cut, what waits is shown as far as it is news: the rest of the turn, or the next one.
 *   E3. A gap comes ahead of an event, and is shown with it: what one stream has lost the other may have brought.
 */
import type { EventEnvelope } from "../client/index.ts";

const WAITING_MAX = 1000;

/** @param isOwn - it is of this page's turn */
export type ShowEvent = (envelope: EventEnvelope, isOwn: boolean) => void;

export class EventOrder {
  readonly #show: ShowEvent;
  #lastSeq = 0;
  #gap: EventEnvelope | undefined;
  /** Undefined: no turn of this page runs. */
  #waiting: EventEnvelope[] | undefined;
  /** Its stream has said something: what waits with lower numbers until then is of another. */
  #hasBegun = false;

  constructor(show: ShowEvent) {
    this.#show = show;
  }

  /** Number of the last event that was shown; 0: none yet. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** A turn of this page begins. */
  beginOwn(): void {
    this.#waiting = [];
    this.#hasBegun = false;
  }

  /** Its stream has ended, in whatever way. */
  endOwn(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const envelope of waiting) this.#take(envelope, false);
  }

  /** From the turn's stream. */
  own(envelope: EventEnvelope): void {
    const waiting = this.#waiting ?? [];
    const before = waiting.findLastIndex(({ seq }) => seq !== 0 && seq < envelope.seq);
    for (const earlier of waiting.splice(0, before + 1)) this.#take(earlier, this.#hasBegun);
    this.#hasBegun = true;
    this.#take(envelope, true);
  }

  /** From the session's stream. */
  followed(envelope: EventEnvelope): void {
    if (this.#waiting === undefined) return this.#take(envelope, false);
    this.#waiting.push(envelope);
    if (this.#waiting.length > WAITING_MAX) this.#take(this.#waiting.shift() as EventEnvelope, this.#hasBegun);
  }

  #take(envelope: EventEnvelope, isOwn: boolean): void {
    const { seq } = envelope;
    if (isLag(envelope)) {
      this.#gap = envelope;
      return;
    }
    const gap = this.#gap;
    if (seq !== 0) {
      this.#gap = undefined;
      if (seq <= this.#lastSeq) return;
      const isNext = seq === this.#lastSeq + 1;
      this.#lastSeq = seq;
      if (gap !== undefined && !isNext) this.#show(gap, isOwn);
    }
    this.#show(envelope, isOwn);
  }
}

/** Events that were emitted are missing. (Others have not happened: a crash undid their turn.) */
function isLag({ seq, payload }: EventEnvelope): boolean {
  const { reason } = payload as { reason?: { kind?: string } };
  return seq === 0 && reason?.kind === "stream_lagged";
}
