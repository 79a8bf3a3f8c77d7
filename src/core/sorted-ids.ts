/**
 * Items in the order of their ids, in runs of at most RUN_MAX: what comes or goes moves the items of its own run only, so neither costs
 * more when there are many, and a page costs what it holds. Ids come nearly sorted (UUIDv7), so adding is mostly appending to the last.
 */
interface Item {
  readonly id: string;
}

const RUN_MAX = 512;

export class SortedIds<T extends Item> {
  /** None is empty; every id of one sorts before those of the next. */
  #runs: T[][] = [];
  #size = 0;

  /** @param items - in any order; those nearly sorted are cheapest */
  static of<T extends Item>(items: Iterable<T>): SortedIds<T> {
    const sorted = new SortedIds<T>();
    for (const item of [...items].sort((a, b) => (a.id < b.id ? -1 : 1))) sorted.add(item);
    return sorted;
  }

  get size(): number {
    return this.#size;
  }

  /** Add an item whose id is not there. */
  add(item: T): void {
    this.#size++;
    if (this.#runs.length === 0) this.#runs.push([]);
    const index = this.#runOf(item.id);
    const run = this.#runs[index] as T[];
    const at = positionIn(run, item.id);
    if (at === RUN_MAX) this.#runs.splice(index + 1, 0, [item]); // ids that come in order leave full runs behind
    else {
      run.splice(at, 0, item);
      if (run.length > RUN_MAX) this.#runs.splice(index + 1, 0, run.splice(RUN_MAX / 2));
    }
  }

  remove(id: string): void {
    const index = this.#runOf(id);
    const run = this.#runs[index];
    if (run === undefined) return;
    const at = positionIn(run, id);
    if (run[at]?.id !== id) return;
    this.#size--;
    run.splice(at, 1);
    if (run.length === 0) this.#runs.splice(index, 1);
  }

  clear(): void {
    this.#runs = [];
    this.#size = 0;
  }

  /** Items in order of id. @param after - only those whose id sorts behind it */
  *iterate(after?: string): Generator<T> {
    let index = after === undefined ? 0 : this.#runOf(after);
    let at = after === undefined ? 0 : positionIn(this.#runs[index] ?? [], after);
    if (after !== undefined && this.#runs[index]?.[at]?.id === after) at++;
    for (; index < this.#runs.length; index++, at = 0) {
      const run = this.#runs[index] as T[];
      for (; at < run.length; at++) yield run[at] as T;
    }
  }

  /** @returns index of the run the id is in, or belongs into: the last one that begins at it or before it */
  #runOf(id: string): number {
    const firstBehind = firstIndex(this.#runs, ([first]) => first !== undefined && first.id > id);
    return Math.max(firstBehind - 1, 0);
  }
}

/** @returns index of the first item whose id is not before `id` */
function positionIn(run: readonly Item[], id: string): number {
  return firstIndex(run, (item) => item.id >= id);
}

/** @returns index of the first of `all` that is one, as all behind it are; their number when none is. Most often that is it: it is looked at first */
function firstIndex<T>(all: readonly T[], isOne: (one: T) => boolean): number {
  const last = all.at(-1);
  if (last === undefined || !isOne(last)) return all.length;
  let low = 0;
  let high = all.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isOne(all[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}
