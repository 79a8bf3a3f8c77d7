/** The far end of event peers that are only messages, in a thread or in a process: every event is a message, and so is a turn's end. */
import { parentPort } from "node:worker_threads";

import type { EventJob } from "./event-work.ts";
import { emitEvents } from "./event-work.ts";

if (parentPort === null) {
  process.on("message", (job: EventJob) => {
    emitEvents(job, (event) => process.send?.(event));
    process.send?.("end");
  });
} else {
  const port = parentPort;
  port.on("message", (job: EventJob) => {
    emitEvents(job, (event) => port.postMessage(event));
    port.postMessage("end");
  });
}
