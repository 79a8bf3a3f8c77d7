/** `npm run bench:smoke`: a minute's look at Warren's ratios beside the committed results. It warns; it never fails. */
import { fileURLToPath } from "node:url";

import { CASES } from "./cases/index.ts";
import { describeCommit, describeMachine } from "./harness/machine.ts";
import type { RunResults } from "./harness/results.ts";
import { readBaseline } from "./smoke/baseline.ts";
import { runSmoke, SMOKE_ROUNDS } from "./smoke/run-smoke.ts";
import { smokeVerdicts } from "./smoke/verdicts.ts";

/** Built into dist/bench, so two levels below the top. */
const LATEST = fileURLToPath(new URL("../../bench/results/latest.json", import.meta.url));

/** Milliseconds for all cases together: a minute, less what compiling and ending take. */
const TIME_MS = 50_000;

const warn = (text: string): void => console.log(`warning: ${text}`);

async function smoke(): Promise<void> {
  const startedAt = new Date();
  const machine = describeMachine();
  const baseline = await readBaseline(LATEST, machine);
  const { cases, leftOut, failed } = await runSmoke(CASES, { deadline: AbortSignal.timeout(TIME_MS) });
  const durationS = (Date.now() - startedAt.getTime()) / 1000;
  for (const [name, why] of Object.entries(failed)) warn(`${name} did not run: ${why.split("\n", 1)[0]}`);
  if (leftOut.length > 0) warn(`${TIME_MS / 1000} s were over before ${leftOut.join(", ")}: left out`);
  const ran = `bench:smoke ran ${cases.length} cases in ${Math.round(durationS)} s`;
  if ("without" in baseline) {
    console.log(`${ran} and compared nothing: ${baseline.without}`);
    return;
  }
  const { results: committed } = baseline;
  const run: RunResults = {
    schema: 1,
    mode: "smoke",
    commit: describeCommit(),
    startedAt: startedAt.toISOString(),
    durationS,
    rounds: SMOKE_ROUNDS,
    machine,
    cases: [...cases],
  };
  const { lines, warnings } = smokeVerdicts(committed, run);
  for (const line of lines) console.log(line);
  for (const warning of warnings) warn(warning);
  console.log(`${ran}: ${warnings.length} of ${lines.length} ratios are worse than those of ${committed.commit} beyond the noise`);
}

// A benchmark that breaks is a warning too: the tests say whether the program is right.
await smoke().catch((error: unknown) =>
  warn(`bench:smoke failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
);
