/** The soak's agent: does what its prompt says, a `SoakPrompt` as JSON, and answers with the prompt's id. */
import { setTimeout as pause } from "node:timers/promises";

import { defineAgent } from "../../src/agent.ts";
import type { TurnContext } from "../../src/protocol/agent.ts";

export interface SoakPrompt {
  /** Of the turn: unique in the run. */
  readonly id: string;
  readonly does: keyof typeof DEEDS;
  readonly count?: number;
}

type Deed = (turn: TurnContext, count: number) => unknown;

const DEEDS = {
  answer: () => {},
  emit: async (turn, count) => {
    for (let i = 0; i < count; i++) await turn.emit({ type: "text_delta", delta: `event ${i}` });
  },
  sleep: async ({ signal }, count) => pause(count, undefined, { signal }),
  poll: ({ isInterrupted }, count) => {
    for (const end = performance.now() + count; performance.now() < end && !isInterrupted(););
  },
  /** Goes on through its interrupt: its run is given up. */
  ignore: async (turn) => {
    await turn.emit({ type: "text_delta", delta: "started" });
    await pause(2000);
  },
  checkpoint: (turn) => turn.checkpoint(),
  fail: () => {
    throw new Error("as asked");
  },
  flood: (turn) => {
    for (let i = 0; i < 5000; i++) void turn.emit({ type: "text_delta", delta: "too many" });
  },
  stray: () => void Promise.reject(new Error("nobody waits for this")),
  exit: () => process.exit(1),
  exitLater: () => void setTimeout(() => process.exit(1), 5),
  block: async (turn) => {
    await turn.emit({ type: "text_delta", delta: "started" });
    await pause(1);
    for (;;);
  },
  devour: () => {
    for (const hoard = []; ;) hoard.push(Array.from({ length: 100_000 }, Math.random));
  },
} satisfies Record<string, Deed>;

export default defineAgent(async (turn) => {
  const { id, does, count = 0 } = JSON.parse(turn.prompt) as SoakPrompt;
  await DEEDS[does](turn, count);
  return id;
});
