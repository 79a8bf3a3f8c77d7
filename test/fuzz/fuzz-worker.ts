/** A thread of `npm run fuzz`: its jobs one after the other. */
import { parentPort, workerData } from "node:worker_threads";

import { BOUNDARIES } from "./boundaries/index.ts";
import { runCases } from "./run-cases.ts";
import type { Job } from "./tally.ts";

const { jobs, seed, endsAt, words } = workerData as { jobs: readonly Job[]; seed: number; endsAt: number; words: Int32Array };
/** Words: the case it is at; how often it came to a new one. */
const onCase = (index: number): void => {
  Atomics.store(words, 0, index);
  Atomics.add(words, 1, 1);
};

/** Of the time that is left a boundary gets its part: what it does not use is for those behind it. */
const endOf = (at: number): number => Date.now() + (endsAt - Date.now()) / (jobs.length - at);

for (const [at, { name, from, to }] of jobs.entries()) {
  const boundary = BOUNDARIES.find((candidate) => candidate.name === name);
  if (boundary === undefined) throw new Error(`no boundary ${name}`);
  const jobEndsAt = endOf(at);
  const hooks = { onCase, isOver: () => Date.now() > jobEndsAt };
  parentPort?.postMessage(await runCases(boundary, { seed, from, to }, hooks));
}
