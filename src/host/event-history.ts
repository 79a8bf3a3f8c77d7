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

/** What a lane has of a session's events, and the fencing number under which they were made. */
export interface LaneTail extends EventTail {
  readonly epoch: number;
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

  /** The session in its lane, also on its way out of it. */
  #inLane(): SessionEntry | undefined {
    const entry = this.#host.registry.find(this.#id) ?? this.#host.persistence?.departures.of(this.#id);
    return entry?.kept === undefined || entry.isArchived ? undefined : entry;
  }

  /** Fencing number of the session. @throws StreamError NOT_FOUND, SessionError SESSION_STORE_ERROR */
  async epoch(): Promise<number> {
    const kept = this.#inLane()?.kept;
    if (kept !== undefined) return kept.epoch;
    const head = await this.#stored.ask(this.#id, "head", this.#id);
    if (head === null || head.isArchived) throw new StreamError("NOT_FOUND", `session ${this.#id}`);
    return head.epoch;
  }

  /** Number of the last event in the log, made under `maxEpoch` or before. */
  async lastLogged(maxEpoch?: number): Promise<number> {
    return (await this.#stored.ask(this.#id, "lastEvent", this.#id, maxEpoch))?.seq ?? 0;
  }

  logged(from: number): Promise<LoggedEvent[]> {
    return this.#stored.ask(this.#id, "readEvents", this.#id, from, PAGE_EVENTS);
  }

  /** What the session's lane has not logged yet; undefined when it is in none, or has left it or lost it meanwhile: the log has what there is. */
  async tail(from: number): Promise<LaneTail | undefined> {
    const entry = this.#inLane();
    if (entry?.kept === undefined) return undefined;
    const { epoch } = entry.kept;
    try {
      const tail = await this.#host.queries.serve<EventTail>(entry, (request) => [
        COMMANDS.EVENT_TAIL.op,
        entry.slot,
        entry.generation,
        request,
        from,
      ]);
      return { ...tail, epoch };
    } catch (error) {
      if (error instanceof SessionError && (error.code === "SESSION_NOT_FOUND" || error.agentError?.kind === "lane_lost")) return undefined;
      throw error;
    }
  }
}

export class EventHistory {
  readonly #id: SessionId;
  readonly #tail: string;
  readonly #cursor: { readonly epoch: number | undefined; readonly seq: number };
  readonly #source: Pick<EventSource, "epoch" | "lastLogged" | "logged" | "tail">;

  /** @throws SessionError INVALID_PARAMS when the cursor is not one, or of another session */
  constructor(id: SessionId, cursor: EventCursor, source: Pick<EventSource, "epoch" | "lastLogged" | "logged" | "tail">) {
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
    const current = await this.#source.epoch();
    if (epoch !== undefined && epoch < current) {
      const last = await this.#source.lastLogged(epoch);
      return { after: Math.min(seq, last), rolledBack: Math.max(0, seq - last) };
    }
    const live = await this.#source.tail(seq + 1);
    const last = Math.max(live?.lastSeq ?? 0, await this.#source.lastLogged());
    if (seq <= last && (epoch ?? current) === current) return { after: seq, rolledBack: 0 };
    // In a store that does not raise epochs when it is opened, a session that sleeps since its host crashed still has the epoch under
    // which its last events were made and lost.
    if (epoch === current && live === undefined) return { after: last, rolledBack: seq - last };
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
    const lastLogged = logged.at(-1)?.seq ?? from - 1;
    return [...envelopes, ...live.events.filter(({ seq }) => seq > lastLogged).map((event) => this.#envelope(event, live.epoch))];
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
