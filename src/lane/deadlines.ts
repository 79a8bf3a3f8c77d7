/**
 * Limits how long things of one kind may take, tens of thousands of them at once: no timer each, but a look at the oldest from time to time.
 *
 *   M1. What settles in time is passed on; what does not rejects at the first look after its time, and what comes of it later is given to
 *       whoever cleans up.
 */
interface Waiting {
  readonly dueMs: number;
  readonly onLate: () => void;
}

export class Deadlines {
  readonly #maxMs: number;
  readonly #now: () => number;
  /** In the order in which they are due. */
  readonly #waiting = new Set<Waiting>();

  /** @param maxMs - milliseconds each may take. @param now - milliseconds of any clock that goes on */
  constructor(maxMs: number, now: () => number) {
    this.#maxMs = maxMs;
    this.#now = now;
  }

  /**
   * @param late - what to reject with when the time is over
   * @param cleanUp - gets what comes too late
   */
  limit<T>(work: Promise<T>, late: (maxMs: number) => Error, cleanUp: (value: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { dueMs: this.#now() + this.#maxMs, onLate: () => reject(late(this.#maxMs)) };
      this.#waiting.add(waiting);
      work.then(
        (value) => (this.#waiting.delete(waiting) ? resolve(value) : cleanUp(value)),
        (error: unknown) => {
          this.#waiting.delete(waiting);
          reject(error as Error);
        },
      );
    });
  }

  /** End what is overdue. */
  look(): void {
    const nowMs = this.#now();
    for (const waiting of this.#waiting) {
      if (waiting.dueMs > nowMs) return;
      this.#waiting.delete(waiting);
      waiting.onLate();
    }
  }
}
