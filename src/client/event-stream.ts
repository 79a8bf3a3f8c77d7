/**
 * A session's events, for as long as they are read, over as many connections as that takes.
 *
 *   F1. A connection that ends is followed by another, after a pause that grows, which begins behind the last event that was given: with an
 *       event log nothing is missing and nothing comes twice; without one a gap says how many are missing.
 *   F2. A gap is given with the event behind it. Were it given alone and the connection cut then, the next one would tell it again.
 *   F3. It ends when the session is out of service, when its signal aborts, when it is left, and with an error that will not pass.
 */
import type { EventEnvelope } from "../protocol/events.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { EventCursor } from "../protocol/requests.ts";
import type { Problem } from "./errors.ts";
import { clientError, errorOfProblem } from "./errors.ts";
import type { Http } from "./http.ts";
import { asClientError } from "./http.ts";
import type { ServerEvent } from "./sse.ts";
import { isEventStream, SseReader } from "./sse.ts";
import { backOffMs, LinkedAbort, pause } from "./waiting.ts";

export interface EventsOptions {
  /** The last event that is known: its number, or its cursor. 0: from the first. Undefined: those that come from now on. */
  after?: EventCursor | undefined;
  /** Ends it; the iterator throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told when a connection is open, and when there is none any more and another will be tried. */
  onConnection?: ((state: "open" | "waiting") => void) | undefined;
}

export class SessionEvents implements AsyncIterableIterator<EventEnvelope> {
  readonly #http: Http;
  readonly #path: string;
  readonly #abort: LinkedAbort;
  readonly #onConnection: (state: "open" | "waiting") => void;
  readonly #steps: AsyncGenerator<EventEnvelope, undefined, void>;
  #after: EventCursor | undefined;
  #hasLeft = false;
  /** Pauses since something came. */
  #pauses = 0;

  constructor(http: Http, id: SessionId, options: EventsOptions) {
    this.#http = http;
    this.#path = `v1/sessions/${encodeURIComponent(id)}/events`;
    this.#abort = new LinkedAbort(options.signal);
    this.#onConnection = options.onConnection ?? (() => {});
    this.#after = options.after;
    this.#steps = this.#follow();
  }

  /** Where another follower would go on. */
  get after(): EventCursor | undefined {
    return this.#after;
  }

  async *#follow(): AsyncGenerator<EventEnvelope, undefined, void> {
    try {
      for (let wasOpen = false; ;) {
        let reader: SseReader | undefined;
        let retryAfterMs: number | undefined;
        try {
          reader = await this.#connect();
          wasOpen = true;
          this.#onConnection("open");
          if ((yield* this.#read(reader)) === "end") return undefined;
        } catch (error) {
          if (this.#hasLeft) return undefined;
          if (this.#abort.signal.aborted) throw this.#abort.signal.reason;
          const { status = 0, disposition, retryAfterMs: told } = asClientError(error);
          if (status === 404 && wasOpen) return undefined;
          if (disposition !== "retry" && status < 502) throw asClientError(error);
          retryAfterMs = told;
        } finally {
          await reader?.leave();
        }
        this.#onConnection("waiting");
        await this.#pause(retryAfterMs);
        if (this.#hasLeft) return undefined;
      }
    } finally {
      this.#abort.letGo();
    }
  }

  async #connect(): Promise<SseReader> {
    const headers = { accept: "text/event-stream", ...(this.#after !== undefined && { "last-event-id": String(this.#after) }) };
    const response = await this.#http.open({ method: "GET", path: this.#path, headers }, this.#abort.signal);
    if (!isEventStream(response)) throw clientError("BAD_ANSWER", "the answer is no stream of events");
    return new SseReader(response);
  }

  /** @returns why there is no more: the session has ended, or only the connection */
  async *#read(reader: SseReader): AsyncGenerator<EventEnvelope, "end" | "cut", void> {
    let gap: EventEnvelope | undefined; // F2
    for (let event: ServerEvent | undefined; (event = await reader.next()) !== undefined;) {
      this.#pauses = 0;
      const value = JSON.parse(event.data) as unknown;
      if (event.event === "problem") throw errorOfProblem(value as Problem);
      const envelope = event.event === undefined || event.event === "gap" ? (value as EventEnvelope) : undefined;
      if (gap !== undefined && (envelope !== undefined || event.event === "end")) {
        yield gap;
        gap = undefined;
      }
      if (event.event === "end") return "end";
      if (event.event === "gap") gap = envelope;
      else if (envelope !== undefined) {
        this.#after = envelope.cursor ?? envelope.seq;
        yield envelope;
      }
    }
    return "cut";
  }

  async #pause(retryAfterMs: number | undefined): Promise<void> {
    try {
      await pause(backOffMs(this.#pauses++, retryAfterMs), this.#abort.signal);
    } catch (error) {
      if (!this.#hasLeft) throw error;
    }
  }

  next(): Promise<IteratorResult<EventEnvelope, undefined>> {
    return this.#steps.next();
  }

  /** Also while a `next` waits, which then ends. */
  async return(): Promise<IteratorResult<EventEnvelope, undefined>> {
    this.#hasLeft = true;
    this.#abort.abort(new DOMException("nobody reads on", "AbortError"));
    return this.#steps.return(undefined);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
