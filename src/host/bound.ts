/**
 * Counts callers that wait for the same kind of thing, and refuses one more than the bound.
 *
 *   B1. Who was let in is counted until what he waits for has settled, however it settles.
 */
import { overloaded } from "./overloaded.ts";

export class Bound {
  readonly #reason: string;
  readonly #what: string;
  readonly #max: number;
  #waiting = 0;

  /** @param reason - in the details of the refusal; @param what - who waits, in its message */
  constructor(reason: string, what: string, max: number) {
    this.#reason = reason;
    this.#what = what;
    this.#max = max;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** @returns what `work` gives. Rejects with SessionError HOST_OVERLOADED, without asking for it, when too many wait */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#max) throw overloaded(this.#reason, `${this.#max} ${this.#what} are waiting`, this.#max);
    this.#waiting++;
    try {
      return await work();
    } finally {
      this.#waiting--;
    }
  }
}
