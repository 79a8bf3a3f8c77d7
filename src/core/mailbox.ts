/** A first-in first-out queue with a bound. Small: an idle one holds no memory but this object. */

/** Commands a session may have waiting in its lane. */
export const MAILBOX_MAX = 8;

export class Mailbox<T> {
  readonly limit: number;
  #items: T[] | undefined;
  #head = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.#items === undefined ? 0 : this.#items.length - this.#head;
  }

  /** @returns false when full: nothing was added */
  push(item: T): boolean {
    if (this.size >= this.limit) return false;
    (this.#items ??= []).push(item);
    return true;
  }

  shift(): T | undefined {
    const items = this.#items;
    if (items === undefined) return undefined;
    const item = items[this.#head] as T;
    items[this.#head++] = undefined as T;
    if (this.#head === items.length) {
      this.#items = undefined;
      this.#head = 0;
    } else if (this.#head >= 1024) {
      items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Oldest first; they stay. */
  *[Symbol.iterator](): Generator<T> {
    const items = this.#items;
    for (let at = this.#head; items !== undefined && at < items.length; at++) yield items[at] as T;
  }

  /** Take everything out. */
  drain(): T[] {
    const items = this.#items?.slice(this.#head) ?? [];
    this.#items = undefined;
    this.#head = 0;
    return items;
  }
}
