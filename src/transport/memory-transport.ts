/** FrameTransport inside one thread, for tests and for a lane without a thread: frames arrive in later macrotasks. */
import type { FrameTransport } from "./transport.ts";

type Item = { frame: Uint8Array } | { segment: SharedArrayBuffer };

class MemoryEnd implements FrameTransport {
  peer!: MemoryEnd;
  #queue: Item[] = [];
  #scheduled = false;
  #closed = false;
  #isPeerGone = false;
  #frameListeners: ((frame: Uint8Array) => void)[] = [];
  #shareListeners: ((segment: SharedArrayBuffer) => void)[] = [];
  #closeListeners: (() => void)[] = [];

  send(frame: Uint8Array): void {
    if (!this.#closed) this.peer.#arrive({ frame: structuredClone(frame, { transfer: [frame.buffer as ArrayBuffer] }) });
  }

  share(segment: SharedArrayBuffer): void {
    if (!this.#closed) this.peer.#arrive({ segment });
  }

  onFrame(listener: (frame: Uint8Array) => void): void {
    this.#frameListeners.push(listener);
    this.#schedule();
  }

  onShare(listener: (segment: SharedArrayBuffer) => void): void {
    this.#shareListeners.push(listener);
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    setImmediate(() => this.#notifyClosed());
    this.peer.#peerClosed();
  }

  #arrive(item: Item): void {
    if (this.#closed) return;
    this.#queue.push(item);
    this.#schedule();
  }

  /** Like a port's: nothing is delivered before somebody listens. */
  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0 || this.#frameListeners.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const item = this.#queue.shift();
    if (item === undefined) return;
    if ("frame" in item) for (const listener of this.#frameListeners) listener(item.frame);
    else for (const listener of this.#shareListeners) listener(item.segment);
    this.#schedule();
    this.#endIfDrained();
  }

  /** The other side is gone: what has arrived is delivered, as soon as somebody listens, then the close. */
  #peerClosed(): void {
    this.#isPeerGone = true;
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (this.#closed || !this.#isPeerGone || this.#queue.length > 0) return;
    this.#closed = true;
    setImmediate(() => this.#notifyClosed());
  }

  #notifyClosed(): void {
    for (const listener of this.#closeListeners.splice(0)) listener();
  }
}

/** @returns the two ends of one pipe */
export function memoryPipe(): [FrameTransport, FrameTransport] {
  const a = new MemoryEnd();
  const b = new MemoryEnd();
  a.peer = b;
  b.peer = a;
  return [a, b];
}
