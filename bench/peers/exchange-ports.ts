/** Two threads that exchange plain messages: over a port from one to the other, or through the main thread as a host without lanes would. */
import { once } from "node:events";
import { MessageChannel, Worker } from "node:worker_threads";

import type { Exchanged, Way } from "./exchange.ts";

/** Two parties in different threads, one of which sends and measures. */
export interface ExchangePeer {
  send(way: Way, inFlight: number, durationMs: number): Promise<Exchanged>;
  close(): Promise<void>;
}

const ENTRY = new URL("./exchange-worker.js", import.meta.url);

/** The limit: nobody in between, nobody who knows names, no bound. */
export async function openDirectPorts(): Promise<ExchangePeer> {
  const { port1, port2 } = new MessageChannel();
  const sender = new Worker(ENTRY, { workerData: { port: port1 }, transferList: [port1] });
  const answerer = new Worker(ENTRY, { workerData: { port: port2 }, transferList: [port2] });
  return peerOf(sender, [sender, answerer]);
}

/** Main takes each message from the one port and posts it to the other. */
export async function openRelayedPorts(): Promise<ExchangePeer> {
  const [a, b] = [new MessageChannel(), new MessageChannel()];
  const sender = new Worker(ENTRY, { workerData: { port: a.port1 }, transferList: [a.port1] });
  const answerer = new Worker(ENTRY, { workerData: { port: b.port1 }, transferList: [b.port1] });
  a.port2.on("message", (message: unknown) => b.port2.postMessage(message));
  b.port2.on("message", (message: unknown) => a.port2.postMessage(message));
  return peerOf(sender, [sender, answerer]);
}

function peerOf(sender: Worker, workers: readonly Worker[]): ExchangePeer {
  return {
    // Without bound or receipt of its own, a message is an exchange like any other: its answer says that it arrived.
    send: async (way, inFlight, durationMs) => {
      sender.postMessage({ role: "send", to: "answerer", way, inFlight, durationMs });
      const [measured] = (await once(sender, "message")) as [Exchanged];
      return measured;
    },
    close: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))),
  };
}
