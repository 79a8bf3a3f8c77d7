/**
 * One WebSocket's line to its client: what waits to be sent is bounded, and a peer that is gone is found out.
 *
 *   Y1. Writers of events ask `ready()` first. Answers are few, because what a client may ask at a time is bounded; one that asks on and on and
 *       reads nothing is cut off.
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
  #waiting: ((isOpen: boolean) => void)[] = [];
  #hasAnswered = true;

  constructor(raw: WebSocket, wire: Wire, bufferBytes: number) {
    this.#raw = raw;
    this.#wire = wire;
    this.#bufferBytes = bufferBytes;
    raw.on("pong", () => (this.#hasAnswered = true));
    raw.on("close", () => this.#settle(false));
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
    this.#raw.send(this.#wire.encode(message), () => {
      if (this.#waiting.length > 0 && this.#raw.bufferedAmount < this.#bufferBytes) this.#settle(this.isOpen);
    });
  }

  /** @returns whether events may be written: waits for room. False: the client has gone */
  async ready(): Promise<boolean> {
    if (!this.isOpen || this.#raw.bufferedAmount < this.#bufferBytes) return this.isOpen;
    return new Promise((resolve) => this.#waiting.push(resolve));
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

  #settle(isOpen: boolean): void {
    for (const resolve of this.#waiting.splice(0)) resolve(isOpen);
  }
}
