/**
 * The limit of what Warren's transport can do: the same records in the same msgpack frames, there and back, with nothing behind them.
 * No sessions, no locks, no promises, no checks of requests; both ends only pack, unpack and count.
 */
import { Worker } from "node:worker_threads";

import { COMMANDS, FRAME_RECORDS_MAX, REPORTS } from "../../src/protocol/frames.ts";
import type { ResultReport } from "../../src/protocol/frames.ts";
import { encodeFrame, frameReader } from "../../src/transport/codec.ts";
import type { Subject } from "../harness/case.ts";

const read = frameReader<ResultReport>(REPORTS);
/** As an outbox: a frame of this much payload leaves at once. */
const FRAME_BYTES_MAX = 256 * 1024;
const FIRST_TICKET = Date.UTC(2026, 0) * 2048;
const WARM_UP_MS = 300;
const LEAD_IN_MS = 200;

export interface BareFramesLoad {
  /** Records on their way. */
  readonly inFlight: number;
  /** Text of every record. */
  readonly prompt: string;
  readonly roundMs: number;
  readonly workers?: number;
}

export async function openBareFrames({ inFlight, prompt, roundMs, workers: wanted }: BareFramesLoad): Promise<Subject> {
  const workers = Array.from(
    { length: Math.min(wanted ?? 2, inFlight) },
    () => new Worker(new URL("./bare-frames-worker.js", import.meta.url)),
  );
  // Two frames of every worker on their way, so that neither end waits for the other.
  const fitting = Math.ceil(FRAME_BYTES_MAX / Math.max(1, prompt.length));
  const records = Math.max(1, Math.min(FRAME_RECORDS_MAX, fitting, Math.floor(inFlight / workers.length / 2)));
  const frames = Math.max(workers.length, Math.floor(inFlight / records));
  let ticket = FIRST_TICKET;
  const send = (worker: Worker): void => {
    const batch = Array.from({ length: records }, (_, n) => [COMMANDS.TURN.op, ticket % 10_000, 1, ticket + n, prompt]);
    ticket += records;
    const frame = encodeFrame(batch);
    worker.postMessage(frame, [frame.buffer as ArrayBuffer]);
  };
  const measure = (durationMs: number): Promise<number> =>
    new Promise((resolve) => {
      let answered = 0;
      let outstanding = frames;
      const startedAt = performance.now();
      for (const worker of workers) {
        worker.removeAllListeners("message");
        worker.on("message", (frame: Uint8Array) => {
          answered += read(frame).length;
          if (performance.now() - startedAt < durationMs) send(worker);
          else if (--outstanding === 0) resolve(answered / ((performance.now() - startedAt) / 1000));
        });
      }
      for (let frame = 0; frame < frames; frame++) send(workers[frame % workers.length] as Worker);
    });
  await measure(WARM_UP_MS);
  return {
    setup: `${workers.length} threads, ${records} records a frame`,
    leadIn: () => measure(LEAD_IN_MS),
    round: async () => ({ figures: { perSecond: await measure(roundMs) } }),
    close: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))),
  };
}
