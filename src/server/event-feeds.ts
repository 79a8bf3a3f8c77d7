/**
 * Streams of a session's events that a client can come back to.
 *
 *   E1. A reader that names the last event it has seen gets everything behind it once and in order, or a gap that says how many are missing.
 *   E2. With an event log they come from the log. Without one they come from what the server keeps for sessions that are being watched, and
 *       for a while after their last watcher has left.
 *   E3. What is kept is bounded: events a session, sessions, and time.
 */
import { gapEnvelope } from "../host/event-ring.ts";
import type { SessionEventStream } from "../host/session-event-stream.ts";
import type { EventEnvelope } from "../protocol/events.ts";
import { SessionError } from "../protocol/errors.ts";
import { isInstance } from "../protocol/foreign.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { EventCursor, SubscribeOptions } from "../protocol/requests.ts";

/** Events that are kept of a session. */
const KEPT_EVENTS = 512;
/** Sessions of which events are kept. */
const KEPT_SESSIONS_MAX = 4096;
/** Milliseconds they are kept after the last reader has left. */
const LINGER_MS = 60_000;
/** Events a reader's own ring holds. */
const READER_RING = 1024;

/** What a connection reads from. */
export interface EventReader extends Pick<SessionEventStream, "begin" | "next" | "return" | "tryNext"> {
  /** It may give numbers up to the one it was to begin behind: without an event log they come again when a crash has undone them. */
  readonly mayGoBack?: true;
}

interface Subscribable {
  subscribeSessionEvents(id: SessionId, options?: SubscribeOptions): SessionEventStream;
}

export class EventFeeds {
  readonly #service: Subscribable;
  readonly #watched = new Map<SessionId, Watched>();
  #isClosed = false;

  constructor(service: Subscribable) {
    this.#service = service;
  }

  /** Sessions of which events are kept. */
  get size(): number {
    return this.#watched.size;
  }

  /**
   * @param after - the last event the reader has seen; undefined: it begins now
   * @throws StreamError NOT_FOUND, SessionError INVALID_PARAMS for a malformed cursor, HOST_OVERLOADED, HOST_CLOSED; for a stored session the first read may
   */
  open(id: SessionId, after: EventCursor | undefined): EventReader {
    const resumed = after === undefined ? undefined : this.#fromLog(id, after);
    if (resumed !== undefined) return resumed;
    if (typeof after === "string") {
      throw new SessionError("INVALID_PARAMS", "invalid after: without an event log it is the number of an event", {
        sessionId: id,
        details: { field: "after", issues: [{ field: "after", problem: "without an event log it is the number of an event" }] },
      });
    }
    const watched = this.#watch(id);
    watched?.enter();
    let live: SessionEventStream;
    try {
      live = this.#service.subscribeSessionEvents(id, { bufferSize: READER_RING });
    } catch (error) {
      watched?.leave();
      throw error;
    }
    return new WatchedReader(`session:${id}`, live, after, after === undefined ? [] : (watched?.since(after) ?? []), () =>
      watched?.leave(),
    );
  }

