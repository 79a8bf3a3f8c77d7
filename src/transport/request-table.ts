/**
 * Requests that wait for a lane's reply.
 *
 *   Q1. Every request settles once: by its reply, by its error, or by the loss of the lane it was sent to.
 *   Q2. What an owner's end costs depends on what it owes, not on what others do.
 */

interface Waiting<Owner> {
  readonly id: number;
  readonly owner: Owner;
  readonly reply: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class RequestTable<Owner> {
  readonly #waiting = new Map<number, Waiting<Owner>>();
  readonly #owed = new Map<Owner, Set<Waiting<Owner>>>();
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
    const waiting: Waiting<Owner> = { id, owner, reply, resolve, reject };
    this.#waiting.set(id, waiting);
    const owed = this.#owed.get(owner);
    if (owed === undefined) this.#owed.set(owner, new Set([waiting]));
    else owed.add(waiting);
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
    for (const { id } of this.#owed.get(owner) ?? []) this.#take(id)?.reject(error(owner));
  }

  #take(id: number): Waiting<Owner> | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(id);
    const owed = this.#owed.get(waiting.owner);
    owed?.delete(waiting);
    if (owed?.size === 0) this.#owed.delete(waiting.owner);
    return waiting;
  }
}
