/**
 * An answer's server-sent events, one at a time.
 *
 *   S1. What waits here is what one piece of the body held.
 *   S2. A server says that it is alive when it has nothing else to say: a body that is silent for too long counts as cut.
 */
import type { EventSourceMessage } from "eventsource-parser";
import { createParser } from "eventsource-parser";

import { clientError } from "./errors.ts";

/** Milliseconds. A server's heartbeat comes every 15 s; every 30 s is the longest it may be told. */
const SILENCE_MAX_MS = 60_000;
/** Milliseconds between the last event and the end. */
const END_MAX_MS = 1000;
/** Characters of one event. */
const EVENT_MAX = 64 * 1024 * 1024;

export type ServerEvent = Pick<EventSourceMessage, "event" | "id" | "data">;

export function isEventStream(response: Response): boolean {
  return response.headers.get("content-type")?.startsWith("text/event-stream") === true;
}

export class SseReader {
  readonly #body: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #parser;
  #events: ServerEvent[] = [];
  #next = 0;
  #tooLong: Error | undefined;

  constructor(response: Response) {
    if (response.body === null) throw clientError("BAD_ANSWER", "the answer has no body");
    this.#body = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    this.#parser = createParser({
      onEvent: (event) => this.#events.push(event),
      onError: (error) => {
        if (error.type === "max-buffer-size-exceeded") this.#tooLong = error;
      },
      maxBufferSize: EVENT_MAX,
    });
  }

  /** @returns the next event that has come already */
  tryNext(): ServerEvent | undefined {
    const event = this.#events[this.#next];
    if (event !== undefined) this.#next++;
    return event;
  }

  /** @returns undefined when the body has ended. Rejects when it was cut, is silent, or its request was aborted */
  async next(): Promise<ServerEvent | undefined> {
    for (;;) {
      const event = this.tryNext();
      if (event !== undefined) return event;
      this.#events = [];
      this.#next = 0;
      const piece = await this.#read();
      if (piece === undefined) return undefined;
      this.#parser.feed(this.#decoder.decode(piece, { stream: true }));
      if (this.#tooLong !== undefined) throw clientError("BAD_ANSWER", `an event has more than ${EVENT_MAX} characters`, this.#tooLong);
    }
  }

  async #read(silenceMs = SILENCE_MAX_MS): Promise<Uint8Array | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(clientError("CONNECTION_FAILED", `nothing came for ${silenceMs} ms`)), silenceMs);
    });
    try {
      const { value, done } = await Promise.race([this.#body.read(), silence]);
      return done ? undefined : value;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The last event has come: wait for the end of the body, for a moment, so that the connection can be used again. */
  async finish(): Promise<void> {
    try {
      while ((await this.#read(END_MAX_MS)) !== undefined);
    } catch {
      // then it is not used again
    }
  }

  /** Nobody reads on: the connection is given back, or closed. */
  async leave(): Promise<void> {
    await this.#body.cancel().catch(() => undefined); // it has failed already
  }
}
