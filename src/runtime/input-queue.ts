/**
 * The inputs of one runtime, in the order in which they were accepted, and what all runtimes of an adapter may hold together.
 *
 *   I1. An input leaves the queue once, and settles then.
 *   I2. Whoever awaits an outcome or not: it is never an unhandled rejection.
 */
import { SessionError } from "../protocol/errors.ts";
import type { InputId, SessionId } from "../protocol/ids.ts";
import type { CoreApplyOutput } from "../protocol/runtime.ts";
import type { AcceptedInput } from "../protocol/stored-runtime.ts";

const MIB = 1024 * 1024;
export const INPUTS_MAX = 1024;
export const INPUT_BYTES_MAX = 16 * MIB;
export const ALL_INPUTS_MAX = 65_536;
export const ALL_INPUT_BYTES_MAX = 256 * MIB;
const RETRY_AFTER_MS = 100;

/** Counted over all runtimes of an adapter. */
export class InputTotals {
  count = 0;
  bytes = 0;
}

export class QueuedInput {
  readonly input: AcceptedInput;
  readonly bytes: number;
  readonly outcome: Promise<CoreApplyOutput>;
  /** Resolves when it is in the store: it does not run before. Rejects when it cannot be. */
  accepted: Promise<void> | undefined;
  /** How often the host had no room for it. */
  refusals = 0;
  resolve!: (output: CoreApplyOutput) => void;
  reject!: (error: unknown) => void;

  constructor(input: AcceptedInput) {
    this.input = input;
    const { prompt, ...rest } = input.request;
    this.bytes = Buffer.byteLength(prompt) + JSON.stringify(rest).length;
    this.outcome = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.outcome.catch(() => {}); // I2
  }
}

export class InputQueue {
  readonly #id: SessionId;
  readonly #totals: InputTotals;
  #queued: QueuedInput[] = [];
  #bytes = 0;

  constructor(id: SessionId, totals: InputTotals) {
    this.#id = id;
    this.#totals = totals;
  }

  get length(): number {
    return this.#queued.length;
  }

  get head(): QueuedInput | undefined {
    return this.#queued[0];
  }

  find(inputId: InputId): QueuedInput | undefined {
    return this.#queued.find(({ input }) => input.inputId === inputId);
  }

  /** @returns how many are ahead of it */
  positionOf(queued: QueuedInput): number {
    return this.#queued.indexOf(queued);
  }

  /** @param isBounded - not for what was accepted in another life of the process. @throws SessionError HOST_OVERLOADED */
  add(input: AcceptedInput, isBounded = true): QueuedInput {
    const queued = new QueuedInput(input);
    if (isBounded) this.#assertRoom(queued.bytes);
    this.#queued.push(queued);
    this.#bytes += queued.bytes;
    this.#totals.count++;
    this.#totals.bytes += queued.bytes;
    return queued;
  }

  /** Take one out, wherever it stands. @returns whether it was there (I1) */
  take(queued: QueuedInput): boolean {
    const at = this.#queued.indexOf(queued);
    if (at < 0) return false;
    this.#queued.splice(at, 1);
    this.#bytes -= queued.bytes;
    this.#totals.count--;
    this.#totals.bytes -= queued.bytes;
    return true;
  }

  /** Take out all, but for the one that runs. @returns them */
  takeAll(except: QueuedInput | undefined): QueuedInput[] {
    const taken = this.#queued.filter((queued) => queued !== except);
    for (const queued of taken) this.take(queued);
    return taken;
  }

  /** An input that is alone is never too large: what a prompt may have is checked elsewhere. */
  #assertRoom(bytes: number): void {
    const { count, bytes: allBytes } = this.#totals;
    if (this.length >= INPUTS_MAX) throw this.#full("inputs", `${INPUTS_MAX} inputs of the session wait`, INPUTS_MAX);
    if (this.length > 0 && this.#bytes + bytes > INPUT_BYTES_MAX)
      throw this.#full("input_bytes", `the session's inputs that wait would have more than ${INPUT_BYTES_MAX} bytes`, INPUT_BYTES_MAX);
    if (count >= ALL_INPUTS_MAX) throw this.#full("all_inputs", `${ALL_INPUTS_MAX} inputs of all sessions wait`, ALL_INPUTS_MAX);
    if (count > 0 && allBytes + bytes > ALL_INPUT_BYTES_MAX)
      throw this.#full("all_input_bytes", `all inputs that wait would have more than ${ALL_INPUT_BYTES_MAX} bytes`, ALL_INPUT_BYTES_MAX);
  }

  #full(reason: string, message: string, limit: number): SessionError {
    return new SessionError("HOST_OVERLOADED", message, { sessionId: this.#id, details: { reason, limit, retryAfterMs: RETRY_AFTER_MS } });
  }
}
