/** The session store in a worker, behind comlink. */
import type { MessagePort } from "node:worker_threads";
import { workerData } from "node:worker_threads";

import { exposeOn } from "../../src/transport/comlink-port.ts";
import { SessionStore } from "./session-store.ts";

exposeOn((workerData as { port: MessagePort }).port, new SessionStore());
