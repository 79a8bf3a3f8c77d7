/** One subscription of a WebSocket: copies a session's events to the client, as fast as the client takes them. */
import type { EventReader } from "../event-feeds.ts";
import { problemOf } from "../problems.ts";
import type { Socket } from "./socket.ts";

/** Where problems of a connection say that they happened. */
export const PLACE = "/v1/ws";

export class Follower {
  readonly #sessionId: string;
  readonly #reader: EventReader;
  readonly #socket: Socket;
  /** Number of the last event that was sent, or that the client has seen already. */
  #sent: number;
  #waiting: { seq: number; resolve: () => void }[] = [];
  #hasLeft = false;

  /** @param seen - the reader gives larger numbers only */
  constructor(sessionId: string, reader: EventReader, socket: Socket, seen: number) {
    this.#sessionId = sessionId;
    this.#reader = reader;
    this.#socket = socket;
    this.#sent = seen;
  }

  /** Copy until the session, the client, or `leave` ends it; the client is told unless it left itself. Never rejects. */
  async run(): Promise<void> {
    let problem;
    try {
      for (let step; (step = await this.#reader.next()).done !== true;) {
        const envelope = step.value;
        const event = { type: "event", sessionId: this.#sessionId, envelope } as const;
        if (!(await this.#socket.sendInTurn(() => (this.#hasLeft ? undefined : event)))) break;
        if (envelope.seq !== 0) this.#reached(envelope.seq); // a gap is no event
      }
    } catch (error) {
      ({ problem } = problemOf(error, PLACE));
    }
    this.#reached(Number.POSITIVE_INFINITY);
    if (this.#hasLeft) return;
    this.#socket.send({ type: "end", sessionId: this.#sessionId, ...(problem && { problem }) });
    await this.leave();
  }

  /** Waits until an event has been sent, or no more will be. */
  async upTo(seq: number): Promise<void> {
    if (seq <= this.#sent) return;
    await new Promise<void>((resolve) => this.#waiting.push({ seq, resolve }));
  }

  async leave(): Promise<void> {
    this.#hasLeft = true;
    this.#reached(Number.POSITIVE_INFINITY);
    await this.#reader.return?.();
  }

  #reached(seq: number): void {
    this.#sent = seq;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = waiting.filter((one) => one.seq > seq);
    for (const { seq: wanted, resolve } of waiting) if (wanted <= seq) resolve();
  }
}
