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

for (const { name, from, to } of jobs) {
  const boundary = BOUNDARIES.find((candidate) => candidate.name === name);
  if (boundary === undefined) throw new Error(`no boundary ${name}`);
  const hooks = { onCase, isOver: () => Date.now() > endsAt };
  parentPort?.postMessage(await runCases(boundary, { seed, from, to }, hooks));
}
