/**
 * `npm run fuzz`: at least a million cases over all boundaries, in two threads, within a time box.
 *
 *   --cases N      of all boundaries together. Default 1,000,000
 *   --seconds N    no new case is begun after that; each boundary gets its part of the time. Default 600
 *   --seed N       default: drawn, and printed
 *   --only TEXT    boundaries whose name holds it
 *   --from N --to N  cases of each boundary, in place of its share: what a finding's command says
 *   --threads N    default 2
 *
 * The cases run in worker threads with a small heap, and each says in shared memory which case it is at: so a case that never ends, takes
 * all memory or brings its thread down is known as well. Ends with 1 when there is a finding.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";

import { BOUNDARIES } from "./boundaries/index.ts";
import type { Finding, Outcome } from "./run-cases.ts";
import { addUp, casesOf, tableOf } from "./tally.ts";
import type { Job } from "./tally.ts";

/** Milliseconds one case may take before it counts as one that never ends. */
const CASE_MAX_MS = 30_000;
/** Megabytes of the heap of a thread: a case that allocates by what its input says ends there. */
const HEAP_MB = 384;

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "600" },
    seed: { type: "string" },
    only: { type: "string", default: "" },
    from: { type: "string" },
    to: { type: "string" },
    threads: { type: "string", default: "2" },
  },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
const chosen = BOUNDARIES.filter(({ name }) => name.includes(values.only));
if (chosen.length === 0) throw new Error(`no boundary is called ${values.only}`);
const range = values.to === undefined ? undefined : { from: Number(values.from ?? 0), to: Number(values.to) };
const threads = range === undefined ? Math.min(Number(values.threads), cpus().length) : 1;
const jobs = casesOf(chosen, Number(values.cases), threads, range);
const endsAt = Date.now() + Number(values.seconds) * 1000;
const startedAt = performance.now();
process.stdout.write(`seed ${seed}\n`);

const outcomes: Outcome[] = [];
const findings: Finding[] = [];

/** Run the jobs of one thread. When one brings the thread down, the others go on in a new one. */
async function work(list: readonly Job[]): Promise<void> {
  let left = list;
  while (left.length > 0) {
    const { done, lost } = await inThread(left);
    for (const outcome of done) outcomes.push(outcome);
    if (lost !== undefined) {
      const { job, index, error } = lost;
      const name = job.name;
      findings.push({ name, seed, index, needsHistory: false, error, input: "not known: its thread is gone" });
      outcomes.push({ name, accepted: 0, refused: Math.max(0, index - job.from), ms: 0 });
    }
    left = left.slice(done.length + (lost === undefined ? 0 : 1));
    if (lost === undefined) return;
  }
}

interface Lost {
  readonly job: Job;
  readonly index: number;
  readonly error: string;
}

function inThread(list: readonly Job[]): Promise<{ done: Outcome[]; lost?: Lost }> {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL("./fuzz-worker.js", import.meta.url), {
    workerData: { jobs: list, seed, endsAt, words },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const done: Outcome[] = [];
  let lost: Lost | undefined;
  const lose = (error: string): void => {
    const job = list[done.length];
    if (job !== undefined) lost ??= { job, index: Atomics.load(words, 0), error };
  };
  let lastBeat = -1;
  let beatAt = performance.now();
  const watch = setInterval(() => {
    const beat = Atomics.load(words, 1);
    if (beat !== lastBeat) [lastBeat, beatAt] = [beat, performance.now()];
    if (performance.now() - beatAt <= CASE_MAX_MS) return;
    lose(`it had not ended after ${CASE_MAX_MS / 1000} seconds`);
    void worker.terminate();
  }, 500);
  worker.on("message", (outcome: Outcome) => {
    done.push(outcome);
    if (outcome.finding !== undefined) findings.push(outcome.finding);
  });
  worker.on("error", (error) => lose(`its thread ended: ${String(error)}`));
  return new Promise((resolve) => {
    worker.on("exit", () => {
      clearInterval(watch);
      if (done.length < list.length) lose("its thread ended");
      resolve(lost === undefined ? { done } : { done, lost });
    });
  });
}

await Promise.all(jobs.map(work));
const seconds = (performance.now() - startedAt) / 1000;
process.stdout.write(`${tableOf(addUp(outcomes), seconds)}\n`);
for (const { name, index, needsHistory, error, input } of findings) {
  const from = needsHistory ? "" : ` --from ${index}`;
  process.stdout.write(`\n${name}, case ${index}: ${error}\n  input: ${input.slice(0, 4000)}\n`);
  process.stdout.write(`  again: npm run fuzz -- --only "${name}" --seed ${seed}${from} --to ${index + 1}\n`);
}
process.exitCode = findings.length > 0 ? 1 : 0;
