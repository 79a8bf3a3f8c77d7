/** The other end of a plain message channel, in a thread or in a process: one message in, one message out. */
import { parentPort } from "node:worker_threads";

import type { CallRequest } from "./call-peer.ts";
import { answer } from "./call-peer.ts";

type Numbered = { id: number; request: CallRequest };

if (parentPort === null) process.on("message", ({ id, request }: Numbered) => process.send?.({ id, result: answer(request) }));
else {
  const port = parentPort;
  port.on("message", ({ id, request }: Numbered) => port.postMessage({ id, result: answer(request) }));
}
