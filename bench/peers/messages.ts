/** Peers that are only a message channel and a map of calls: comlink, a forked process, a bare port, and no channel at all. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";

import { releaseProxy } from "comlink";

import { connectTo } from "../../src/transport/comlink-port.ts";
import type { CallPeer, CallResult } from "./call-peer.ts";
import { answer, PendingCalls } from "./call-peer.ts";

const WORKER = new URL("./messages-worker.js", import.meta.url);
type Numbered = { id: number; result: CallResult };

export async function openComlink(): Promise<CallPeer> {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL("./comlink-worker.js", import.meta.url), { workerData: { port: port2 }, transferList: [port2] });
  const remote = connectTo<{ answer: typeof answer }>(port1);
  return {
    call: (request) => remote.answer(request),
    close: async () => {
      remote[releaseProxy]();
      await worker.terminate();
    },
  };
}

/** A forked process, structured clone as serialisation. */
export async function openFork(): Promise<CallPeer> {
  const child = fork(fileURLToPath(WORKER), { serialization: "advanced" });
  const calls = new PendingCalls();
  child.on("message", ({ id, result }: Numbered) => calls.settle(id, result));
  return {
    call: (request) => calls.open((id) => child.send({ id, request })),
    close: async () => {
      child.kill();
      await once(child, "exit");
    },
  };
}

/** The limit of message passing without batching: a worker's port, a plain object each way. */
export function openBareEcho(): Promise<CallPeer> {
  return openWorker(WORKER);
}

/** A host of one thread: all sessions and all agents in it. */
export function openSingleThreadHost(): Promise<CallPeer> {
  return openWorker(new URL("./single-thread-worker.js", import.meta.url));
}

async function openWorker(entry: URL): Promise<CallPeer> {
  const worker = new Worker(entry);
  const calls = new PendingCalls();
  worker.on("message", ({ id, result }: Numbered) => calls.settle(id, result));
  return {
    call: (request) => calls.open((id) => worker.postMessage({ id, request })),
    close: async () => void (await worker.terminate()),
  };
}

/** No thread, no isolation: an async function. */
export async function openInProcess(): Promise<CallPeer> {
  return { call: async (request) => answer(request), close: async () => {} };
}
