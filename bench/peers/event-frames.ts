/**
 * The limit of what Warren's transport can do with events: msgpack frames, moved to main, read, and handed to the consumer one by one. No sessions, no envelopes, no credits, no promises.
 */
import { Worker } from "node:worker_threads";

import { COMMANDS, REPORTS } from "../../src/protocol/frames.ts";
import type { DeltasReport, EventReport, ResultReport } from "../../src/protocol/frames.ts";
import { encodeFrame, frameReader } from "../../src/transport/codec.ts";
import type { OpenEventPeer } from "./event-peer.ts";
import { fastestEventPeer, TurnLoop } from "./event-peer.ts";
import type { TextDelta } from "./event-work.ts";
import { promptOf } from "./event-work.ts";

const read = frameReader<DeltasReport | EventReport | ResultReport>(REPORTS);
const FIRST_TICKET = Date.UTC(2026, 0) * 2048;

/** @param layout - "records": one for every event; "rows": as Warren sends text deltas, those of one millisecond in one record */
export const openEventFrames =
  (layout: "records" | "rows"): OpenEventPeer =>
  (load, tally) =>
    fastestEventPeer(
      { "1 thread": 1, "2 threads": 2 },
      async (threads) => {
        const workers = Array.from(
          { length: threads },
          () => new Worker(new URL("./event-frames-worker.js", import.meta.url), { workerData: layout }),
        );
        const prompt = promptOf(load);
        let ticket = FIRST_TICKET;
        const loop = new TurnLoop(
          (channel, turns) => {
            const batch = Array.from({ length: turns }, (_, slot) => [COMMANDS.TURN.op, slot, 1, ticket++, prompt]);
            const frame = encodeFrame(batch);
            workers[channel]?.postMessage(frame, [frame.buffer as ArrayBuffer]);
          },
          threads,
          load.inFlight,
        );
        for (const [channel, worker] of workers.entries()) {
          worker.on("message", (frame: Uint8Array) => {
            let ended = 0;
            for (const record of read(frame)) {
              if (record[0] === REPORTS.EVENT.op) tally.consume(record[6] as TextDelta);
              else if (record[0] === REPORTS.DELTAS.op) for (const delta of record[6]) tally.consume({ type: "text_delta", delta });
              else ended++;
            }
            if (ended > 0) loop.ended(channel, ended);
          });
        }
        return {
          run: (durationMs) => loop.run(durationMs),
          close: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))),
        };
      },
      load,
      tally,
    );
