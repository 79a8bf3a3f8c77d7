/** Lines of the target table from the rounds of a case. What the targets are, and why: bench/README.md. */
import type { Measured, ScenarioResult, TargetResult } from "./case.ts";
import { pairedRatios, spreadOf } from "./stats.ts";

/** @throws Error when the case has no such scenario or contender: a bug of the case */
export function measured(results: readonly ScenarioResult[], scenario: string, contender: string): Measured {
  const found = results.find((result) => result.scenario === scenario)?.contenders.find(({ name }) => name === contender);
  if (found === undefined) throw new Error(`nothing was measured of ${contender} in ${scenario}`);
  return found;
}

/** @returns the figures of one metric */
export function rounds(from: Measured, metric: string): readonly number[] {
  const figures = from.figures[metric];
  if (figures === undefined) throw new Error(`${from.name} has no ${metric}`);
  return figures;
}

type Aim = Pick<TargetResult, "id" | "what" | "limit" | "better"> & { unit?: string };

/** A target about a ratio of two contenders' rounds, round by round. */
export function ratioTarget(aim: Aim, a: readonly number[], b: readonly number[]): TargetResult {
  return valueTarget({ unit: "×", ...aim }, pairedRatios(a, b));
}

/** A target about a figure as it is. */
export function valueTarget(aim: Aim & { unit: string }, values: readonly number[]): TargetResult {
  const { median, low, high } = spreadOf(values);
  const met = aim.better === "higher" ? median >= aim.limit : median <= aim.limit;
  return { ...aim, value: median, low, high, met };
}

/** Of several contenders the one with the best median of a metric where more is better. */
export function best(contenders: readonly Measured[], metric: string): Measured {
  const [first, ...others] = contenders;
  if (first === undefined) throw new Error("nobody to choose from");
  return others.reduce((a, b) => (spreadOf(rounds(b, metric)).median > spreadOf(rounds(a, metric)).median ? b : a), first);
}
