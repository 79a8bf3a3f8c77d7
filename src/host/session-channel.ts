/** The events of one session on main: stamped into envelopes once, and fanned out to subscribers and the turn's own consumer. */
import type { AgentEvent, EventEnvelope } from "../protocol/events.ts";
import { cursorOf, eventIdOf, eventIdTail } from "../protocol/ids.ts";
import { overloaded } from "./overloaded.ts";
import { RING_SIZE } from "./event-ring.ts";
import { Subscription } from "./session-event-stream.ts";

/** Subscribers of a session: each event costs a step for every one of them. */
export const SUBSCRIBERS_MAX = 1024;

export class SessionChannel {
  readonly #sourceId: string;
  readonly #tail: string;
  readonly #subscriptions = new Set<Subscription>();
  #onCount: (count: number) => void = () => {};
  /** Number of the last event published since somebody subscribed; 0: none yet. */
  #lastSeq = 0;

  /** Fencing number of the live session whose events these are; undefined: they have no cursors. */
  epoch: number | undefined;

  constructor(sessionId: string) {
    this.#sourceId = `session:${sessionId}`;
    this.#tail = eventIdTail(sessionId);
  }

  /** @param listener - told how many subscribers there are, now and whenever that changes; there is one at a time */
  onCount(listener: (count: number) => void): void {
    this.#onCount = listener;
    listener(this.#subscriptions.size);
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get subscribers(): number {
    return this.#subscriptions.size;
  }

  envelope(seq: number, timestampMs: number, payload: AgentEvent): EventEnvelope {
    const envelope: EventEnvelope = {
      eventId: eventIdOf(timestampMs, seq, this.#tail),
      sourceId: this.#sourceId,
      seq,
      timestampMs,
      payload,
    };
    if (this.epoch !== undefined) envelope.cursor = cursorOf(this.#tail, this.epoch, seq);
    return envelope;
  }

  /** Numbers missing since the last event were lost on the way (nothing with a subscriber goes unsent): every subscriber is told. @returns events lost, by all of them together */
  publish(envelope: EventEnvelope): number {
    if (this.#subscriptions.size === 0) return 0;
    const lost = this.#lastSeq === 0 ? 0 : envelope.seq - this.#lastSeq - 1;
    this.#lastSeq = envelope.seq;
    let lostByAll = lost * this.#subscriptions.size;
    for (const subscription of this.#subscriptions) {
      if (lost > 0) subscription.lost(lost);
      if (subscription.push(envelope)) lostByAll++;
    }
    return lostByAll;
  }

  /** @param size - envelopes its ring holds. @throws SessionError HOST_OVERLOADED subscribers */
  subscribe(size: number = RING_SIZE): Subscription {
    if (this.#subscriptions.size >= SUBSCRIBERS_MAX) {
      throw overloaded("subscribers", `${this.#sourceId} has ${SUBSCRIBERS_MAX} subscribers`, SUBSCRIBERS_MAX);
    }
    const subscription = new Subscription(this.#sourceId, size, () => {
      this.#subscriptions.delete(subscription);
      this.#onCount(this.#subscriptions.size);
    });
    if (this.#subscriptions.size === 0) this.#lastSeq = 0;
    this.#subscriptions.add(subscription);
    this.#onCount(this.#subscriptions.size);
    return subscription;
  }

  /** The session has left: every stream ends. */
  close(): void {
    for (const subscription of this.#subscriptions) subscription.close();
    this.#subscriptions.clear();
  }
}
