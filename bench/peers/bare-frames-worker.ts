/** The far end of bare batched frames: unpacks a frame of turn records, packs one of result records. */
import { parentPort } from "node:worker_threads";

import { ticketWord } from "../../src/core/tickets.ts";
import { COMMANDS, REPORTS } from "../../src/protocol/frames.ts";
import type { TurnCommand } from "../../src/protocol/frames.ts";
import { encodeFrame, frameReader } from "../../src/transport/codec.ts";

const read = frameReader<TurnCommand>(COMMANDS);

parentPort?.on("message", (frame: Uint8Array) => {
  const results = read(frame).map(([, slot, generation, ticket, prompt]) => {
    return [REPORTS.RESULT.op, slot, generation, ticketWord(ticket), prompt, 1, 0, 0, 0];
  });
  const answer = encodeFrame(results);
  parentPort?.postMessage(answer, [answer.buffer as ArrayBuffer]);
});
