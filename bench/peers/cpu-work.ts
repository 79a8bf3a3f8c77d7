/** Work that only a core can do. */
const ROUNDS = 120_000;
/** What `integerWork` gives: whoever gets something else was not given the work. */
export const INTEGER_WORK = "1761803327";

/** About 200 µs of integer arithmetic, each step waiting for the one before, on a server core of 2024; always the same. */
export function integerWork(): string {
  let x = -1_831_433_054; // 32 bits throughout: one that does not fit makes a compiler keep all of them as doubles
  for (let n = 0; n < ROUNDS; n++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  return String(x);
}
