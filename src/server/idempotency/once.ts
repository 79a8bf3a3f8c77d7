/**
 * Requests with an Idempotency-Key: one that is sent again is answered as the first time, and does nothing twice.
 *
 *   O1. While a request runs, others with its key wait for its outcome, and have that. Where callers that leave end it, the last of them
 *       does; one that comes when that has happened waits for its end, and does it again.
 *   O2. A key that comes with another body is IDEMPOTENCY_CONFLICT.
 *   O3. An outcome is remembered for a day: a good one, and a failure that asking again would not change. What may succeed next time
 *       (disposition "retry") is done again.
 *   O4. What a crash cut off is done again under the same note, and by what the library remembers of the key nothing is done twice.
 */
import type { Answers } from "../../host/answers.ts";
import { ANSWER_BYTES_MAX } from "../../protocol/answers.ts";
import { SessionError } from "../../protocol/errors.ts";
import type { Problem } from "../problems.ts";
import { problemOf, ReplayedProblem } from "../problems.ts";
import type { OnceRecord } from "./record.ts";
import { decodeRecord, encodeRecord } from "./record.ts";

/** Milliseconds an outcome is remembered. As long as the library remembers keys of turns. */
const REMEMBERED_MS = 24 * 60 * 60 * 1000;

export interface OnceOrder<T> {
  /** Under what it is remembered. */
  readonly record: string;
  /** Of what was asked. */
  readonly fingerprint: string;
  /** The path that was asked, for problems. */
  readonly instance: string;
  /**
   * Drawn and remembered before it begins, for what cannot be found again by its key alone, such as a session's id. Without one a request is
   * begun without having been written down: the library knows its key.
   */
  readonly drawNote?: () => string;
  /** Aborted when this caller has left, if it is to be ended then: as the fingerprint says, so all callers of one run have one, or none has. */
  readonly signal?: AbortSignal | undefined;
  /** Told ahead of an outcome that is an earlier request's, or that of one that was under way. */
  readonly onReplay?: () => void;
  /** Told behind `onReplay` when it is one that is under way: its outcome may be long in coming. */
  readonly onJoin?: (() => void) | undefined;
  /**
   * @param isAgain - it may have been begun before, under the same note
   * @param signal - aborted when no caller is left
   */
  run(note: string | undefined, isAgain: boolean, signal: AbortSignal | undefined): Promise<T>;
}

interface Running {
  readonly fingerprint: string;
  readonly callers: Callers;
  readonly outcome: Promise<unknown>;
}

/** Who waits for one run. */
class Callers {
  readonly #left = new AbortController();
  #count = 0;

  /** Aborted when all have left, for the reason of the last. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  /** @param signal - undefined: it stays */
  enter(signal: AbortSignal | undefined): void {
    this.#count++;
    const leave = (): void => {
      if (--this.#count === 0) this.#left.abort(signal?.reason);
    };
    if (signal?.aborted === true) leave();
    else signal?.addEventListener("abort", leave, { once: true });
  }
}

export class Once {
  readonly #answers: () => Answers;
  /** By record. Bounded by the requests that are being answered. */
  readonly #running = new Map<string, Running>();

  constructor(answers: () => Answers) {
    this.#answers = answers;
  }

  /** Waits for the outcome. Rejects as `run` does, with ReplayedProblem for a failure that is remembered, or SessionError IDEMPOTENCY_CONFLICT */
  async run<T>(order: OnceOrder<T>): Promise<T> {
    const { record, fingerprint, signal } = order;
    for (let running; (running = this.#running.get(record)) !== undefined;) {
      if (running.fingerprint !== fingerprint) throw conflict();
      if (!running.callers.left.aborted) {
        running.callers.enter(signal);
        order.onReplay?.();
        order.onJoin?.();
        return (await running.outcome) as T;
      }
      await running.outcome.catch(() => {}); // it is being ended, and nobody is left to be told
    }
    const callers = new Callers();
    callers.enter(signal);
    const outcome = this.#first(order, signal && callers.left).finally(() => this.#running.delete(record));
    this.#running.set(record, { fingerprint, callers, outcome });
    return outcome;
  }

  async #first<T>(order: OnceOrder<T>, signal: AbortSignal | undefined): Promise<T> {
    const drawn = order.drawNote?.();
    const known = await this.#known(order, drawn);
    if (known !== undefined) {
      if (known.fingerprint !== order.fingerprint) throw conflict();
      if (known.state !== "begun") order.onReplay?.();
      if (known.state === "ended") return known.value as T;
      if (known.state === "failed") throw new ReplayedProblem(known.problem);
    }
    try {
      const value = await order.run(known?.note ?? drawn, known !== undefined, signal);
      this.#remember(order, { state: "ended", fingerprint: order.fingerprint, value });
      return value;
    } catch (error) {
      const { problem } = problemOf(error, order.instance);
      if (isLasting(problem)) this.#remember(order, { state: "failed", fingerprint: order.fingerprint, problem });
      throw error;
    }
  }

  /** What is remembered of it. With a note, it is written down first that it begins. */
  async #known({ record, fingerprint }: OnceOrder<unknown>, note: string | undefined): Promise<OnceRecord | undefined> {
    const answers = this.#answers();
    const bytes =
      note === undefined
        ? await answers.get(record)
        : await answers.claim(record, encodeRecord({ state: "begun", fingerprint, note }), Date.now() + REMEMBERED_MS);
    return bytes && decodeRecord(bytes);
  }

  /** Not waited for: until it is written down, and if it never is, O4 holds. */
  #remember({ record }: OnceOrder<unknown>, outcome: OnceRecord): void {
    const bytes = encodeRecord(outcome);
    if (bytes.length > ANSWER_BYTES_MAX) return;
    this.#answers()
      .put(record, bytes, Date.now() + REMEMBERED_MS)
      .catch(() => {}); // the store failed, or the host is closing: the answer itself stands
  }
}

/** O3. A mistake of the server's own may be mended by the next time; one whose callers had left was not done. */
function isLasting({ disposition, code, agentError, details }: Problem): boolean {
  const wasLeft = agentError?.kind === "cancelled" && details?.["reason"] === "signal";
  return disposition !== "retry" && code !== "INTERNAL_ERROR" && code !== "HOST_CLOSED" && !wasLeft;
}

function conflict(): SessionError {
  return new SessionError("IDEMPOTENCY_CONFLICT", "the Idempotency-Key is that of an earlier request that asked for something else");
}
