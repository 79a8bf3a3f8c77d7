/**
 * Server-sent events, written straight to the client's connection.
 *
 *   V1. What waits for a client is bounded: `ready()` says when there is room, and a writer that does not ask first writes one batch too many at most.
 *   V2. A client that takes nothing for the write timeout is cut off; so is one whose connection closes in any way. Both are told by `onClose`, once.
 *   V3. A silent stream says that it is alive, so that proxies keep it and a dead peer is found out.
 */
import type { ServerResponse } from "node:http";

import { HttpError } from "./problems.ts";

/** How often streams are looked at: half-open ones, silent ones. */
const TICK_MS = 1000;
/** Milliseconds a client waits before it comes back. */
const RETRY_MS = 1000;

export interface SseLimits {
  readonly heartbeatMs: number;
  readonly writeTimeoutMs: number;
  readonly streamBufferBytes: number;
  readonly streamsMax: number;
}

/** One event as text. `data` is JSON, which has no line break. */
export function sseEvent(name: string | undefined, data: string, id?: number | string): string {
  return `${name === undefined ? "" : `event: ${name}\n`}${id === undefined ? "" : `id: ${id}\n`}data: ${data}\n\n`;
}

/** All streams of a server: opens them, counts them, ends them together. */
export class SseStreams {
  readonly #limits: SseLimits;
  readonly #open = new Set<SseStream>();
  #ticker: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(limits: SseLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#open.size;
  }

  /** @throws HttpError UNAVAILABLE when there are too many. Nothing is written then */
  assertRoom(): void {
    const { streamsMax } = this.#limits;
    if (this.#open.size >= streamsMax)
      throw new HttpError("UNAVAILABLE", `${streamsMax} streams are open`, { headers: { "retry-after": "5" } });
  }

  /**
   * Answer with a stream.
   *
   * @param headers - of the answer, beside those every stream has
   * @param isFinite - it answers something that ends, and says how: `closeAll` leaves it to that
   */
  open(outgoing: ServerResponse, headers: Iterable<[string, string]>, isFinite = false): SseStream {
    const stream = new SseStream(outgoing, this.#limits, isFinite);
    this.#open.add(stream);
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS).unref();
    stream.onClose(() => this.#closed(stream));
    stream.begin(headers);
    if (this.#isClosed && !isFinite) stream.end();
    return stream;
  }

  #closed(stream: SseStream): void {
    this.#open.delete(stream);
    if (this.#open.size > 0) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const stream of this.#open) stream.tick(nowMs);
  }

  /** End every stream that would go on without end, in good order, and those that are opened from now on; their clients may come again. */
  closeAll(): void {
    this.#isClosed = true;
    for (const stream of this.#open) if (!stream.isFinite) stream.end();
  }
}

export class SseStream {
  readonly isFinite: boolean;
  readonly #outgoing: ServerResponse;
  readonly #limits: SseLimits;
  #listeners: (() => void)[] = [];
  #isClosed = false;
  /** What follows is written to nobody: its client may have much to take before the connection closes. */
  #hasEnded = false;
  #wroteMs = performance.now();
  /** When the connection stopped taking what is written; undefined: it takes it. */
  #stuckMs: number | undefined;
  /** Bytes that waited at the last look. */
  #waitedBytes = 0;
  #waiting: ((isOpen: boolean) => void) | undefined;

  constructor(outgoing: ServerResponse, limits: SseLimits, isFinite: boolean) {
    this.isFinite = isFinite;
    this.#outgoing = outgoing;
    this.#limits = limits;
    const onGone = (): void => this.#close();
    outgoing
      .once("close", onGone)
      .on("error", onGone)
      .on("drain", () => this.#drained());
    if (outgoing.destroyed || outgoing.closed) this.#close();
  }

  /** Whether anything may be written. */
  get isOpen(): boolean {
    return !this.#isClosed && !this.#hasEnded;
  }

  begin(headers: Iterable<[string, string]>): void {
    if (this.#isClosed) return;
    const outgoing = this.#outgoing;
    outgoing.socket?.setNoDelay(true);
    outgoing.socket?.setKeepAlive(true, this.#limits.heartbeatMs);
    for (const [name, value] of headers) outgoing.setHeader(name, value);
    outgoing.setHeader("content-type", "text/event-stream; charset=utf-8");
    outgoing.setHeader("cache-control", "no-store");
    outgoing.setHeader("x-accel-buffering", "no");
    outgoing.writeHead(200);
    outgoing.write(`retry: ${RETRY_MS}\n\n`);
  }

  /** Called once, when nothing can be written any more; at once when that is so already. */
  onClose(listener: () => void): void {
    if (this.#isClosed) listener();
    else this.#listeners.push(listener);
  }

  /** Write, whether or not there is room (V1). Nothing happens when the client has gone, or the stream has ended. */
  send(text: string): void {
    if (!this.isOpen) return;
    this.#wroteMs = performance.now();
    if (!this.#outgoing.write(text)) this.#stuckMs ??= this.#wroteMs;
  }

  /**
   * @returns whether more may be written: waits for room, at most for the write timeout. False: the client has gone, or the stream has ended.
   *   One caller at a time
   */
  async ready(): Promise<boolean> {
    if (!this.isOpen) return false;
    const { writableLength, writableNeedDrain } = this.#outgoing;
    if (writableLength < this.#limits.streamBufferBytes || !writableNeedDrain) return true; // else no drain would come
    return new Promise((resolve) => (this.#waiting = resolve));
  }

  /** V2, V3. */
  tick(nowMs: number): void {
    if (this.#stuckMs !== undefined) {
      const waitingBytes = this.#outgoing.writableLength;
      if (waitingBytes < this.#waitedBytes) this.#stuckMs = nowMs;
      this.#waitedBytes = waitingBytes;
      if (nowMs - this.#stuckMs >= this.#limits.writeTimeoutMs) this.#outgoing.destroy();
    } else if (nowMs - this.#wroteMs >= this.#limits.heartbeatMs) this.send(": hb\n\n");
  }

  /** The end, behind everything that was written. */
  end(last?: string): void {
    if (!this.isOpen) return;
    if (last !== undefined) this.send(last);
    this.#hasEnded = true;
    this.#stuckMs ??= performance.now(); // V2 holds until the connection has closed
    this.#outgoing.end();
    this.#settle(false);
  }

  #drained(): void {
    this.#stuckMs = undefined;
    this.#waitedBytes = 0;
    this.#settle(true);
  }

  #settle(isOpen: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(isOpen);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#settle(false);
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}
