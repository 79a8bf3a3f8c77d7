/** FrameTransport over a MessagePort. */
import type { MessagePort } from "node:worker_threads";

import type { Intake, Sink } from "./intake.ts";
import type { Poller } from "./poller.ts";
import type { FrameTransport } from "./transport.ts";

/** Takes over the port: no other listener should be on it. The port keeps its loop alive until closed. */
export class PortTransport implements FrameTransport {
  readonly #port: MessagePort;
  readonly #poller: Poller | undefined;
  readonly #take: (sink: Sink, item: unknown) => void;
  #closed = false;

  /**
   * @param poller - of this thread, told of every frame
   * @param intake - of this thread: what arrives is taken through it; undefined: at once
   */
  constructor(port: MessagePort, poller?: Poller, intake?: Intake) {
    this.#port = port;
    this.#poller = poller;
    this.#take = intake === undefined ? (sink, item) => sink(item) : (sink, item) => intake.take(sink, item);
    port.once("close", () => (this.#closed = true));
  }

  send(frame: Uint8Array, records = 1): void {
    if (this.#closed) return;
    this.#poller?.sent(records);
    // Last: what throws before it has not been sent.
    this.#port.postMessage(frame, [frame.buffer as ArrayBuffer]);
  }

  share(segment: SharedArrayBuffer): void {
    if (!this.#closed) this.#port.postMessage({ segment });
  }

  onFrame(listener: (frame: Uint8Array) => void): void {
    const sink = listener as Sink;
    this.#port.on("message", (message: unknown) => {
      if (!(message instanceof Uint8Array)) return;
      this.#poller?.received();
      this.#take(sink, message);
    });
  }

  onShare(listener: (segment: SharedArrayBuffer) => void): void {
    const sink = listener as Sink;
    this.#port.on("message", (message: unknown) => {
      if (message instanceof Uint8Array || typeof message !== "object" || message === null || !("segment" in message)) return;
      if (message.segment instanceof SharedArrayBuffer) this.#take(sink, message.segment);
    });
  }

  onClose(listener: () => void): void {
    this.#port.once("close", () => this.#take(listener, undefined));
  }

  close(): void {
    this.#closed = true;
    this.#port.close();
  }
}
