/** Random choices that follow from a seed. One generator is seeded anew for every case, so a case is known by (seed, boundary, number). */
export class Random {
  #state = 0;

  constructor(seed = 0) {
    this.seed(seed);
  }

  seed(seed: number): void {
    this.#state = seed >>> 0;
  }

  /** @returns a whole number from 0 to 2^32 - 1 (mulberry32) */
  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** @returns a whole number from 0 to `limit` - 1; 0 for a limit of 0 */
  below(limit: number): number {
    return limit <= 1 ? 0 : this.u32() % limit;
  }

  /** @returns true once in `times` */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at++) bytes[at] = this.u32();
    return bytes;
  }
}

/** @returns the seed of one case */
export function caseSeed(base: number, name: string, index: number): number {
  let hash = (base ^ 0x9e3779b9) >>> 0;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193) >>> 0;
  hash = Math.imul(hash ^ index, 0x85ebca6b) >>> 0;
  return (hash ^ (hash >>> 13)) >>> 0;
}
