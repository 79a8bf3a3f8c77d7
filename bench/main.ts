/** `npm run bench`: runs the cases, prints every scenario and every target, writes the results. */
import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { Command, InvalidArgumentError } from "commander";

import { CASES } from "./cases/index.ts";
import type { TargetResult } from "./harness/case.ts";
import { describeCommit, describeMachine } from "./harness/machine.ts";
import { scenarioTable, targetTable } from "./harness/print.ts";
import type { CaseResult } from "./harness/results.ts";
import { writeResults } from "./harness/results.ts";
import { ROUNDS, runCase } from "./harness/run-case.ts";

/** Built into dist/bench, so three levels below the top. */
const RESULTS = fileURLToPath(new URL("../../bench/results/", import.meta.url));

const program = new Command("bench")
  .description("Measure Warren beside its peers. Results go to bench/results/.")
  .argument("[case...]", `cases to run: ${CASES.map(({ name }) => name).join(", ")}; default all`)
  .option("--rounds <n>", "rounds of every contender; default 5, or what a case asks for", positive)
  .option("--only <text>", "only contenders whose name contains this (no targets then)")
  .option("--scenario <name>", "only this scenario (no targets then)")
  .option("--output <file>", "where to write the results; default bench/results/latest.json, or nothing when only some cases run")
  .action(bench);

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("must be a whole number of 1 or more");
  return value;
}

interface Options {
  readonly rounds?: number;
  readonly only?: string;
  readonly scenario?: string;
  readonly output?: string;
}

async function bench(names: string[], { rounds, only, scenario, output }: Options): Promise<void> {
  const unknown = names.find((name) => !CASES.some((known) => known.name === name));
  if (unknown !== undefined) program.error(`no case is named ${unknown}; there are ${CASES.map(({ name }) => name).join(", ")}`);
  const chosen = names.length === 0 ? CASES : CASES.filter(({ name }) => names.includes(name));
  if (scenario !== undefined && !chosen.some(({ scenarios }) => scenarios.some(({ name }) => name === scenario))) {
    program.error(
      `no scenario is named "${scenario}"; there are ${chosen.flatMap(({ scenarios }) => scenarios.map(({ name }) => `"${name}"`)).join(", ")}`,
    );
  }
  if (only !== undefined && !chosen.some(({ contenders }) => contenders.some(({ name }) => name.includes(only)))) {
    const all = new Set(chosen.flatMap(({ contenders }) => contenders.map(({ name }) => name)));
    program.error(`no contender's name contains "${only}"; there are ${[...all].join(", ")}`);
  }
  if (output !== undefined)
    await open(output, "a").then(
      (file) => file.close(),
      (error: Error) => program.error(`cannot write ${output}: ${error.message}`),
    );
  const startedAt = new Date();
  const cases: CaseResult[] = [];
  for (const wanted of chosen) {
    console.log(`\n${wanted.title} (${wanted.name})`);
    const caseAt = Date.now();
    const result = await runCase(wanted, {
      rounds,
      scenarios: scenario === undefined ? undefined : [scenario],
      contenders: only === undefined ? undefined : ({ name }) => name.includes(only),
      onScenario: (finished) => console.log(scenarioTable(finished, wanted.metrics)),
    });
    cases.push(result);
    console.log(`${wanted.name}: ${Math.round((Date.now() - caseAt) / 1000)} s`);
  }
  const targets: TargetResult[] = cases.flatMap((result) => result.targets);
  if (targets.length > 0) console.log(`\nTargets\n${targetTable(targets)}`);
  const durationS = (Date.now() - startedAt.getTime()) / 1000;
  const isWhole = names.length === 0 && only === undefined && scenario === undefined;
  const path = output ?? (isWhole ? `${RESULTS}latest.json` : undefined);
  const met = targets.length === 0 ? "no targets" : `${targets.filter((target) => target.met).length} of ${targets.length} targets met`;
  console.log(`${met}, ${Math.round(durationS)} s`);
  if (path === undefined) return;
  await writeResults(path, {
    schema: 1,
    mode: "full",
    commit: describeCommit(),
    startedAt: startedAt.toISOString(),
    durationS,
    rounds: rounds ?? ROUNDS,
    machine: describeMachine(),
    cases,
  });
  console.log(`results: ${path}`);
}

await program.parseAsync();
