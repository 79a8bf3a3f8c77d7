/**
 * A thread's end of its port to the store thread: calls go out in batches, each settles once.
 *
 *   Y1. Every call settles: with its answer, when the store thread is gone ("closed"), or after STALL_MS without an answer ("stalled").
 *       A copy of the whole store may take longer: it settles by the first two only.
 *   Y2. A frame that cannot be read is dropped; whoever waits for what was in it waits as for one that never came.
 */
import { STORE_REPORTS } from "../protocol/store-calls.ts";
import type { StoreCalls, StoreCommand, StoreMethod, StoreReport, WireStoreError } from "../protocol/store-calls.ts";
import { STORE_COMMANDS } from "../protocol/store-calls.ts";
import { isRecord, isText } from "../protocol/shapes.ts";
import { StoreError, isStoreReason } from "../protocol/store-error.ts";
import { frameReader } from "./codec.ts";
import { Outbox } from "./outbox.ts";
import type { PortTrace } from "./trace.ts";
import type { FrameTransport } from "./transport.ts";

/** Milliseconds without an answer after which the store is taken for stalled (design: 30 s). */
const STALL_MS = 30_000;
/**
 * Milliseconds between two looks at the oldest call. Time is counted in looks: while this thread stood still none was taken, and what the
 * store has answered may be waiting to be read.
 */
const LOOK_MS = 1000;

const UNTIMED: ReadonlySet<StoreMethod> = new Set(["backup"]);

interface Call {
  readonly method: StoreMethod;
  /** How many looks had been taken when it was made. */
  readonly madeAt: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
}

/** Most of what comes as bytes is decoded at once; whoever keeps some copies them (openSession). */
const readReports = frameReader<StoreReport>(STORE_REPORTS, "views");

export class StoreClient {
  readonly #outbox: Outbox<StoreCommand>;
  readonly #transport: FrameTransport;
  readonly #stallMs: number;
  readonly #calls = new Map<number, Call>();
  #last = 0;
  #watch: NodeJS.Timeout | undefined;
  #looks = 0;
  #isClosed = false;

  /** @param stallMs - milliseconds a call may take; up to LOOK_MS more. @param trace - of main's port */
  constructor(transport: FrameTransport, stallMs: number = STALL_MS, trace?: PortTrace) {
    this.#transport = transport;
    this.#stallMs = stallMs;
    this.#outbox = new Outbox<StoreCommand>(
      (frame, records) => {
        trace?.sent(frame);
        transport.send(frame, records);
      },
      (command, error) => {
        this.#take(command[1])?.reject(
          new StoreError("invalid", `${command[2]}: what was to be stored cannot be encoded: ${String(error)}`, { call: command[2] }),
        );
        return undefined;
      },
    );
    transport.onFrame((frame) => {
      trace?.received(frame);
      this.#onFrame(frame);
    });
    transport.onClose(() => this.#onClose());
  }

  /** Calls without an answer yet. */
  get waiting(): number {
    return this.#calls.size;
  }

  /** @returns what the store answers; rejects with StoreError only. Calls of one client take effect in their order */
  call<M extends StoreMethod>(method: M, ...args: Parameters<StoreCalls[M]>): Promise<ReturnType<StoreCalls[M]>> {
    if (this.#isClosed) return Promise.reject(storeGone(method));
    const request = ++this.#last;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#calls.set(request, { method, madeAt: this.#looks, resolve, reject });
    });
    this.#outbox.appendSized([STORE_COMMANDS.CALL.op, request, method, args]);
    this.#watch ??= setInterval(() => this.#look(), LOOK_MS).unref();
    return answer as Promise<ReturnType<StoreCalls[M]>>;
  }

  /** Send what waits and let go of the port; what is still owed rejects. */
  close(): void {
    this.#outbox.close();
    this.#transport.close();
    this.#onClose();
  }

  #onFrame(frame: Uint8Array): void {
    for (const report of reportsOf(frame)) {
      const call = this.#take(report[1]);
      if (call === undefined) continue; // it stalled, and was given up
      if (report[0] === STORE_REPORTS.REPLY.op) call.resolve(report[2]);
      else call.reject(errorOf(report[2]));
    }
  }

  #take(request: number): Call | undefined {
    const call = this.#calls.get(request);
    this.#calls.delete(request);
    if (this.#calls.size === 0) this.#sleep();
    return call;
  }

  #sleep(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #look(): void {
    this.#looks++;
    for (const [request, { method, madeAt }] of this.#calls) {
      if ((this.#looks - madeAt) * LOOK_MS <= this.#stallMs) return; // calls stand in the order they were made
      if (UNTIMED.has(method)) continue;
      this.#take(request)?.reject(
        new StoreError("stalled", `the store did not answer ${method} for ${this.#stallMs} ms`, { call: method, stallMs: this.#stallMs }),
      );
    }
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sleep();
    const owed = [...this.#calls.values()];
    this.#calls.clear();
    for (const { method, reject } of owed) reject(storeGone(method));
  }
}

/** Y2 */
function reportsOf(frame: Uint8Array): StoreReport[] {
  try {
    return readReports(frame);
  } catch {
    return [];
  }
}

/** Whatever it says, the call rejects with a StoreError. */
function errorOf(wire: unknown): StoreError {
  const { reason, message, details } = isRecord(wire) ? wire : {};
  const told = isText(message) ? message : "the store failed and did not say how";
  return new StoreError(isStoreReason(reason) ? reason : "io", told, isRecord(details) ? (details as WireStoreError["details"]) : {});
}

function storeGone(method: StoreMethod): StoreError {
  return new StoreError("closed", `${method}: the store is closed, or its thread has ended`, { call: method });
}