  /** @returns undefined when there is no log */
  #fromLog(id: SessionId, after: EventCursor): EventReader | undefined {
    try {
      return this.#service.subscribeSessionEvents(id, { bufferSize: READER_RING, after });
    } catch (error) {
      if (isInstance(error, SessionError) && error.code === "SESSION_PERSISTENCE_DISABLED") return undefined;
      throw error;
    }
  }

  /** @returns undefined when too many sessions are watched: then a gap tells of what is missed (E3). Nor is anything kept behind the end */
  #watch(id: SessionId): Watched | undefined {
    if (this.#isClosed) return undefined;
    let watched = this.#watched.get(id);
    if (watched === undefined && this.#watched.size < KEPT_SESSIONS_MAX) {
      watched = new Watched(this.#service.subscribeSessionEvents(id, { bufferSize: KEPT_EVENTS }), () => this.#watched.delete(id));
      this.#watched.set(id, watched);
    }
    return watched;
  }

  close(): void {
    this.#isClosed = true;
    for (const watched of this.#watched.values()) watched.end();
  }
}

/** A session that is being watched, or was a moment ago. */
class Watched {
  /** Its ring holds what came since the last look. */
  readonly #live: SessionEventStream;
  readonly #onEnd: () => void;
  #kept: EventEnvelope[] = [];
  #readers = 0;
  #linger: NodeJS.Timeout | undefined;

  constructor(live: SessionEventStream, onEnd: () => void) {
    this.#live = live;
    this.#onEnd = onEnd;
  }

  enter(): void {
    this.#readers++;
    clearTimeout(this.#linger);
  }

  leave(): void {
    if (--this.#readers > 0) return;
    if (this.#live.closed) this.end();
    else this.#linger = setTimeout(() => this.end(), LINGER_MS).unref();
  }

  end(): void {
    clearTimeout(this.#linger);
    void this.#live.return?.();
    this.#onEnd();
  }

  /** The events that are kept with a larger number. All of them when the number is still to come: a crash has undone what the reader saw. */
  since(seq: number): EventEnvelope[] {
    for (let next; (next = this.#live.tryNext()) !== undefined;) if (next.seq !== 0) this.#kept.push(next);
    if (this.#kept.length > KEPT_EVENTS) this.#kept = this.#kept.slice(-KEPT_EVENTS);
    const newest = this.#kept.at(-1)?.seq ?? 0;
    return newest < seq ? [...this.#kept] : this.#kept.filter((envelope) => envelope.seq > seq);
  }
}

type Step = IteratorResult<EventEnvelope, undefined>;

/** Events that were kept, then live ones. Numbers have no gaps, so what is missing between two of them is known exactly. */
class WatchedReader implements EventReader {
  readonly mayGoBack = true;
  readonly #sourceId: string;
  readonly #live: SessionEventStream;
  readonly #onLeave: () => void;
  #past: EventEnvelope[];
  /** Number of the last event given; undefined: none yet, and none was named. */
  #last: number | undefined;
  /** An event ahead of which a gap was told. */
  #held: EventEnvelope | undefined;
  #hasLeft = false;

  constructor(sourceId: string, live: SessionEventStream, after: number | undefined, past: EventEnvelope[], onLeave: () => void) {
    this.#sourceId = sourceId;
    this.#live = live;
    this.#last = after;
    this.#past = past;
    this.#onLeave = onLeave;
  }

  tryNext(): EventEnvelope | undefined {
    for (let envelope; (envelope = this.#atHand()) !== undefined;) {
      const given = this.#give(envelope);
      if (given !== undefined) return given;
    }
    return undefined;
  }

  async next(): Promise<Step> {
    for (;;) {
      const given = this.tryNext();
      if (given !== undefined) return { done: false, value: given };
      const step = await this.#live.next();
      if (step.done === true) return step;
      const live = this.#give(step.value);
      if (live !== undefined) return { done: false, value: live };
    }
  }

  async return(): Promise<Step> {
    if (!this.#hasLeft) {
      this.#hasLeft = true;
      this.#past = [];
      this.#held = undefined;
      await this.#live.return?.();
      this.#onLeave();
    }
    return { done: true, value: undefined };
  }

  #atHand(): EventEnvelope | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held ?? this.#past.shift() ?? this.#live.tryNext();
  }

  /** @returns what to give for it: itself, a gap ahead of it, or nothing */
  #give(envelope: EventEnvelope): EventEnvelope | undefined {
    const { seq } = envelope;
    if (seq === 0) return this.#last === undefined ? envelope : undefined; // what was lost is told by the next number
    const last = this.#last;
    if (last !== undefined && seq <= last) {
      // Numbers only grow: those the reader names were given by a host that has crashed since.
      this.#held = envelope;
      this.#last = seq - 1;
      return gapEnvelope(this.#sourceId, last - seq + 1, "rolled_back");
    }
    if (last !== undefined && seq > last + 1) {
      this.#held = envelope;
      this.#last = seq - 1;
      return gapEnvelope(this.#sourceId, seq - last - 1);
    }
    this.#last = seq;
    return envelope;
  }
}
