/**
 * A rate with a burst: a bucket that holds `burst` tokens and is filled at `perSecond`.
 *
 *   B1. In any span of t seconds at most burst + perSecond · t tokens are taken.
 *   B2. No timer: it is filled when it is looked at. A clock that goes back fills nothing and takes nothing away.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;

  /** Full at first. @param nowMs - of a clock that every later call reads too */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** @returns 0 when a token was taken, else the milliseconds until there is one; nothing is taken then */
  take(nowMs: number): number {
    this.#fill(nowMs);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.max(1, Math.ceil(((1 - this.#tokens) * 1000) / this.#perSecond));
  }

  /** Whole tokens that are there. */
  left(nowMs: number): number {
    this.#fill(nowMs);
    return Math.floor(this.#tokens);
  }

  /** Milliseconds until it is full. */
  fullInMs(nowMs: number): number {
    this.#fill(nowMs);
    return Math.ceil(((this.#burst - this.#tokens) * 1000) / this.#perSecond);
  }

  #fill(nowMs: number): void {
    if (nowMs > this.#atMs) this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) * this.#perSecond) / 1000);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }
}
