/** A thread that sends messages over a port to another thread, or answers them: plain objects, one a message. */
import type { MessagePort } from "node:worker_threads";
import { parentPort, workerData } from "node:worker_threads";

import type { Exchanged, PeerOrder } from "./exchange.ts";
import { EXCHANGED, measureExchange } from "./exchange.ts";

const { port } = workerData as { port: MessagePort };
type Message = { readonly id: number; readonly from: string; readonly text: string; readonly isAnswer: boolean };

const waiting = new Map<number, () => void>();
let lastId = 0;
port.on("message", ({ id, isAnswer }: Message) => {
  if (!isAnswer) port.postMessage({ id, from: "answerer", text: EXCHANGED, isAnswer: true } satisfies Message);
  else {
    waiting.get(id)?.();
    waiting.delete(id);
  }
});

const exchange = (): Promise<void> =>
  new Promise((resolve) => {
    waiting.set(++lastId, resolve);
    port.postMessage({ id: lastId, from: "sender", text: EXCHANGED, isAnswer: false } satisfies Message);
  });

parentPort?.on("message", (order: Extract<PeerOrder, { role: "send" }>) => {
  void measureExchange(exchange, order.inFlight, order.durationMs).then((measured) =>
    parentPort?.postMessage(measured satisfies Exchanged),
  );
});
