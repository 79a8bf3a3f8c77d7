/** A bounded buffer of envelopes that loses the oldest, and says how many it lost, before what it kept. */
import type { EventEnvelope, GapKind } from "../protocol/events.ts";
import { gapMarker, isGapMarker } from "../protocol/events.ts";
import { IdSource } from "../protocol/ids.ts";

/** Envelopes a ring holds unless told otherwise. */
export const RING_SIZE = 256;

const markerIds = new IdSource();

/** @returns a marker that stands where events are missing: number 0 */
export function gapEnvelope(sourceId: string, dropped: number, kind?: GapKind): EventEnvelope {
  const timestampMs = Date.now();
  return { eventId: markerIds.next(timestampMs), sourceId, seq: 0, timestampMs, payload: gapMarker(dropped, kind) };
}

export class EventRing {
  readonly #size: number;
  readonly #sourceId: string;
  #envelopes: EventEnvelope[] = [];
  #head = 0;
  #dropped = 0;

  constructor(sourceId: string, size: number = RING_SIZE) {
    this.#sourceId = sourceId;
    this.#size = size;
  }

  get length(): number {
    return this.#envelopes.length - this.#head;
  }

  /** Nothing to read: no envelope, and no gap to tell of. */
  get isEmpty(): boolean {
    return this.length === 0 && this.#dropped === 0;
  }

  /** @returns whether the oldest envelope was lost for it */
  push(envelope: EventEnvelope): boolean {
    this.#envelopes.push(envelope);
    if (this.length <= this.#size) return false;
    const oldest = this.#take();
    this.#dropped += oldest.seq === 0 && isGapMarker(oldest.payload) ? oldest.payload.reason.dropped : 1;
    return true;
  }

  /** Events never arrived, behind what the ring holds now: a marker takes their place. */
  lose(count: number): void {
    this.push(this.#marker(count));
  }

  /** Add without losing any: for a writer that is bounded by other means. */
  keep(envelope: EventEnvelope): void {
    this.#envelopes.push(envelope);
  }

  /** The next envelope: a gap marker (seq 0) first, if some were lost. */
  shift(): EventEnvelope | undefined {
    if (this.#dropped === 0) return this.length === 0 ? undefined : this.#take();
    const marker = this.#marker(this.#dropped);
    this.#dropped = 0;
    return marker;
  }

  #marker(dropped: number): EventEnvelope {
    return gapEnvelope(this.#sourceId, dropped);
  }

  #take(): EventEnvelope {
    const envelope = this.#envelopes[this.#head] as EventEnvelope;
    this.#envelopes[this.#head++] = undefined as unknown as EventEnvelope;
    if (this.#head === this.#envelopes.length || this.#head >= this.#size) {
      this.#envelopes = this.#envelopes.slice(this.#head);
      this.#head = 0;
    }
    return envelope;
  }
}
