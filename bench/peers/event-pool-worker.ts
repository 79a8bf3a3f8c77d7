/** Task of piscina's and tinypool's workers in the event case. */
import type { MessagePort } from "node:worker_threads";
import { parentPort } from "node:worker_threads";

import type { EventJob } from "./event-work.ts";
import { emitEvents } from "./event-work.ts";

export interface PoolTask extends EventJob {
  /** Where this task's events go. */
  readonly port?: MessagePort;
  /** Where also those of every later task of this worker go. */
  readonly isForGood?: boolean;
}

let standing: Pick<MessagePort, "postMessage"> | null = parentPort;

export default function turn({ port, isForGood = false, ...job }: PoolTask): void {
  if (port && isForGood) standing = port;
  const to = port ?? standing;
  emitEvents(job, (event) => to?.postMessage(event));
  if (!isForGood) port?.close();
}
