/** `npm run bench:compare A.json B.json`: arguments, output and exit code. */
import Table from "cli-table3";
import { Command, CommanderError } from "commander";

import { amount } from "../harness/print.ts";
import type { RunResults } from "../harness/results.ts";
import { readResults } from "../harness/results.ts";
import type { Spread } from "../harness/stats.ts";
import type { Comparison, Verdict } from "./compare-results.ts";
import { compareResults, TOLERANCE } from "./compare-results.ts";
import { doubtsAbout } from "./doubts.ts";

export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

const EXIT = { ok: 0, slower: 1, usage: 2 } as const;

const NOTES = `
Compared are the ratios of Warren's figures to the yardstick of the case in the same run, round by round; plain figures where there is
none ("plain"), its median in another scenario where it was not measured beside them ("from …"). "faster" and "slower" are said only when no
round of one run reaches into the other's and the medians are ${TOLERANCE * 100} % apart.
Exit code: 0 compared, 1 something is slower and --fail-on-slower was given, 2 called wrongly.`;

/** @returns the exit code; rejects for bugs only */
export async function runCompare(args: readonly string[], { out, err }: Output): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = new Command("bench:compare")
    .description("Say what became faster or slower between two runs.")
    .argument("<before>", "results of a run, as npm run bench writes them")
    .argument("<after>", "results of another run")
    .option("--fail-on-slower", "exit code 1 when anything is slower", false)
    .addHelpText("after", NOTES)
    .configureOutput({ writeOut: out, writeErr: err })
    .exitOverride()
    .action(async (before: string, after: string, { failOnSlower }: { failOnSlower: boolean }) => {
      const [a, b] = await Promise.all([readResults(before), readResults(after)]).catch((error: Error) =>
        program.error(`error: ${error.message}`),
      );
      const compared = compareResults(a, b);
      print(a, b, compared, out);
      if (failOnSlower && compared.some(({ verdict }) => verdict === "slower")) exitCode = EXIT.slower;
    });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // 0 is --help
  }
}

function print(before: RunResults, after: RunResults, compared: readonly Comparison[], out: Output["out"]): void {
  out(`before ${describe(before)}\nafter  ${describe(after)}\n`);
  for (const doubt of doubtsAbout(before, after)) out(`warning: ${doubt}\n`);
  for (const name of new Set(compared.map((row) => row.case))) {
    out(`\n${name}\n${comparisonTable(compared.filter((row) => row.case === name))}\n`);
  }
  out(`${summary(compared)}\n`);
}

const describe = ({ commit, startedAt, machine, rounds }: RunResults): string =>
  `${commit}, ${startedAt.slice(0, 10)}, Node ${machine.node}, ${machine.cpu}, ${machine.cores} cores, ${rounds} rounds`;

function comparisonTable(compared: readonly Comparison[]): string {
  const table = new Table({ head: ["", "", "metric", "before", "after", "change", ""], style: { head: [], border: [] } });
  for (const { scenario, contender, metric, unit, basis, before, after, change, verdict } of compared) {
    const on = basis.by === "round" ? "" : basis.by === "plain" ? ", plain" : `, from ${basis.scenario}`;
    table.push([scenario, contender, `${metric}, ${unit}${on}`, spread(before), spread(after), percent(change), verdict]);
  }
  return table.toString();
}

const percent = (part: number): string => `${part > 0 ? "+" : ""}${(part * 100).toFixed(1)} %`;
const spread = ({ median, low, high }: Spread): string => `${amount(median)} (${amount(low)} to ${amount(high)})`;

function summary(compared: readonly Comparison[]): string {
  if (compared.length === 0) return "nothing to compare: the runs have no scenario of Warren in common";
  const count = (wanted: Verdict): number => compared.filter(({ verdict }) => verdict === wanted).length;
  return `${count("faster")} faster, ${count("slower")} slower, ${count("no difference beyond the noise")} without a difference beyond the noise`;
}
