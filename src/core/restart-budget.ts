/**
 * When a lane that was lost starts again: at once the first time, after twice as long each further time, and within any window at most so
 * often. The clock is the caller's.
 *
 *   B1. Within any `windowMs` there are at most `max` restarts.
 *   B2. The n-th restart of a window waits FIRST_BACK_OFF_MS × 2^(n-2), at most BACK_OFF_MAX_MS; the first does not wait.
 */

/** Milliseconds. */
const FIRST_BACK_OFF_MS = 100;
const BACK_OFF_MAX_MS = 5000;

export interface Restart {
  /** Milliseconds from now; Infinity: never. */
  readonly delayMs: number;
  /** The window is full: the restart waits until it is not (B1). */
  readonly isOverBudget: boolean;
}

export class RestartBudget {
  readonly #max: number;
  readonly #windowMs: number;
  /** When the restarts of this window were, or will be, oldest first. */
  #restarts: number[] = [];

  constructor(max: number, windowMs: number) {
    this.#max = max;
    this.#windowMs = windowMs;
  }

  /** The lane was lost: use up one restart. @param nowMs - any clock's milliseconds */
  next(nowMs: number): Restart {
    this.#restarts = this.#restarts.filter((at) => nowMs - at < this.#windowMs);
    if (this.#max === 0) return { delayMs: Infinity, isOverBudget: true };
    const recent = this.#restarts.length;
    const backOffMs = recent === 0 ? 0 : Math.min(FIRST_BACK_OFF_MS * 2 ** (recent - 1), BACK_OFF_MAX_MS);
    const blocking = this.#restarts.at(-this.#max);
    const untilFreeMs = blocking === undefined ? 0 : blocking + this.#windowMs - nowMs;
    const delayMs = Math.max(backOffMs, untilFreeMs);
    this.#restarts.push(nowMs + delayMs);
    return { delayMs, isOverBudget: untilFreeMs > backOffMs };
  }
}
