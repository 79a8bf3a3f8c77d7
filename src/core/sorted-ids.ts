/**
 * Items in the order of their ids. Ids come nearly sorted (UUIDv7), so adding is mostly appending; removing leaves a hole that is
 * closed when holes are as many as items, so both cost O(log n) and a page costs what it holds.
 */
interface Item {
  readonly id: string;
}

/** Holes are not worth closing below this many. */
const HOLES_MIN = 64;

export class SortedIds<T extends Item> {
  #ids: string[] = [];
  #items: (T | undefined)[] = [];
  #holes = 0;

  get size(): number {
    return this.#ids.length - this.#holes;
  }

  /** Add an item whose id is not there. */
  add(item: T): void {
    const last = this.#ids.length - 1;
    if (last < 0 || (this.#ids[last] as string) < item.id) {
      this.#ids.push(item.id);
      this.#items.push(item);
      return;
    }
    const at = this.#lowerBound(item.id);
    if (this.#ids[at] === item.id) {
      this.#items[at] = item;
      this.#holes--;
      return;
    }
    this.#ids.splice(at, 0, item.id);
    this.#items.splice(at, 0, item);
  }

  remove(id: string): void {
    const at = this.#lowerBound(id);
    if (this.#ids[at] !== id || this.#items[at] === undefined) return;
    this.#items[at] = undefined;
    if (++this.#holes >= HOLES_MIN && this.#holes * 2 > this.#ids.length) this.#close();
  }

  clear(): void {
    this.#ids = [];
    this.#items = [];
    this.#holes = 0;
  }

  /** Items in order of id. @param after - only those whose id sorts behind it */
  *iterate(after?: string): Generator<T> {
    let at = after === undefined ? 0 : this.#lowerBound(after);
    if (this.#ids[at] === after && after !== undefined) at++;
    for (; at < this.#items.length; at++) {
      const item = this.#items[at];
      if (item !== undefined) yield item;
    }
  }

  /** @returns index of the first id that is not before `id` */
  #lowerBound(id: string): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ids[middle] as string) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #close(): void {
    this.#items = this.#items.filter((item) => item !== undefined);
    this.#ids = this.#items.map((item) => (item as T).id);
    this.#holes = 0;
  }
}
