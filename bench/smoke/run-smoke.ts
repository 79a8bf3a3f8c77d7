/** Runs a little of every case, as far as the time goes. */
import type { Case, Contender } from "../harness/case.ts";
import type { CaseResult } from "../harness/results.ts";
import type { RunOptions } from "../harness/run-case.ts";
import { runCase } from "../harness/run-case.ts";

export const SMOKE_ROUNDS = 3;

/** Warren as most use it; a case without it has its first one of Warren's instead. */
const WARREN = "warren balanced";

export interface SmokeRun {
  readonly cases: readonly CaseResult[];
  /** Cases for which there was no time. */
  readonly leftOut: readonly string[];
  /** Case → why it could not be run. */
  readonly failed: Readonly<Record<string, string>>;
}

export interface SmokeOptions {
  /** Aborts when the time is over. */
  readonly deadline: AbortSignal;
  readonly run?: (wanted: Case, options: RunOptions) => Promise<CaseResult>;
  readonly onCase?: ((wanted: Case) => void) | undefined;
}

/** A case that fails is noted and does not end the run. */
export async function runSmoke(all: readonly Case[], { deadline, run = runCase, onCase }: SmokeOptions): Promise<SmokeRun> {
  const cases: CaseResult[] = [];
  const leftOut: string[] = [];
  const failed: Record<string, string> = {};
  for (const wanted of all.filter(({ smoke }) => smoke !== undefined && smoke.length > 0)) {
    if (deadline.aborted) {
      leftOut.push(wanted.name);
      continue;
    }
    const chosen = chosenOf(wanted);
    try {
      onCase?.(wanted);
      cases.push(
        await run(wanted, {
          rounds: SMOKE_ROUNDS,
          scenarios: wanted.smoke,
          contenders: (contender) => chosen.includes(contender.name),
          signal: deadline,
        }),
      );
    } catch (error) {
      if (deadline.aborted) leftOut.push(wanted.name);
      else failed[wanted.name] = error instanceof Error ? error.message : String(error);
    }
  }
  return { cases, leftOut, failed };
}

/** @returns names of one contender of Warren's and of the yardstick */
function chosenOf({ contenders, yardstick }: Case): string[] {
  const ours: Contender<object> | undefined =
    contenders.find(({ name }) => name === WARREN) ?? contenders.find(({ kind }) => kind === "warren");
  return [...(ours === undefined ? [] : [ours.name]), yardstick];
}
