/**
 * Capacity: how many sessions may be live or being built at once.
 *
 *   C1. Taken before anything is built, given back exactly once: `held` never exceeds `max` and returns to zero.
 */
export class Capacity {
  readonly max: number;
  #held = 0;

  constructor(max: number) {
    this.max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** @returns a permit to be released once, or undefined when all are out. Never waits. */
  tryTake(): Permit | undefined {
    if (this.#held >= this.max) return undefined;
    this.#held++;
    return new Permit(() => this.#held--);
  }
}

/** The right to one live session. Releasing it twice is releasing it once. */
export class Permit {
  /** @returns one that holds nothing: its session's place is held by another */
  static none(): Permit {
    return new Permit(() => {});
  }

  #release: (() => void) | undefined;

  constructor(release: () => void) {
    this.#release = release;
  }

  release(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}
