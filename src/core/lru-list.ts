/** Items in the order of their last use. Every operation is O(1); an item is its own node, so using one costs no memory. */
export interface LruNode<T> {
  newer: T | undefined;
  older: T | undefined;
}

export class LruList<T extends LruNode<T>> {
  #oldest: T | undefined;
  #newest: T | undefined;

  /** The item was used: it is the newest now, whether it was in the list or not. */
  touch(item: T): void {
    if (this.#newest === item) return;
    this.remove(item);
    item.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = item;
    else this.#newest.newer = item;
    this.#newest = item;
  }

  /** Take an item out; one that is not in the list is left alone. */
  remove(item: T): void {
    const { newer, older } = item;
    if (newer !== undefined) newer.older = older;
    else if (this.#newest === item) this.#newest = older;
    if (older !== undefined) older.newer = newer;
    else if (this.#oldest === item) this.#oldest = newer;
    item.newer = undefined;
    item.older = undefined;
  }

  /** Oldest first. The item just given may be removed or touched meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let item = this.#oldest; item !== undefined;) {
      const { newer }: T = item;
      yield item;
      item = newer;
    }
  }
}
