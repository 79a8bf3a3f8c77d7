/**
 * Requests that wait for a lane's reply.
 *
 *   Q1. Every request settles once: by its reply, by its error, or by the loss of the lane it was sent to.
 */

interface Waiting<Owner> {
  readonly owner: Owner;
  readonly reply: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class RequestTable<Owner> {
  readonly #waiting = new Map<number, Waiting<Owner>>();
  #last = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * @param owner - whose loss ends the request
   * @returns the request's number, to be sent along, and what settles with the reply
   */
  open<T>(owner: Owner): { id: number; reply: Promise<T> } {
    const id = ++this.#last;
    let resolve!: (value: unknown) => void;
    let reject!: (error: unknown) => void;
    const reply = new Promise<unknown>((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    this.#waiting.set(id, { owner, reply, resolve, reject });
    return { id, reply: reply as Promise<T> };
  }

  resolve(id: number, value: unknown): void {
    this.#take(id)?.resolve(value);
  }

  reject(id: number, error: (owner: Owner) => unknown): void {
    const waiting = this.#take(id);
    waiting?.reject(error(waiting.owner));
  }

  /** Resolves when every request that waits now has settled. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#waiting.values()].map(({ reply }) => reply));
  }

  /** The owner is gone: everything it owed is rejected. */
  rejectAll(owner: Owner, error: (owner: Owner) => unknown): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.owner !== owner) continue;
      this.#waiting.delete(id);
      waiting.reject(error(owner));
    }
  }

  #take(id: number): Waiting<Owner> | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}
