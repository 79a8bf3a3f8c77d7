/** FrameTransport over a MessagePort. */
import type { MessagePort } from "node:worker_threads";

import type { FrameTransport } from "./transport.ts";

/** How long a polling port keeps its loop awake after activity, in milliseconds. */
const POLL_MS = 1;

export interface PortTransportOptions {
  /** Keep the event loop turning (without sleeping in it) for a moment after activity, so that the next frame is seen sooner. */
  poll?: boolean;
}

/** Takes over the port: no other listener should be on it. The port keeps its loop alive until closed. */
export class PortTransport implements FrameTransport {
  readonly #port: MessagePort;
  readonly #poll: boolean;
  #pollUntil = 0;
  #polling = false;
  #closed = false;

  constructor(port: MessagePort, options: PortTransportOptions = {}) {
    this.#port = port;
    this.#poll = options.poll ?? false;
    port.once("close", () => (this.#closed = true));
  }

  send(frame: Uint8Array): void {
    if (this.#closed) return;
    this.#port.postMessage(frame, [frame.buffer as ArrayBuffer]);
    if (this.#poll) this.#keepAwake();
  }

  share(segment: SharedArrayBuffer): void {
    if (!this.#closed) this.#port.postMessage({ segment });
  }

  onFrame(listener: (frame: Uint8Array) => void): void {
    this.#port.on("message", (message: unknown) => {
      if (!(message instanceof Uint8Array)) return;
      if (this.#poll) this.#keepAwake();
      listener(message);
    });
  }

  onShare(listener: (segment: SharedArrayBuffer) => void): void {
    this.#port.on("message", (message: unknown) => {
      if (message instanceof Uint8Array || typeof message !== "object" || message === null || !("segment" in message)) return;
      if (message.segment instanceof SharedArrayBuffer) listener(message.segment);
    });
  }

  onClose(listener: () => void): void {
    this.#port.once("close", listener);
  }

  close(): void {
    this.#closed = true;
    this.#port.close();
  }

  /** A pending immediate makes the loop poll its ports with a timeout of zero; nothing ever spins synchronously. */
  #keepAwake(): void {
    this.#pollUntil = performance.now() + POLL_MS;
    if (this.#polling) return;
    this.#polling = true;
    const turn = (): void => {
      if (this.#closed || performance.now() > this.#pollUntil) this.#polling = false;
      else setImmediate(turn);
    };
    setImmediate(turn);
  }
}
