/** What is counted in the store's thread. It is asked for now and then, so counting is all that a call pays. */
import { FixedHistogram } from "../core/fixed-histogram.ts";
import type { BucketCounts, StoreCounts } from "../protocol/views.ts";

/** Seconds. A commit that is flushed takes a fraction of a millisecond on a good disk, and many on a bad one. */
const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const CALLS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

/** Commits of a store that gathers calls into groups. */
export class CommitCounts {
  readonly seconds = new FixedHistogram(SECONDS);
  readonly calls = new FixedHistogram(CALLS);

  /** @param calls - that shared it */
  add(seconds: number, calls: number): void {
    this.seconds.add(seconds);
    this.calls.add(calls);
  }
}

/** Calls of a store. */
export class CallCounts {
  readonly #seconds = new FixedHistogram(SECONDS);
  readonly #commits: CommitCounts | undefined;
  #outstanding = 0;
  #failed = 0;

  /** @param commits - undefined: the store does not tell of its commits */
  constructor(commits: CommitCounts | undefined) {
    this.#commits = commits;
  }

  begin(): void {
    this.#outstanding++;
  }

  end(seconds: number, isFailed: boolean): void {
    this.#outstanding--;
    this.#seconds.add(seconds);
    if (isFailed) this.#failed++;
  }

  /** For a call that asks: it does not count itself. */
  counted(): StoreCounts {
    const commits = this.#commits;
    return {
      outstanding: this.#outstanding - 1,
      callSeconds: bucketsOf(this.#seconds),
      failedCalls: this.#failed,
      ...(commits && { commitSeconds: bucketsOf(commits.seconds), commitCalls: bucketsOf(commits.calls) }),
    };
  }
}

const bucketsOf = (histogram: FixedHistogram): BucketCounts => ({ bounds: histogram.bounds, ...histogram.counted() });
