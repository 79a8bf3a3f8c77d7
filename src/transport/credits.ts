/**
 * Credits bound a port that has no bound of its own: a sender spends one for every event, the receiver gives it back when the event
 * was taken.
 */

/** Events of one turn that may be on their way to main, or wait there for their consumer. */
export const EVENT_WINDOW = 256;

/** The sender's side. */
export class CreditWindow {
  #left: number;
  readonly #size: number;

  constructor(size: number = EVENT_WINDOW) {
    this.#size = size;
    this.#left = size;
  }

  /** @returns whether there was a credit to spend */
  take(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    return true;
  }

  /** Never grows beyond the window, whatever the other side says. */
  give(count: number): void {
    this.#left = Math.min(this.#size, this.#left + count);
  }

  refill(): void {
    this.#left = this.#size;
  }
}

/** The receiver's side: gathers credits and gives them back in lots, so that they cost little. */
export class CreditReturn {
  /** Half of the window: the sender has the other half while the credits travel, and most turns end before the first lot. */
  static readonly LOT = EVENT_WINDOW / 2;
  readonly #send: (count: number) => void;
  #owed = 0;

  constructor(send: (count: number) => void) {
    this.#send = send;
  }

  /** One event was taken. */
  taken(): void {
    if (++this.#owed >= CreditReturn.LOT) this.settle();
  }

  /** Give back what is owed now. */
  settle(): void {
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0) this.#send(owed);
  }
}
