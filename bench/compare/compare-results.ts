/** Compares two runs: every figure of Warren in every scenario that both have. Pure. */
import type { Metric } from "../harness/case.ts";
import type { CaseResult, RunResults } from "../harness/results.ts";
import type { Spread } from "../harness/stats.ts";
import { spreadOf } from "../harness/stats.ts";
import type { Basis } from "./basis.ts";
import { basisFor, onBasis } from "./basis.ts";

export type Verdict = "faster" | "slower" | "no difference beyond the noise";

export interface Comparison {
  readonly case: string;
  readonly scenario: string;
  readonly contender: string;
  readonly metric: string;
  readonly unit: string;
  readonly basis: Basis;
  readonly before: Spread;
  readonly after: Spread;
  /** Median after over median before, less one. */
  readonly change: number;
  readonly verdict: Verdict;
}

/** Medians must differ by this part at least: what is less is not worth a verdict, even when the rounds agree. */
export const TOLERANCE = 0.05;

/** @param tolerance - part of the median before by which the median after must differ */
export function compareResults(before: RunResults, after: RunResults, tolerance = TOLERANCE): Comparison[] {
  return after.cases.flatMap((caseAfter) => {
    const caseBefore = before.cases.find(({ name }) => name === caseAfter.name);
    return caseBefore === undefined ? [] : compareCase(caseBefore, caseAfter, tolerance);
  });
}

function compareCase(before: CaseResult, after: CaseResult, tolerance: number): Comparison[] {
  // A case whose yardstick has been changed is compared by the new one, where the old run had it too.
  const was: CaseResult = { ...before, yardstick: after.yardstick };
  return after.scenarios.flatMap((scenario) =>
    scenario.contenders.flatMap((contender) => {
      if (contender.kind !== "warren") return [];
      const old = was.scenarios
        .find((other) => other.scenario === scenario.scenario)
        ?.contenders.find((other) => other.name === contender.name);
      return Object.entries(after.metrics).flatMap(([metric, meaning]): Comparison[] => {
        const [roundsBefore, roundsAfter] = [old?.figures[metric], contender.figures[metric]];
        if (roundsBefore === undefined || roundsAfter === undefined) return [];
        const basis = basisFor([was, after], scenario, contender.name, metric);
        const spreads = {
          before: spreadOf(onBasis(was, scenario.scenario, roundsBefore, metric, basis)),
          after: spreadOf(onBasis(after, scenario.scenario, roundsAfter, metric, basis)),
        };
        return [
          {
            case: after.name,
            scenario: scenario.scenario,
            contender: contender.name,
            metric,
            unit: basis.by === "plain" ? meaning.unit : "×",
            basis,
            ...spreads,
            change: changeOf(spreads.before, spreads.after),
            verdict: verdictOf(spreads.before, spreads.after, meaning.better, tolerance),
          },
        ];
      });
    }),
  );
}

function changeOf(before: Spread, after: Spread): number {
  return before.median === after.median ? 0 : after.median / before.median - 1;
}

/** A difference counts when no round of one run reaches into the other's, and the medians are apart by the tolerance. */
export function verdictOf(before: Spread, after: Spread, better: Metric["better"], tolerance = TOLERANCE): Verdict {
  const isApart = after.low > before.high || after.high < before.low;
  if (!isApart || Math.abs(changeOf(before, after)) < tolerance) return "no difference beyond the noise";
  return after.median > before.median === (better === "higher") ? "faster" : "slower";
}
