/** Comlink's worker of the event case. */
import type { MessagePort } from "node:worker_threads";
import { workerData } from "node:worker_threads";

import { exposeOn } from "../../src/transport/comlink-port.ts";
import type { EventJob, TextDelta } from "./event-work.ts";
import { emitEvents } from "./event-work.ts";

/** The consumer on main: every call is a message there and an answer back. */
type RemoteConsumer = (event: TextDelta) => Promise<void>;

let consume: RemoteConsumer = () => Promise.reject(new Error("nobody listens"));
const api = {
  listen(consumer: unknown): void {
    consume = consumer as RemoteConsumer;
  },
  async turn(job: EventJob): Promise<void> {
    const calls: Promise<void>[] = [];
    emitEvents(job, (event) => calls.push(consume(event)));
    await Promise.all(calls);
  },
};
export type EventComlinkApi = typeof api;

exposeOn((workerData as { port: MessagePort }).port, api);
