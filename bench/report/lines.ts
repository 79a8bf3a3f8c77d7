/** Lines that carry their names at their ends, on logarithmic or other axes. */
import type { LineSeriesOption } from "echarts";

import type { ContenderKind } from "../harness/case.ts";
import { looksOf } from "./palette.ts";

export interface NamedLine {
  readonly name: string;
  readonly kind: ContenderKind;
  readonly points: readonly (readonly [number, number])[];
}

export function lineSeries(lines: readonly NamedLine[]): LineSeriesOption[] {
  const looks = looksOf(lines);
  return lines.map(({ name, kind, points }): LineSeriesOption => {
    const { colour, dash } = looks.get(name) ?? { colour: "#000000", dash: "solid" };
    return {
      type: "line",
      name,
      data: points.map(([x, y]) => [x, y]),
      lineStyle: { color: colour, type: dash, width: kind === "warren" ? 3 : 2 },
      itemStyle: { color: colour },
      symbol: "circle",
      symbolSize: kind === "warren" ? 7 : 5,
      z: kind === "warren" ? 3 : 2,
      endLabel: { show: true, formatter: "{a}", color: colour, fontSize: 12, distance: 8 },
      labelLayout: { moveOverlap: "shiftY" },
    };
  });
}

/** @returns the powers of ten around all values, for a logarithmic axis */
export function decadesAround(values: readonly number[]): { readonly min: number; readonly max: number } {
  const min = 10 ** Math.floor(Math.log10(Math.min(...values)));
  return { min, max: Math.max(10 ** Math.ceil(Math.log10(Math.max(...values))), min * 10) };
}
