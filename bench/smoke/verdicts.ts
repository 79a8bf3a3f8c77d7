/** What a smoke run says beside the committed results: a line for every ratio, a warning for every one that has fallen off. */
import type { Comparison } from "../compare/compare-results.ts";
import { compareResults } from "../compare/compare-results.ts";
import { amount } from "../harness/print.ts";
import type { RunResults } from "../harness/results.ts";

/** Wide: a few short rounds beside whatever else the machine does. What is beyond it is worth a look. */
export const SMOKE_TOLERANCE = 0.25;

export interface SmokeVerdicts {
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
}

export function smokeVerdicts(committed: RunResults, smoke: RunResults): SmokeVerdicts {
  // Without a yardstick there are only times, and those are the machine's.
  const ratios = compareResults(committed, smoke, SMOKE_TOLERANCE).filter(({ basis }) => basis.by !== "plain");
  return {
    lines: ratios.map((ratio) => `${nameOf(ratio)}: ${amount(ratio.after.median)} × the yardstick, was ${amount(ratio.before.median)} ×`),
    warnings: ratios
      .filter(({ verdict }) => verdict === "slower")
      .map((ratio) => `${nameOf(ratio)} is ${Math.abs(ratio.change * 100).toFixed(0)} % worse than at ${committed.commit}`),
  };
}

const nameOf = ({ case: name, scenario, contender, metric }: Comparison): string => `${name}, ${scenario}, ${contender}: ${metric}`;
