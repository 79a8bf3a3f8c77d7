/**
 * The past of one session's events for a reader that resumes: what the store's log has, and what a running turn has emitted and not yet
 * logged.
 *
 *   T1. An event is in the log or with its lane until the store has acknowledged it, so asking the lane first and the log afterwards
 *       finds every event there was.
 */
import type { EventCursor } from "../protocol/requests.ts";
import type { EventEnvelope } from "../protocol/events.ts";
import { SessionError, StreamError } from "../protocol/errors.ts";
import type { EventTail } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import { cursorOf, eventIdOf, eventIdTail, parseCursor } from "../protocol/ids.ts";
import { refuse } from "../protocol/parse.ts";
import type { LoggedEvent, StoredEvent } from "../protocol/stored-session.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionHost } from "./session-host.ts";
import type { StoredSessions } from "./stored-sessions.ts";

/** Events of one read. */
const PAGE_EVENTS = 512;

/** Where a reader begins. */
export interface Position {
  /** Number of the last event it has. */
  readonly after: number;
  /** Events it has seen that a crash undid. */
  readonly rolledBack: number;
}

/** The two places a session's events are in: the store's log, and its lane. */
export class EventSource {
  readonly #id: SessionId;
  readonly #host: SessionHost;
  readonly #stored: StoredSessions;

  constructor(id: SessionId, host: SessionHost, stored: StoredSessions) {
    this.#id = id;
    this.#host = host;
    this.#stored = stored;
  }

  #awake(): SessionEntry | undefined {
    const entry = this.#host.registry.find(this.#id);
    return entry?.state === "live" ? entry : undefined;
  }

  /** Fencing number of the session, and whether it is live. @throws StreamError NOT_FOUND, SessionError SESSION_STORE_ERROR */
  async now(): Promise<{ readonly epoch: number; readonly isLive: boolean }> {
    const kept = this.#awake()?.kept;
    if (kept !== undefined) return { epoch: kept.epoch, isLive: true };
    const head = await this.#stored.ask(this.#id, "head", this.#id);
    if (head === null || head.isArchived) throw new StreamError("NOT_FOUND", `session ${this.#id}`);
    return { epoch: head.epoch, isLive: false };
  }

  /** Number of the last event in the log, made under `maxEpoch` or before. */
  async lastLogged(maxEpoch?: number): Promise<number> {
    return (await this.#stored.ask(this.#id, "lastEvent", this.#id, maxEpoch))?.seq ?? 0;
  }

  logged(from: number): Promise<LoggedEvent[]> {
    return this.#stored.ask(this.#id, "readEvents", this.#id, from, PAGE_EVENTS);
  }

  /** What the session's lane has not logged yet; undefined when it is in none. */
  async tail(from: number): Promise<EventTail | undefined> {
    const entry = this.#awake();
    if (entry === undefined) return undefined;
    try {
      return await this.#host.query<EventTail>(entry, (request) => [COMMANDS.EVENT_TAIL.op, entry.slot, entry.generation, request, from]);
    } catch (error) {
      if (error instanceof SessionError && error.code === "SESSION_NOT_FOUND") return undefined; // it left: the log has what there is
      throw error;
    }
  }
}

export class EventHistory {
  readonly #id: SessionId;
  readonly #tail: string;
  readonly #cursor: { readonly epoch: number | undefined; readonly seq: number };
  readonly #source: EventSource;

  /** @throws SessionError INVALID_PARAMS when the cursor is not one, or of another session */
  constructor(id: SessionId, cursor: EventCursor, source: EventSource) {
    this.#id = id;
    this.#tail = eventIdTail(id);
    this.#source = source;
    this.#cursor = this.#parse(cursor);
  }

  #parse(cursor: EventCursor): { epoch: number | undefined; seq: number } {
    const seq = Number(cursor);
    if (typeof cursor === "number" || /^\d{1,15}$/.test(cursor)) {
      if (Number.isSafeInteger(seq) && seq >= 0) return { epoch: undefined, seq };
      refuse("options.after", "must be the number of an event, or a cursor");
    }
    const parsed = parseCursor(cursor);
    if (parsed === undefined) refuse("options.after", "is not a cursor");
    if (parsed.tail !== this.#tail) refuse("options.after", "is a cursor of another session");
    return parsed;
  }

  /** Find the cursor's place. Rejects with SessionError INVALID_PARAMS when it lies in the future */
  async position(): Promise<Position> {
    const { epoch, seq } = this.#cursor;
    const { epoch: current, isLive } = await this.#source.now();
    if (epoch !== undefined && epoch < current) {
      const last = await this.#source.lastLogged(epoch);
      return { after: Math.min(seq, last), rolledBack: Math.max(0, seq - last) };
    }
    const live = await this.#source.tail(seq + 1);
    const last = Math.max(live?.lastSeq ?? 0, await this.#source.lastLogged());
    if (seq <= last) return { after: seq, rolledBack: 0 };
    // A session that sleeps since its host crashed still has the epoch under which its last events were made and lost.
    if (epoch === current && !isLive) return { after: last, rolledBack: seq - last };
    return refuse(
      "options.after",
      `is a cursor from the future: event ${seq} of epoch ${epoch ?? current}, the last one is ${last} of ${current}`,
    );
  }

  /** Events from number `from` on, in order; none: there are none but those that come live. */
  async read(from: number): Promise<EventEnvelope[]> {
    const page = await this.#source.logged(from);
    if (page.length > 0) return page.map((event) => this.#envelope(event, event.epoch));
    const live = await this.#source.tail(from); // T1
    const logged = await this.#source.logged(from);
    const envelopes = logged.map((event) => this.#envelope(event, event.epoch));
    if (live === undefined || logged.length === PAGE_EVENTS) return envelopes;
    const { epoch } = await this.#source.now();
    const lastLogged = logged.at(-1)?.seq ?? from - 1;
    return [...envelopes, ...live.events.filter(({ seq }) => seq > lastLogged).map((event) => this.#envelope(event, epoch))];
  }

  #envelope({ seq, timestampMs, payload }: StoredEvent, epoch: number): EventEnvelope {
    return {
      eventId: eventIdOf(timestampMs, seq, this.#tail),
      sourceId: `session:${this.#id}`,
      seq,
      timestampMs,
      cursor: cursorOf(this.#tail, epoch, seq),
      payload,
    };
  }
}
