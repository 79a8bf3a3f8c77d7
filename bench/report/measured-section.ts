/** The README's "Measured" section: what a run gave, in words and tables. */
import type { Measured, TargetResult } from "../harness/case.ts";
import { amount } from "../harness/print.ts";
import type { RunResults } from "../harness/results.ts";
import { pairedRatios, spreadOf } from "../harness/stats.ts";
import type { Chart } from "./charts.ts";
import { markdownTable } from "./markdown.ts";

/** Name of the section's markers in the README. */
export const SECTION = "measured";

/** The load of the table of peers. */
const MAIN = { case: "noop-turns", inFlight: 4096, sessions: 10_000, metric: "perSecond", warren: "warren balanced" };

/**
 * @param charts - those that were drawn
 * @param chartsAt - their folder as the README links to it, with "/" at the end
 */
export function measuredSection(results: RunResults, charts: readonly Chart[], chartsAt: string): string {
  const parts = [
    provenance(results),
    ...targetPart(results.cases.flatMap(({ targets }) => targets)),
    ...peersPart(results),
    ...charts.map(({ file, title }) => `![${title}](${chartsAt}${file})`),
  ];
  return parts.join("\n\n");
}

function provenance({ commit, startedAt, machine, cases }: RunResults): string {
  const of = commit.endsWith("+") ? `${commit.slice(0, -1)} with changes` : commit;
  const counts = cases.flatMap(({ scenarios }) =>
    scenarios.flatMap(({ contenders }) => contenders.flatMap(({ figures }) => Object.values(figures).map((rounds) => rounds.length))),
  );
  const rounds = counts.length === 0 ? "" : `, ${range(Math.min(...counts), Math.max(...counts))} rounds`;
  return (
    `Commit ${of}, Node ${machine.node}, ${machine.cpu}, ${machine.cores} cores${rounds}, ${startedAt.slice(0, 10)}. ` +
    "Every figure is the median of the rounds, with the lowest and the highest; how they come about, and what they do not say: [bench/README.md](bench/README.md)."
  );
}

const range = (low: number, high: number): string => (low === high ? `${low}` : `${low} to ${high}`);

function targetPart(targets: readonly TargetResult[]): string[] {
  if (targets.length === 0) return [];
  const rows = targets.map(({ id, what, better, limit, unit, value, low, high, met }) => [
    id,
    what,
    `${better === "higher" ? "≥" : "≤"} ${amount(limit)} ${unit}`,
    `${amount(value)} ${unit} (${amount(low)} to ${amount(high)})`,
    met ? "met" : "**missed**",
  ]);
  const met = targets.filter((target) => target.met).length;
  return [`${met} of ${targets.length} targets met:`, markdownTable(["", "what", "target", "measured", ""], rows)];
}

function peersPart({ cases }: RunResults): string[] {
  const found = cases.find(({ name }) => name === MAIN.case);
  const scenario = found?.scenarios.find(
    ({ parameters }) => parameters["inFlight"] === MAIN.inFlight && parameters["sessions"] === MAIN.sessions,
  );
  const ours = scenario?.contenders.find(({ name }) => name === MAIN.warren)?.figures[MAIN.metric];
  if (found === undefined || scenario === undefined || ours === undefined) return [];
  const rows = scenario.contenders.flatMap(({ name, kind, setup, figures }) => {
    const theirs = figures[MAIN.metric];
    if (theirs === undefined) return [];
    const ratio = name === MAIN.warren ? "" : spread(pairedRatios(ours, theirs), " ×");
    return [[name, KINDS[kind], spread(theirs, ""), ratio, setup ?? ""]];
  });
  return [
    `${found.title}, ${scenario.scenario}:`,
    markdownTable(["", "", found.metrics[MAIN.metric]?.unit ?? "", `${MAIN.warren} is`, "set up"], rows),
  ];
}

const KINDS: Readonly<Record<Measured["kind"], string>> = { warren: "", peer: "peer", limit: "limit, no session logic" };

function spread(values: readonly number[], unit: string): string {
  const { median, low, high } = spreadOf(values);
  return `${amount(median)}${unit} (${amount(low)} to ${amount(high)})`;
}
