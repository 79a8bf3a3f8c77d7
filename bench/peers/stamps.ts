/** The time in a text, found again in whatever it is part of. */
import { nowNs } from "../harness/clock.ts";

/** Stands nowhere else in an event. */
const MARK = "@";

export function stampOf(): string {
  return `${MARK}${nowNs()}${MARK}`;
}

/** Takes stamps out of a text that comes in pieces. */
export class StampReader {
  #open = "";

  /** @returns nanoseconds of each stamp that ends in this piece */
  take(piece: string): number[] {
    const parts = (this.#open + piece).split(MARK);
    // Between two marks stands a stamp, behind an odd number of them the rest of one is to come.
    this.#open = parts.length % 2 === 0 ? MARK + (parts.at(-1) as string) : "";
    const ended = parts.length % 2 === 0 ? parts.slice(0, -1) : parts;
    return ended.filter((_, n) => n % 2 === 1).map(Number);
  }
}
