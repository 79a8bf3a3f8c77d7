/**
 * How late the main thread's timers are, looked at only while somebody asks: an idle host is not woken for it.
 *
 *   Z1. The loop is late from the moment a timer of its came LATE_MAX_MS late, until one comes within LATE_LOW_MS.
 *   Z2. What was seen counts for FRESH_MS: nobody is refused for how things stood long ago.
 */

/** Milliseconds between two looks, while somebody asks. */
const LOOK_MS = 5;
export const LATE_MAX_MS = 25;
const LATE_LOW_MS = 10;
const FRESH_MS = 250;

export class LoopProbe {
  readonly #nowMs: () => number;
  #dueMs = 0;
  #seenMs = -Infinity;
  #lateMs = 0;
  #isLate = false;

  /** @param nowMs - a monotonic clock */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Milliseconds the last timer was late. */
  get lateMs(): number {
    return this.#lateMs;
  }

  /** Z1. Asking has the next look taken. */
  get isLate(): boolean {
    if (this.#dueMs === 0) {
      const nowMs = this.#nowMs();
      if (nowMs - this.#seenMs > FRESH_MS) this.#isLate = false;
      this.#dueMs = nowMs + LOOK_MS;
      setTimeout(this.#look, LOOK_MS).unref();
    }
    return this.#isLate;
  }

  readonly #look = (): void => {
    const nowMs = this.#nowMs();
    this.#lateMs = Math.max(0, nowMs - this.#dueMs);
    this.#seenMs = nowMs;
    this.#dueMs = 0;
    if (this.#lateMs > LATE_MAX_MS) this.#isLate = true;
    else if (this.#lateMs < LATE_LOW_MS) this.#isLate = false;
  };
}
