/** What may go wrong in a run, how likely, and whether it does so now. */
import type { Random } from "./random.ts";

export interface StoreFaults {
  /** Probabilities, each call. */
  errorBefore: number;
  errorAfter: number;
  stall: number;
  /** A call takes its time, before and after its effect. */
  slow: number;
}

export class Faults {
  readonly store: StoreFaults = { errorBefore: 0, errorAfter: 0, stall: 0, slow: 0 };
  /** Probability that a lane which starts does not load its agents. */
  loadFails = 0;
  /** Probability that an agent is not built. */
  buildFails = 0;
  /** Probability that building an agent does not end. */
  buildHangs = 0;
  /** Tickets of turns whose write took effect and was answered with an error. */
  readonly doubtful = new Set<number>();
  isOver = false;
  readonly #seen: Map<string, number>;

  constructor(seen: Map<string, number>) {
    this.#seen = seen;
  }

  /** One more of a class of things that happened. */
  saw(what: string): void {
    this.#seen.set(what, (this.#seen.get(what) ?? 0) + 1);
  }

  happens(random: Random, probability: number): boolean {
    return probability > 0 && random.chance(probability);
  }

  /** From now on nothing goes wrong. */
  stop(): void {
    this.isOver = true;
    Object.assign(this.store, { errorBefore: 0, errorAfter: 0, stall: 0, slow: 0 });
    this.loadFails = 0;
    this.buildFails = 0;
    this.buildHangs = 0;
  }
}
