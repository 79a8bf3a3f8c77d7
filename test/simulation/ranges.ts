/** Seeds in ranges, each run by one of several child processes: what they saw is added up, what failed is gathered. */
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

import { runSeed } from "./run-seed.ts";

/** Seeds a child is given at once. */
const RANGE = 250;
/**
 * What a run makes is garbage when it is over: with room for many runs, little of it is ever copied. There is a child for each core, so V8's
 * helper threads would only take turns with them.
 */
const CHILD_OPTIONS = ["--min-semi-space-size=32", "--max-semi-space-size=64", "--single-threaded-gc", "--sparkplug"];
/** Seeds that are run however little time there is: a run of none would hold whatever is broken. */
const LEAST = 10_000;
/** Failures after which no more seeds are begun. */
const FAILURES_MAX = 5;

export interface Range {
  readonly from: number;
  readonly count: number;
}

export interface Failure {
  readonly seed: number;
  readonly violation: string;
}

export interface RangeReport {
  readonly count: number;
  readonly steps: number;
  readonly seen: [string, number][];
  readonly failures: Failure[];
}

/** Run a range in this process. */
export async function runRange({ from, count }: Range): Promise<RangeReport> {
  const seen = new Map<string, number>();
  const failures: Failure[] = [];
  let steps = 0;
  for (let seed = from; seed < from + count; seed++) {
    const report = await runSeed(seed, seen);
    steps += report.steps;
    if (report.violation !== undefined) failures.push({ seed, violation: report.violation });
  }
  return { count, steps, seen: [...seen], failures };
}

/** What a child does: ranges, one after the other, for as long as its parent sends some. */
export function serveRanges(): void {
  process.on("message", (range: Range) => {
    void runRange(range).then((report) => process.send?.(report));
  });
}

export interface Totals {
  seeds: number;
  steps: number;
  readonly seen: Map<string, number>;
  readonly failures: Failure[];
}

/**
 * Run seeds in child processes.
 *
 * @param onRange - told after each range
 * @param untilMs - epoch milliseconds; no range is begun after that, but for the first LEAST seeds
 * @returns what became of them; after a few failures the rest is left out
 */
export async function runSeeds(
  all: Range,
  children: number,
  onRange: (totals: Totals) => void,
  untilMs = Number.POSITIVE_INFINITY,
): Promise<Totals> {
  const totals: Totals = { seeds: 0, steps: 0, seen: new Map(), failures: [] };
  const end = all.from + all.count;
  let next = all.from;
  const take = (): Range | undefined => {
    if (next >= end || totals.failures.length >= FAILURES_MAX) return undefined;
    if (next >= all.from + LEAST && Date.now() >= untilMs) return undefined;
    const range = { from: next, count: Math.min(RANGE, end - next) };
    next += range.count;
    return range;
  };
  const add = (report: RangeReport): void => {
    totals.seeds += report.count;
    totals.steps += report.steps;
    for (const [what, count] of report.seen) totals.seen.set(what, (totals.seen.get(what) ?? 0) + count);
    totals.failures.push(...report.failures);
    onRange(totals);
  };
  await Promise.all(Array.from({ length: Math.max(1, children) }, () => serveWith(take, add)));
  totals.failures.sort((a, b) => a.seed - b.seed);
  return totals;
}

/** One child, for as long as there is something to do. Rejects when it ends before that. */
function serveWith(take: () => Range | undefined, add: (report: RangeReport) => void): Promise<void> {
  const first = take();
  if (first === undefined) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const child: ChildProcess = fork(fileURLToPath(new URL("main.js", import.meta.url)), ["--child"], { execArgv: CHILD_OPTIONS });
    let doing: Range | undefined = first;
    child.on("message", (report: RangeReport) => {
      add(report);
      doing = take();
      if (doing === undefined) child.disconnect();
      else child.send(doing);
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (doing === undefined) resolve();
      else reject(new Error(`a child ended (${code ?? signal}) in the seeds from ${doing.from} on`));
    });
    child.send(first);
  });
}
