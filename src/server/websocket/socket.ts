/**
 * One WebSocket's line to its client: what waits to be sent is bounded, and a peer that is gone is found out.
 *
 *   Y1. Events wait for room, one behind the other, so that what is written grows by one of them at most. Answers are few, because what a client
 *       may ask at a time is bounded; one that asks on and on and reads nothing is cut off.
 *   Y2. A client that answers no ping between two heartbeats is cut off, in whatever way it went.
 */
import type { WebSocket } from "ws";

import type { ServerMessage } from "./messages.ts";
import type { Wire } from "./wire.ts";

/** Times `streamBufferBytes` that may wait for a client before it is cut off. */
const EXCESS = 16;

export class Socket {
  readonly #raw: WebSocket;
  readonly #wire: Wire;
  readonly #bufferBytes: number;
  /** Events that wait for room: each is sent by the call. */
  #waiting: (() => void)[] = [];
  #hasAnswered = true;

  constructor(raw: WebSocket, wire: Wire, bufferBytes: number) {
    this.#raw = raw;
    this.#wire = wire;
    this.#bufferBytes = bufferBytes;
    raw.on("pong", () => (this.#hasAnswered = true));
    raw.on("close", () => this.#settle());
    raw.on("error", () => raw.terminate());
  }

  get isOpen(): boolean {
    return this.#raw.readyState === this.#raw.OPEN;
  }

  send(message: ServerMessage): void {
    if (!this.isOpen) return;
    if (this.#raw.bufferedAmount > this.#bufferBytes * EXCESS) {
      this.#raw.terminate(); // Y1
      return;
    }
    this.#raw.send(this.#wire.encode(message), () => this.#settle());
  }

  /**
   * Send an event when there is room for it, behind those that wait already (Y1).
   *
   * @param message - asked for then; undefined: nobody wants it any more
   * @returns whether the client is still there
   */
  async sendInTurn(message: () => ServerMessage | undefined): Promise<boolean> {
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          const wanted = message();
          if (wanted !== undefined) this.send(wanted);
          resolve();
        } catch (error) {
          reject(error); // not to whoever made room
        }
      });
      this.#settle();
    });
    return this.isOpen;
  }

  /** Once a heartbeat (Y2). */
  beat(): void {
    if (!this.#hasAnswered) this.#raw.terminate();
    else if (this.isOpen) {
      this.#hasAnswered = false;
      this.#raw.ping();
    }
  }

  close(code: number, reason: string): void {
    this.#raw.close(code, reason);
  }

  #settle(): void {
    while (!this.isOpen || this.#raw.bufferedAmount < this.#bufferBytes) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next();
    }
  }
}
