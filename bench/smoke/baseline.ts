/** The committed results, if they can be compared with what this machine measures. */
import type { RunResults } from "../harness/results.ts";
import { readResults } from "../harness/results.ts";

export type Baseline = { readonly results: RunResults } | { readonly without: string };

/** @returns the results, or why there is nothing to compare with */
export async function readBaseline(path: string, machine: RunResults["machine"]): Promise<Baseline> {
  try {
    const results = await readResults(path);
    const { node, cores } = results.machine;
    if (majorOf(node) !== majorOf(machine.node)) return { without: `the committed results are of Node ${node}, this is ${machine.node}` };
    if (cores !== machine.cores) return { without: `the committed results are of ${cores} cores, here are ${machine.cores}` };
    return { results };
  } catch (error) {
    return { without: (error as Error).message };
  }
}

/** @param version - as `process.version` has it */
const majorOf = (version: string): string | undefined => /^v?(\d+)/.exec(version)?.[1];
