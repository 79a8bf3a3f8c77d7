/** Medians and spreads of a handful of rounds. */

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** @throws RangeError when there is none */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError("a spread needs at least one value");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(sorted, middle) : (at(sorted, middle - 1) + at(sorted, middle)) / 2;
  return { median, low: at(sorted, 0), high: at(sorted, sorted.length - 1) };
}

/** Round n of `a` over round n of `b`: they ran next to each other, so what slowed the machine then slowed both. */
export function pairedRatios(a: readonly number[], b: readonly number[]): number[] {
  return a.slice(0, b.length).map((value, round) => value / at(b, round));
}

function at(values: readonly number[], index: number): number {
  return values[index] as number;
}
