/** What a run says on the terminal. */
import Table from "cli-table3";

import type { Metric, ScenarioResult, TargetResult } from "./case.ts";
import { spreadOf } from "./stats.ts";

/** Three digits that count. */
export function amount(value: number): string {
  if (value !== 0 && Math.abs(value) < 100) return Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 });
  return Math.round(value).toLocaleString("en");
}

/** A scenario: a row for every contender, median (lowest to highest); a column for every metric that it has. */
export function scenarioTable({ scenario, contenders }: ScenarioResult, metrics: Readonly<Record<string, Metric>>): string {
  const names = Object.keys(metrics).filter((metric) => contenders.some(({ figures }) => figures[metric] !== undefined));
  const table = new Table({
    head: [scenario, ...names.map((name) => `${name}, ${metrics[name]?.unit}`), "setup"],
    style: { head: [], border: [] },
  });
  for (const { name, figures, setup } of contenders) {
    const cells = names.map((metric) => {
      const values = figures[metric];
      if (values === undefined) return "";
      const { median, low, high } = spreadOf(values);
      return `${amount(median)} (${amount(low)} to ${amount(high)})`;
    });
    table.push([name, ...cells, setup ?? ""]);
  }
  return table.toString();
}

export function targetTable(targets: readonly TargetResult[]): string {
  const table = new Table({ head: ["", "what", "target", "measured", ""], style: { head: [], border: [] } });
  for (const { id, what, better, limit, unit, value, low, high, met } of targets) {
    table.push([
      id,
      what,
      `${better === "higher" ? "≥" : "≤"} ${amount(limit)} ${unit}`,
      `${amount(value)} ${unit} (${amount(low)} to ${amount(high)})`,
      met ? "met" : "missed",
    ]);
  }
  return table.toString();
}
