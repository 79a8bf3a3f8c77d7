/**
 * Keeps a thread's event loop from falling asleep while something is about to arrive: a thread that sleeps takes longer to wake than a
 * whole turn takes (docs/performance.md). Polling is turns of the loop that wait for nothing; nothing ever spins synchronously. One
 * poller a host on main and one a lane, shared by its ports.
 *
 *   Y1. A poller that may not poll, or whose budget is over, lets the loop sleep at its next turn.
 *   Y2. With back-off, a sender whose answers never come in time comes to spend one budget in POLL_SKIP_MAX frames.
 */
export interface PollPolicy {
  /** Milliseconds a poll may last. */
  readonly budgetMs: number;
  /** Only after frames of at most so many records: with more on its way, there is no lone turn to wait for. */
  readonly recordsMax: number;
  /** Poll for an answer to what was sent, until it comes; and rarer when it comes too late. Otherwise: after every frame, for the whole budget. */
  readonly backsOff: boolean;
}

/** `latency: "low"`: both ends of every port, as long as activity lasts. */
export const POLL_LOW: PollPolicy = { budgetMs: 0.25, recordsMax: Infinity, backsOff: false };
/** `latency: "balanced"`: main, for the answer to a lone turn, and only while answers come that fast. */
export const POLL_BALANCED: PollPolicy = { budgetMs: 0.05, recordsMax: 1, backsOff: true };

/** Polls in a row that may find nothing before frames are passed over: twice as many each time, up to a most. */
const MISSES_FREE = 3;
export const POLL_SKIP_MAX = 256;

export class Poller {
  readonly #policy: PollPolicy;
  readonly #mayPoll: () => boolean;
  readonly #turn = (): void => this.#look();
  #isPolling = false;
  #untilMs = 0;
  #isAnswered = false;
  #misses = 0;
  #skip = 0;

  /** @param mayPoll - asked at every turn of the loop */
  constructor(policy: PollPolicy, mayPoll: () => boolean = () => true) {
    this.#policy = policy;
    this.#mayPoll = mayPoll;
  }

  /** A frame of so many records left this thread. */
  sent(records: number): void {
    const { recordsMax, backsOff } = this.#policy;
    if (records > recordsMax) return;
    if (backsOff && this.#skip > 0) this.#skip--;
    else this.#poll();
  }

  /** A frame arrived. */
  received(): void {
    this.#isAnswered = true;
    if (!this.#policy.backsOff) this.#poll();
  }

  #poll(): void {
    this.#isAnswered = false;
    this.#untilMs = performance.now() + this.#policy.budgetMs;
    if (this.#isPolling || !this.#mayPoll()) return;
    this.#isPolling = true;
    setImmediate(this.#turn);
  }

  #look(): void {
    const { backsOff } = this.#policy;
    if (backsOff && this.#isAnswered) {
      this.#isPolling = false;
      this.#misses = 0;
      return;
    }
    if (performance.now() <= this.#untilMs && this.#mayPoll()) {
      setImmediate(this.#turn);
      return;
    }
    this.#isPolling = false;
    if (backsOff && ++this.#misses > MISSES_FREE) this.#skip = Math.min(POLL_SKIP_MAX, 2 ** (this.#misses - MISSES_FREE));
  }
}
