/** The far end of bare batched event frames: packs the events of every turn it is sent, in frames as large as a lane's. */
import { parentPort } from "node:worker_threads";

import { COMMANDS, FRAME_RECORDS_MAX, REPORTS } from "../../src/protocol/frames.ts";
import type { TurnCommand } from "../../src/protocol/frames.ts";
import { encodeFrame, frameReader } from "../../src/transport/codec.ts";
import { emitEvents, jobOf } from "./event-work.ts";

/** As a lane's outbox. */
const FRAME_BYTES_MAX = 256 * 1024;

const read = frameReader<TurnCommand>(COMMANDS);
let records: unknown[][] = [];
let bytes = 0;

function append(record: unknown[], size: number): void {
  records.push(record);
  bytes += size;
  if (records.length >= FRAME_RECORDS_MAX || bytes >= FRAME_BYTES_MAX) flush();
}

function flush(): void {
  if (records.length > 0) parentPort?.postMessage(encodeFrame(records));
  records = [];
  bytes = 0;
}

parentPort?.on("message", (frame: Uint8Array) => {
  for (const [, slot, generation, ticket, prompt] of read(frame)) {
    let seq = 0;
    emitEvents(jobOf(prompt), (event) =>
      append([REPORTS.EVENT.op, slot, generation, ticket, ++seq, Date.now(), event], event.delta.length),
    );
    append([REPORTS.RESULT.op, slot, generation, ticket, "", 1, 0, [0, 0], undefined, undefined], 0);
  }
  flush();
});
