/** Latency of every contender of a scenario by percentile. */
import type { ScenarioResult } from "../harness/case.ts";
import { amount } from "../harness/print.ts";
import { decadesAround, lineSeries } from "./lines.ts";
import { AXIS, drawSvg, headline } from "./svg.ts";

/** The slow tail is what counts: each step to the right is a tenth of the calls of the step before. */
const nines = (percentile: number): number => -Math.log10(1 - percentile / 100);
const percentileAt = (x: number): number => Number((100 - 100 / 10 ** x).toFixed(2));
const TICKS = [0, 50, 90, 99, 99.9, 99.99].map(nines);

/** @returns SVG, or undefined when no contender of the scenario has a distribution */
export function latencyChart(title: string, { scenario, contenders }: ScenarioResult): string | undefined {
  const lines = contenders.flatMap(({ name, kind, distribution }) => {
    const points = (distribution ?? []).filter(([percentile, us]) => percentile < 100 && us > 0);
    return points.length === 0 ? [] : [{ name, kind, points: points.map(([percentile, us]) => [nines(percentile), us] as const) }];
  });
  if (lines.length === 0) return undefined;
  const y = decadesAround(lines.flatMap(({ points }) => points.map(([, us]) => us)));
  return drawSvg({
    title: headline(title, `${scenario}; all rounds together`),
    grid: { left: 80, right: 170, top: 80, bottom: 60 },
    xAxis: {
      ...AXIS,
      type: "value",
      name: "percentile of calls",
      nameGap: 34,
      min: 0,
      max: 4,
      interval: 1,
      axisTick: { customValues: TICKS },
      axisLabel: { ...AXIS.axisLabel, customValues: TICKS, formatter: (x: number) => `${percentileAt(x)}` },
    },
    yAxis: {
      ...AXIS,
      ...y,
      type: "log",
      name: "latency, µs",
      nameGap: 56,
      axisLabel: { ...AXIS.axisLabel, formatter: amount },
    },
    series: lineSeries(lines),
  });
}
