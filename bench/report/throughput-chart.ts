/** Turns a second against turns in flight, at one number of sessions. */
import type { CaseResult } from "../harness/results.ts";
import { amount } from "../harness/print.ts";
import { spreadOf } from "../harness/stats.ts";
import type { NamedLine } from "./lines.ts";
import { decadesAround, lineSeries } from "./lines.ts";
import { AXIS, drawSvg, headline } from "./svg.ts";

/** The scenarios in which peers are measured too. */
const SESSIONS = 10_000;

/** @returns SVG, or undefined when there are not at least two loads to draw a line between */
export function throughputChart({ title, scenarios }: CaseResult): string | undefined {
  const lines = new Map<string, NamedLine & { points: [number, number][] }>();
  for (const { parameters, contenders } of scenarios) {
    const { inFlight, sessions } = parameters;
    if (typeof inFlight !== "number" || sessions !== SESSIONS) continue;
    for (const { name, kind, figures } of contenders) {
      if (figures["perSecond"] === undefined) continue;
      const line = lines.get(name) ?? { name, kind, points: [] };
      line.points.push([inFlight, spreadOf(figures["perSecond"]).median]);
      lines.set(name, line);
    }
  }
  const drawn = [...lines.values()].filter(({ points }) => points.length > 1);
  if (drawn.length === 0) return undefined;
  for (const { points } of drawn) points.sort(([a], [b]) => a - b);
  const loads = [...new Set(drawn.flatMap(({ points }) => points.map(([inFlight]) => inFlight)))];
  return drawSvg({
    title: headline(title, `${SESSIONS.toLocaleString("en")} sessions; medians of the rounds`),
    grid: { left: 100, right: 170, top: 80, bottom: 60 },
    xAxis: {
      ...AXIS,
      type: "log",
      logBase: 2,
      name: "turns in flight",
      nameGap: 34,
      min: Math.min(...loads),
      max: Math.max(...loads),
      axisTick: { customValues: loads },
      axisLabel: { ...AXIS.axisLabel, customValues: loads, formatter: amount },
      splitLine: { show: false },
    },
    yAxis: {
      ...AXIS,
      ...decadesAround(drawn.flatMap(({ points }) => points.map(([, perSecond]) => perSecond))),
      type: "log",
      name: "turns/s",
      nameGap: 76,
      axisLabel: { ...AXIS.axisLabel, formatter: amount },
    },
    series: lineSeries(drawn),
  });
}
