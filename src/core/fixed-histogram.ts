/** Counts of values by fixed buckets: what a histogram of Prometheus is made of, at the cost of a short search a value. */

/** What was counted so far; a copy, and plain data. */
export interface HistogramCounts {
  /** Values at or under each bound and above the one before; the last are those above all bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export class FixedHistogram {
  readonly bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds - upper ends of the buckets, ascending; what is above them all has a bucket of its own */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  add(value: number): void {
    let low = 0;
    let high = this.bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (this.bounds[middle] as number)) high = middle;
      else low = middle + 1;
    }
    this.#counts[low] = (this.#counts[low] as number) + 1;
    this.#sum += value;
  }

  /** A copy. */
  counted(): HistogramCounts {
    return { counts: [...this.#counts], sum: this.#sum };
  }
}
