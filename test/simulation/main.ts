/** `npm run simulate`: many seeds, or one with its trace. See docs/testing.md. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

import { FULL_RUN, missing, table } from "./coverage.ts";
import { MUTANTS } from "./mutants.ts";
import type { Totals } from "./ranges.ts";
import { runSeeds, serveRanges } from "./ranges.ts";
import { runSeed } from "./run-seed.ts";

const { values } = parseArgs({
  options: {
    from: { type: "string" },
    seeds: { type: "string", default: "100000" },
    // Epoch seconds after which no more of them are begun, but for the first ten thousand; 0: all are run.
    until: { type: "string", default: "0" },
    seed: { type: "string" },
    verbose: { type: "boolean", default: false },
    children: { type: "string", default: String(availableParallelism()) },
    mutant: { type: "string" },
    child: { type: "boolean", default: false },
  },
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);
/** Lines of a failing run's trace that are shown without --verbose. */
const TRACE_LINES = 120;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} must be a whole number, not ${text}`);
  return value;
}

/** Run one seed and show what happened. @returns whether every invariant held */
async function show(seed: number): Promise<boolean> {
  const { violation, lines = [] } = await runSeed(seed, new Map(), true);
  const hidden = values.verbose ? 0 : Math.max(0, lines.length - TRACE_LINES);
  if (hidden > 0) say(`(${hidden} earlier lines: --verbose shows them)`);
  for (const line of lines.slice(hidden)) say(line);
  say(violation === undefined ? `seed ${seed}: every invariant held` : `seed ${seed}: ${violation}`);
  say(`again: npm run simulate -- --seed ${seed}`);
  return violation === undefined;
}

/** @returns whether every invariant held, in every run, and a full run reached everything */
async function runAll(from: number, count: number): Promise<boolean> {
  const startedAt = performance.now();
  say(`${count} seeds from ${from} on, in ${values.children} processes`);
  let shownAt = startedAt;
  const onRange = ({ seeds, failures }: Totals): void => {
    if (performance.now() - shownAt < 5000) return;
    shownAt = performance.now();
    say(`${seeds} of ${count}, ${((shownAt - startedAt) / 1000).toFixed(0)} s${failures.length > 0 ? `, ${failures.length} failed` : ""}`);
  };
  const until = wholeNumber("until", values.until);
  const totals = await runSeeds({ from, count }, wholeNumber("children", values.children), onRange, until === 0 ? undefined : until * 1000);
  const seconds = (performance.now() - startedAt) / 1000;
  say(`what the seeds reached:\n${table(totals.seen)}`);
  const { seeds, steps, failures } = totals;
  say(
    `${seeds} seeds, ${steps} steps, ${seconds.toFixed(1)} s${seeds < count && failures.length === 0 ? `: there was no time for all ${count}` : ""}`,
  );
  for (const { seed, violation } of failures) say(`seed ${seed}: ${violation}\n  npm run simulate -- --seed ${seed}`);
  const [first] = failures;
  if (first !== undefined) {
    say("the trace of the first:");
    await show(first.seed);
    return false;
  }
  const unseen = missing(totals.seen);
  if (unseen.length > 0) say(`not reached: ${unseen.join("; ")}`);
  return unseen.length === 0 || seeds < FULL_RUN;
}

/** Break the product on purpose. @returns whether no seed noticed */
async function runMutant(name: string, from: number, count: number): Promise<boolean> {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`--mutant must be one of: ${MUTANTS.map((one) => one.name).join("; ")}`);
  for (let seed = from; seed < from + count; seed++) {
    const { violation } = await runSeed(seed, new Map(), false, mutant);
    if (violation === undefined) continue;
    say(`seed ${seed}: ${violation}`);
    return false;
  }
  say(`no seed noticed that ${name}`);
  return true;
}

const from = values.from === undefined ? Math.floor(Math.random() * 2 ** 40) : wholeNumber("from", values.from);
const count = wholeNumber("seeds", values.seeds);
if (values.child) serveRanges();
else {
  const isGood =
    values.mutant !== undefined
      ? await runMutant(values.mutant, from, count)
      : values.seed !== undefined
        ? await show(wholeNumber("seed", values.seed))
        : await runAll(from, count);
  process.exitCode = isGood ? 0 : 1;
}
