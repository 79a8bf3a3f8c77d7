/** What a session in a busy loop does to the slowest turns of quiet ones: p99 without and with it, for every contender. */
import type { ScenarioResult } from "../harness/case.ts";
import { amount } from "../harness/print.ts";
import type { CaseResult } from "../harness/results.ts";
import { spreadOf } from "../harness/stats.ts";
import { decadesAround } from "./lines.ts";
import { AXIS, drawSvg, headline } from "./svg.ts";

const BARS = [
  { hog: false, name: "quiet", colour: "#54a3ff" },
  { hog: true, name: "beside a busy loop", colour: "#bc4c00" },
];

/** @returns SVG, or undefined when the case lacks one of the two scenarios */
export function interferenceChart({ title, scenarios }: CaseResult): string | undefined {
  const p99 = BARS.map(({ hog }) => p99Of(scenarios.find(({ parameters }) => parameters["hog"] === hog)));
  const names = [...(p99[0]?.keys() ?? [])].filter((name) => p99.every((bars) => bars.has(name)));
  if (names.length === 0) return undefined;
  const values = p99.flatMap((bars) => names.map((name) => bars.get(name) as number));
  return drawSvg({
    title: headline(title, "p99 of the quiet sessions' turns; medians of the rounds"),
    legend: { right: 20, top: 14, icon: "rect", itemGap: 20, textStyle: { fontSize: 12 } },
    grid: { left: 90, right: 30, top: 80, bottom: 50 },
    xAxis: { ...AXIS, type: "category", data: names, splitLine: { show: false }, axisTick: { show: false } },
    yAxis: {
      ...AXIS,
      ...decadesAround(values),
      type: "log",
      name: "p99 latency, µs",
      nameGap: 62,
      axisLabel: { ...AXIS.axisLabel, formatter: amount },
    },
    series: BARS.map(({ name, colour }, n) => ({
      type: "bar" as const,
      name,
      data: names.map((contender) => p99[n]?.get(contender) as number),
      itemStyle: { color: colour },
      barMaxWidth: 90,
      label: { show: true, position: "top" as const, formatter: ({ value }: { value?: unknown }) => amount(Number(value)) },
    })),
  });
}

function p99Of(result: ScenarioResult | undefined): Map<string, number> {
  const rows = result?.contenders.flatMap(({ name, figures }) =>
    figures["p99Us"] ? [[name, spreadOf(figures["p99Us"]).median] as const] : [],
  );
  return new Map(rows);
}
