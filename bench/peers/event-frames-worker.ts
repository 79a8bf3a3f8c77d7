/** The far end of bare batched event frames: packs the events of every turn it is sent, in frames as large as a lane's. */
import { parentPort, workerData } from "node:worker_threads";

import { ticketWord } from "../../src/core/tickets.ts";
import { COMMANDS, FRAME_RECORDS_MAX, REPORTS } from "../../src/protocol/frames.ts";
import type { TurnCommand } from "../../src/protocol/frames.ts";
import { encodeFrame, frameReader } from "../../src/transport/codec.ts";
import type { EventJob } from "./event-work.ts";
import { emitEvents, jobOf } from "./event-work.ts";

/** As a lane's outbox. */
const FRAME_BYTES_MAX = 256 * 1024;

const read = frameReader<TurnCommand>(COMMANDS);
let records: (readonly unknown[])[] = [];
let bytes = 0;

function append(record: readonly unknown[], size: number): void {
  records.push(record);
  bytes += size;
  if (records.length >= FRAME_RECORDS_MAX || bytes >= FRAME_BYTES_MAX) flush();
}

function grow(size: number): void {
  bytes += size;
  if (bytes >= FRAME_BYTES_MAX) flush();
}

function flush(): void {
  if (records.length > 0) {
    const frame = encodeFrame(records);
    parentPort?.postMessage(frame, [frame.buffer as ArrayBuffer]);
  }
  records = [];
  bytes = 0;
}

/** As Warren sends text deltas: those of one millisecond in one record. */
function rowsOf(job: EventJob, head: readonly number[]): void {
  let row: unknown[] | undefined;
  let deltas: string[] = [];
  let rowMs = 0;
  let seq = 0;
  emitEvents(job, ({ delta }) => {
    const nowMs = Date.now();
    seq++;
    if (row !== undefined && rowMs === nowMs && records.at(-1) === row) {
      deltas.push(delta);
      grow(delta.length);
      return;
    }
    deltas = [delta];
    rowMs = nowMs;
    row = [REPORTS.DELTAS.op, ...head, seq, nowMs, deltas];
    append(row, delta.length);
  });
}

function recordsOf(job: EventJob, head: readonly number[]): void {
  let seq = 0;
  emitEvents(job, (event) => append([REPORTS.EVENT.op, ...head, ++seq, Date.now(), event], event.delta.length));
}

parentPort?.on("message", (frame: Uint8Array) => {
  for (const [, slot, generation, ticket, prompt] of read(frame)) {
    const head = [slot, generation, ticketWord(ticket)];
    if (workerData === "rows") rowsOf(jobOf(prompt), head);
    else recordsOf(jobOf(prompt), head);
    append([REPORTS.RESULT.op, ...head, "", 1, 0, 0, 0], 0);
  }
  flush();
});
