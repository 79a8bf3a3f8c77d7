/** Event peers that are only messages: a bare port, a forked process, comlink, and no channel at all. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";

import { proxy, releaseProxy } from "comlink";

import { connectTo } from "../../src/transport/comlink-port.ts";
import type { EventComlinkApi } from "./event-comlink-worker.ts";
import type { OpenEventPeer } from "./event-peer.ts";
import { callingPeer, fastestEventPeer, TurnLoop } from "./event-peer.ts";
import type { TextDelta } from "./event-work.ts";
import { emitEvents } from "./event-work.ts";

const WORKER = new URL("./event-messages-worker.js", import.meta.url);
/** A message is an event, or says that a turn has ended. */
type Message = TextDelta | "end";

/** The limit of messages without batching: one structured clone per event, nothing around it. */
export const openPlainPosts: OpenEventPeer = (load, tally) =>
  fastestEventPeer(
    { "1 thread": 1, "2 threads": 2 },
    async (threads) => {
      const { events, bytes } = load;
      const workers = Array.from({ length: threads }, () => new Worker(WORKER));
      const loop = new TurnLoop(
        (channel, turns) => {
          for (let turn = 0; turn < turns; turn++) workers[channel]?.postMessage({ events, bytes });
        },
        threads,
        load.inFlight,
      );
      for (const [channel, worker] of workers.entries()) {
        worker.on("message", (message: Message) => (message === "end" ? loop.ended(channel, 1) : tally.consume(message)));
      }
      return {
        run: (durationMs) => loop.run(durationMs),
        close: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))),
      };
    },
    load,
    tally,
  );

/** A forked process, structured clone as serialisation, a message per event. */
export const openForkedEvents: OpenEventPeer = async ({ events, bytes, inFlight }, tally) => {
  const child = fork(fileURLToPath(WORKER), { serialization: "advanced" });
  const loop = new TurnLoop(
    (_, turns) => {
      for (let turn = 0; turn < turns; turn++) child.send({ events, bytes });
    },
    1,
    inFlight,
  );
  child.on("message", (message: Message) => (message === "end" ? loop.ended(0, 1) : tally.consume(message)));
  return {
    run: (durationMs) => loop.run(durationMs),
    close: async () => {
      child.kill();
      await once(child, "exit");
    },
  };
};

/** The consumer as a proxied callback, handed over once. The worker calls it for every event and awaits the calls of a turn together. */
export const openComlinkEvents: OpenEventPeer = async ({ events, bytes, inFlight }, tally) => {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL("./event-comlink-worker.js", import.meta.url), { workerData: { port: port2 }, transferList: [port2] });
  const remote = connectTo<EventComlinkApi>(port1);
  await remote.listen(proxy(tally.consume));
  return callingPeer(
    () => remote.turn({ events, bytes }),
    inFlight,
    async () => {
      remote[releaseProxy]();
      await worker.terminate();
    },
  );
};

/** No thread, no isolation: the consumer is called. */
export const openLocalEvents: OpenEventPeer = async (load, tally) =>
  callingPeer(
    async () => emitEvents(load, tally.consume),
    load.inFlight,
    async () => {},
  );
