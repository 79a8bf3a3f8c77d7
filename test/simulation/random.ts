/** Every choice of a simulated run follows from its seed: one stream of numbers, drawn in the order in which things happen. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds begin far apart.
    this.#state = (Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) ^ Math.imul(Math.floor(seed / 0x100000000) + 1, 0x85ebca6b)) | 1;
    for (let i = 0; i < 4; i++) this.#next();
  }

  /** xorshift, 32 bits, never 0. */
  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    // Its low bits are weak.
    return Math.imul(x, 0x2c1b3c6d) >>> 0;
  }

  /** @returns a number in [0, 1) */
  fraction(): number {
    return this.#next() / 0x100000000;
  }

  /** @returns a whole number in [0, limit) */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** @returns a whole number in [from, to] */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}
