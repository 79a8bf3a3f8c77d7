/**
 * A session's events in one order, each once, from the two streams that bring them: the session's own, and that of a turn of this page.
 *
 *   E1. While a turn of this page runs its stream is shown, which has no gap. What the session's brings meanwhile waits, up to 1000 events.
 *   E2. When the turn's stream has ended, or was cut, what waits is shown as far as it is news: the rest of the turn, or the next one.
 *   E3. A gap comes ahead of an event, and is shown with it: what one stream has lost the other may have brought.
 *   E4. Numbers go back when a crash has undone events. What takes their place is news, whichever stream tells of it first.
 */
import type { EventCursor, EventEnvelope } from "../client/index.ts";

const WAITING_MAX = 1000;

/** @param isOwn - it is of this page's turn */
export type ShowEvent = (envelope: EventEnvelope, isOwn: boolean) => void;

export class EventOrder {
  readonly #show: ShowEvent;
  #lastSeq = 0;
  #last: EventCursor | undefined;
  #gap: EventEnvelope | undefined;
  /** Undefined: no turn of this page runs. */
  #waiting: EventEnvelope[] | undefined;
  /** Its stream has said something: what waits with lower numbers until then is of another. */
  #hasBegun = false;
  /** The last number that was shown when it began. */
  #beganAt = 0;
  /** The turn's stream has gone back (E4), so what the session's says of that is known. */
  #hasOwnGoneBack = false;
  /** Events were undone: the next number takes the place of what was shown with it. */
  #isGoingBack = false;

  constructor(show: ShowEvent) {
    this.#show = show;
  }

  /** The last event that was shown, by its cursor if it has one: a server cannot tell of a number alone that a crash undid it. Undefined: none. */
  get last(): EventCursor | undefined {
    return this.#last;
  }

  /** A turn of this page begins. */
  beginOwn(): void {
    this.#waiting = [];
    this.#hasBegun = false;
    this.#beganAt = this.#lastSeq;
  }

  /** Its stream has ended, in whatever way. */
  endOwn(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const envelope of waiting) this.#takeFollowed(envelope, false);
  }

  /** From the turn's stream. */
  own(envelope: EventEnvelope): void {
    const { seq } = envelope;
    const waiting = this.#waiting ?? [];
    const before = waiting.findLastIndex((one) => isUndoing(one) || (one.seq !== 0 && one.seq < seq));
    for (const earlier of waiting.splice(0, before + 1)) this.#takeFollowed(earlier, this.#hasBegun);
    this.#hasBegun = true;
    // A turn's events come behind all that were shown before it began, unless a crash has undone those.
    if (seq !== 0 && seq <= Math.min(this.#beganAt, this.#lastSeq) && !this.#isGoingBack) {
      this.#isGoingBack = true;
      this.#hasOwnGoneBack = true;
      this.#beganAt = 0;
    }
    this.#take(envelope, true);
  }

  /** From the session's stream. */
  followed(envelope: EventEnvelope): void {
    if (this.#waiting === undefined) return this.#takeFollowed(envelope, false);
    this.#waiting.push(envelope);
    if (this.#waiting.length > WAITING_MAX) this.#takeFollowed(this.#waiting.shift() as EventEnvelope, this.#hasBegun);
  }

  #takeFollowed(envelope: EventEnvelope, isOwn: boolean): void {
    if (isUndoing(envelope)) this.#isGoingBack = !this.#hasOwnGoneBack;
    this.#hasOwnGoneBack = false;
    this.#take(envelope, isOwn);
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
      if (this.#isGoingBack) this.#lastSeq = Math.min(this.#lastSeq, seq - 1);
      this.#isGoingBack = false;
      if (seq <= this.#lastSeq) return;
      const isNext = seq === this.#lastSeq + 1;
      this.#lastSeq = seq;
      this.#last = envelope.cursor ?? seq;
      if (gap !== undefined && !isNext) this.#show(gap, isOwn);
    }
    this.#show(envelope, isOwn);
  }
}

/** Events that were emitted are missing. */
function isLag(envelope: EventEnvelope): boolean {
  return gapKindOf(envelope) === "stream_lagged";
}

/** Events have not happened: a crash undid their turn. */
function isUndoing(envelope: EventEnvelope): boolean {
  return gapKindOf(envelope) === "rolled_back";
}

function gapKindOf({ seq, payload }: EventEnvelope): string | undefined {
  return seq === 0 ? (payload as { reason?: { kind?: string } }).reason?.kind : undefined;
}
