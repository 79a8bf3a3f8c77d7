/** Spins until a shared flag is set, then says so; any other message it sends back. */
import { parentPort, workerData } from "node:worker_threads";

const flag = workerData as Int32Array;

parentPort?.on("message", (order: string) => {
  if (order === "spin") while (Atomics.load(flag, 0) === 0);
  parentPort?.postMessage(order);
});
