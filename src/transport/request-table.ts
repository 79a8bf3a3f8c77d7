/**
 * Requests that wait for a lane's reply.
 *
 *   Q1. Every request settles once: by its reply, by its error, or by the loss of the lane it was sent to.
 */

interface Waiting<Owner> {
  readonly owner: Owner;
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
    const reply = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { owner, resolve, reject })) as Promise<T>;
    return { id, reply };
  }

  resolve(id: number, value: unknown): void {
    this.#take(id)?.resolve(value);
  }

  reject(id: number, error: (owner: Owner) => unknown): void {
    const waiting = this.#take(id);
    waiting?.reject(error(waiting.owner));
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
