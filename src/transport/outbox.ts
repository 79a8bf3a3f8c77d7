/**
 * Records on their way out, sent as few frames: everything that was appended until the microtask checkpoint goes together.
 *
 * Records that nobody is in a hurry for may gather for longer, until the immediates run: every arriving frame is a macrotask with a
 * checkpoint of its own, so two ends that answer frame by frame would cut each other's frames smaller and smaller
 * (docs/decisions/0007-records-that-gather.md).
 *
 *   O1. Records leave in the order they were appended.
 *   O2. An appended record leaves at the next checkpoint at the latest, one that gathers when the next immediates have run, without
 *       anybody flushing.
 *   O3. A record that was appended leaves once, even if its outbox is entered from the end of an agent's stack, where every call fails.
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
  #hasCheckpoint = false;
  #isGathering = false;
  #closed = false;
  readonly #checkpoint = (): void => {
    process.nextTick(this.#atCheckpoint);
  };
  readonly #atCheckpoint = (): void => {
    this.#hasCheckpoint = false;
    this.flush();
  };
  readonly #afterGathering = (): void => {
    this.#isGathering = false;
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

  /**
   * @param bytes - rough size of the record's payload; records with large payloads should say it
   * @param mayGather - it may wait for the immediates
   */
  append(record: R, bytes = 0, mayGather = false): void {
    if (this.#closed) return;
    if (this.#records.length === 0) this.#oldestAt = 0;
    this.#records.push(record);
    this.#bytes += bytes;
    if (this.#records.length >= FRAME_RECORDS_MAX || this.#bytes >= FRAME_BYTES_MAX) this.#tryFlush();
    else if (mayGather) this.#gather();
    else this.#schedule();
  }

  // The flags are set last: an agent at the end of its stack may keep the call before them from being made (O3).

  #schedule(): void {
    if (this.#hasCheckpoint) return;
    // From a microtask, nextTick runs once the microtask queue is empty: the end of the checkpoint (O2).
    queueMicrotask(this.#checkpoint);
    this.#hasCheckpoint = true;
  }

  #gather(): void {
    if (this.#isGathering || this.#hasCheckpoint) return;
    setImmediate(this.#afterGathering);
    this.#isGathering = true;
  }

  /** @returns whether the record is the last of those that wait, so that more can still be put into it */
  isLast(record: R): boolean {
    return this.#records.at(-1) === record;
  }

  /** The last record was given more payload. @param bytes - rough size of it */
  grow(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= FRAME_BYTES_MAX) this.#tryFlush();
  }

  /** As `append` for a record whose payload may be large. */
  appendSized(record: R, mayGather = false): void {
    this.append(record, approximateBytes(record), mayGather);
  }

  /** Flush if the oldest record has been seen waiting for more than `maxMs`. @param nowMs - of any one monotonic clock */
  flushIfOlder(nowMs: number, maxMs: number): void {
    if (this.#records.length === 0) return;
    if (this.#oldestAt === 0) this.#oldestAt = nowMs;
    else if (nowMs - this.#oldestAt > maxMs) this.#tryFlush();
  }

  /** Perhaps from within an agent: what cannot be sent here stays for the checkpoint (O3). */
  #tryFlush(): void {
    if (this.#records.length === 0) return;
    try {
      this.#sendTogether();
    } catch {
      this.#schedule();
    }
  }

  #sendTogether(): void {
    const records = this.#records;
    this.#send(encodeFrame(records), records.length);
    this.#records = [];
    this.#bytes = 0;
  }

  flush(): void {
    const records = this.#records;
    if (records.length === 0) return;
    try {
      this.#sendTogether();
    } catch {
      // One bad record must not take the others of its frame with it.
      this.#records = [];
      this.#bytes = 0;
      this.#sendSingly(records);
    }
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
