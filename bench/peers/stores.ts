/** The session store as a contender: in a worker behind comlink, and in process. */
import { MessageChannel, Worker } from "node:worker_threads";

import { releaseProxy } from "comlink";

import { connectTo } from "../../src/transport/comlink-port.ts";
import { SessionStore } from "./session-store.ts";

type Methods = "create" | "createMany" | "read" | "list" | "startTurn" | "endTurn" | "clear";
type StoreApi = {
  [M in Methods]: (...args: Parameters<SessionStore[M]>) => Promise<ReturnType<SessionStore[M]>>;
};

export interface StorePeer {
  readonly store: StoreApi;
  close(): Promise<void>;
}

export async function openComlinkStore(): Promise<StorePeer> {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL("./session-store-worker.js", import.meta.url), { workerData: { port: port2 }, transferList: [port2] });
  const remote = connectTo<SessionStore>(port1);
  return {
    store: remote as unknown as StoreApi,
    close: async () => {
      remote[releaseProxy]();
      await worker.terminate();
    },
  };
}

/** Every call is an async function, as Warren's are. */
export async function openStoreInProcess(): Promise<StorePeer> {
  const store = new SessionStore();
  return {
    store: {
      create: async (labels) => store.create(labels),
      createMany: async (count) => store.createMany(count),
      read: async (id) => store.read(id),
      list: async (query) => store.list(query),
      startTurn: async (id, sliceMs) => store.startTurn(id, sliceMs),
      endTurn: async (id) => store.endTurn(id),
      clear: async () => store.clear(),
    },
    close: async () => {},
  };
}
