/** Comlink's worker. */
import type { MessagePort } from "node:worker_threads";
import { workerData } from "node:worker_threads";

import { exposeOn } from "../../src/transport/comlink-port.ts";
import { answer } from "./call-peer.ts";

exposeOn((workerData as { port: MessagePort }).port, { answer });
