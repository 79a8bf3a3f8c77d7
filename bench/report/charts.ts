/** Which charts a run gives. A chart whose case was not run, or has not what it draws, is left out. */
import type { CaseResult, RunResults } from "../harness/results.ts";
import { interferenceChart } from "./interference-chart.ts";
import { latencyChart } from "./latency-chart.ts";
import { throughputChart } from "./throughput-chart.ts";

export interface Chart {
  /** File name in bench/results/charts. */
  readonly file: string;
  readonly title: string;
  readonly svg: string;
}

export function chartsOf({ cases }: RunResults): Chart[] {
  return cases.flatMap((result) => {
    switch (result.name) {
      case "noop-turns":
        return chart(`${result.name}-throughput`, `${result.title}, by turns in flight`, throughputChart(result));
      case "interference":
        return chart(result.name, result.title, interferenceChart(result));
      default:
        return latencyCharts(result);
    }
  });
}

/** One for every scenario that has distributions. */
function latencyCharts({ name, title, scenarios }: CaseResult): Chart[] {
  const withCurves = scenarios.filter(({ contenders }) => contenders.some(({ distribution }) => distribution !== undefined));
  return withCurves.flatMap((result) => {
    const isOnly = withCurves.length === 1;
    return chart(
      `${name}-latency${isOnly ? "" : `-${slug(result.scenario)}`}`,
      `${title}: latency${isOnly ? "" : `, ${result.scenario}`}`,
      latencyChart(title, result),
    );
  });
}

function chart(file: string, title: string, svg: string | undefined): Chart[] {
  return svg === undefined ? [] : [{ file: `${file}.svg`, title, svg }];
}

const slug = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
