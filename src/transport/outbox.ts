/**
 * Records on their way out, sent as few frames: everything that was appended in one turn of the event loop goes together.
 *
 * Not at the microtask checkpoint: every arriving frame is a macrotask of its own, so two ends that answer frame by frame would cut
 * each other's frames smaller and smaller (docs/decisions/0007-flush-once-a-loop.md).
 *
 *   O1. Records leave in the order they were appended.
 *   O2. An appended record leaves in the same turn of the loop, without anybody flushing.
 */
import { FRAME_RECORDS_MAX } from "../protocol/frames.ts";
import { approximateBytes } from "../protocol/json.ts";
import { encodeFrame } from "./codec.ts";

/** A frame that has gathered this many bytes of payload leaves at once. */
const FRAME_BYTES_MAX = 256 * 1024;

export class Outbox<R extends readonly unknown[]> {
  readonly #send: (frame: Uint8Array, records: number) => void;
  readonly #onUnsendable: (record: R, error: unknown) => R | undefined;
  #records: R[] = [];
  #bytes = 0;
  #oldestAt = 0;
  #scheduled = false;
  #closed = false;
  readonly #scheduledFlush = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /**
   * @param send - takes a finished frame
   * @param onUnsendable - a record that cannot be encoded: @returns what to send in its place, if anything
   */
  constructor(send: (frame: Uint8Array, records: number) => void, onUnsendable: (record: R, error: unknown) => R | undefined) {
    this.#send = send;
    this.#onUnsendable = onUnsendable;
  }

  /** Records waiting. */
  get size(): number {
    return this.#records.length;
  }

  /** @param bytes - rough size of the record's payload; records with large payloads should say it */
  append(record: R, bytes = 0): void {
    if (this.#closed) return;
    if (this.#records.length === 0) this.#oldestAt = 0;
    this.#records.push(record);
    this.#bytes += bytes;
    if (this.#records.length >= FRAME_RECORDS_MAX || this.#bytes >= FRAME_BYTES_MAX) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#scheduledFlush);
    }
  }

  /** @returns whether the record is the last of those that wait, so that more can still be put into it */
  isLast(record: R): boolean {
    return this.#records.at(-1) === record;
  }

  /** The last record was given more payload. @param bytes - rough size of it */
  grow(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= FRAME_BYTES_MAX) this.flush();
  }

  /** As `append` for a record whose payload may be large. */
  appendSized(record: R): void {
    this.append(record, approximateBytes(record));
  }

  /** Flush if the oldest record has been seen waiting for more than `maxMs`. @param nowMs - of any one monotonic clock */
  flushIfOlder(nowMs: number, maxMs: number): void {
    if (this.#records.length === 0) return;
    if (this.#oldestAt === 0) this.#oldestAt = nowMs;
    else if (nowMs - this.#oldestAt > maxMs) this.flush();
  }

  /** Flush when the callers that wait for what was just read have had their say: behind all microtasks. */
  flushAtCheckpoint(): void {
    // From a microtask, nextTick runs once the microtask queue is empty.
    queueMicrotask(() => process.nextTick(() => this.flush()));
  }

  flush(): void {
    const records = this.#records;
    if (records.length === 0) return;
    this.#records = [];
    this.#bytes = 0;
    let frame: Uint8Array;
    try {
      frame = encodeFrame(records);
    } catch {
      // One bad record must not take the others of its frame with it.
      this.#sendSingly(records);
      return;
    }
    this.#send(frame, records.length);
  }

  /** Send what waits and take nothing more. */
  close(): void {
    this.flush();
    this.#closed = true;
  }

  /** @throws what `onUnsendable` threw first, when every record that can be sent has been */
  #sendSingly(records: readonly R[]): void {
    const failures: unknown[] = [];
    for (const record of records) {
      try {
        this.#sendOne(record);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  #sendOne(record: R): void {
    let frame: Uint8Array;
    try {
      frame = encodeFrame([record]);
    } catch (error) {
      const instead = this.#onUnsendable(record, error);
      if (instead === undefined) return;
      frame = encodeFrame([instead]);
    }
    this.#send(frame, 1);
  }
}
