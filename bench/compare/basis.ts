/**
 * What a contender's figures are divided by before two runs are compared: the yardstick's in the same run, so that a faster or busier
 * machine cancels out.
 */
import type { Measured } from "../harness/case.ts";
import type { CaseResult } from "../harness/results.ts";
import { pairedRatios, spreadOf } from "../harness/stats.ts";

type Scenario = CaseResult["scenarios"][number];

/** `round`: beside the yardstick in the same scenario. `scenario`: by its median in the scenario of this name. `plain`: by nothing. */
export type Basis = { readonly by: "round" } | { readonly by: "scenario"; readonly scenario: string } | { readonly by: "plain" };

/**
 * Choose what both runs allow: the same scenario's yardstick, else that of a scenario with as much in flight, else of any, else none.
 * Both runs must be divided by the same thing, or their ratios would not mean the same.
 *
 * @param runs - the case in both runs
 */
export function basisFor(runs: readonly CaseResult[], scenario: Scenario, contender: string, metric: string): Basis {
  const [first] = runs;
  if (first === undefined || first.yardstick === contender) return { by: "plain" };
  const has = (name: string): boolean => runs.every((run) => yardstickRounds(run, name, metric) !== undefined);
  if (has(scenario.scenario)) return { by: "round" };
  const { inFlight } = scenario.parameters;
  const others = first.scenarios.filter((other) => has(other.scenario));
  const found = others.find((other) => inFlight !== undefined && other.parameters["inFlight"] === inFlight) ?? others[0];
  return found === undefined ? { by: "plain" } : { by: "scenario", scenario: found.scenario };
}

/** @returns the rounds of a contender's metric on a basis that `basisFor` chose */
export function onBasis(run: CaseResult, scenario: string, figures: readonly number[], metric: string, basis: Basis): number[] {
  switch (basis.by) {
    case "round":
      return pairedRatios(figures, yardstickRounds(run, scenario, metric) ?? []);
    case "scenario": {
      // Its rounds did not run next to these: pairing them would only add its noise.
      const { median } = spreadOf(yardstickRounds(run, basis.scenario, metric) ?? []);
      return figures.map((figure) => figure / median);
    }
    case "plain":
      return [...figures];
    default:
      return basis satisfies never;
  }
}

/** @returns undefined when the yardstick was not measured there, or measured nothing that can divide */
function yardstickRounds({ yardstick, scenarios }: CaseResult, scenario: string, metric: string): readonly number[] | undefined {
  const found: Measured | undefined = scenarios
    .find((result) => result.scenario === scenario)
    ?.contenders.find(({ name }) => name === yardstick);
  const rounds = found?.figures[metric];
  return rounds?.every((figure) => figure > 0) ? rounds : undefined;
}
