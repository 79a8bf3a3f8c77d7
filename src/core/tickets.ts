/**
 * Tickets: host-wide numbers of turns, never reused, also not over restarts, because they are seeded from the clock and grow
 * slower than it: a host would have to spend 2,048 a millisecond, all its life, to catch up with it.
 */

const TICKETS_PER_MS = 2048;

/** A source of tickets for one host. */
export class TicketSource {
  #last: number;

  /** @param nowMs - epoch milliseconds; tickets start at 2,048 × that and stay safe integers until the year 2109 */
  constructor(nowMs: number) {
    this.#last = nowMs * TICKETS_PER_MS;
  }

  next(): number {
    return ++this.#last;
  }
}

const WORD_RANGE = 2 ** 31 - 1;

/** @returns the 31-bit word that stands for a ticket in shared memory: 1 … 2^31 − 1, compared for equality only */
export function ticketWord(ticket: number): number {
  return 1 + (ticket % WORD_RANGE);
}
