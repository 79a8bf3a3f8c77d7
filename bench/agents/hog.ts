/**
 * An agent whose turns do not end by themselves, each in the way its prompt says; any other prompt is its own answer.
 * Before it does so it emits "started" and lets that leave, so that who interrupts it knows what is interrupted.
 */
import { setImmediate as nextLoop } from "node:timers/promises";
import { threadId } from "node:worker_threads";

import type { TurnContext } from "../../src/agent.ts";
import { defineAgent } from "../../src/agent.ts";

const WAYS: Readonly<Record<string, (turn: TurnContext) => string | Promise<string>>> = {
  /** A busy loop that asks whether it shall stop. */
  poll: ({ isInterrupted }) => {
    while (!isInterrupted());
    return "";
  },
  /** Waits, and is told. */
  listen: ({ signal }) =>
    new Promise((resolve) => {
      if (signal.aborted) resolve("");
      else signal.addEventListener("abort", () => resolve(""), { once: true });
    }),
  /** Waits, and does not care. */
  ignore: () => new Promise(() => {}),
  /** A busy loop that does not ask. */
  block: () => {
    for (;;);
  },
};

export default defineAgent((turn) => {
  if (turn.prompt === "lane") return String(threadId);
  const way = WAYS[turn.prompt];
  return way === undefined ? turn.prompt : begin(turn).then(() => way(turn));
});

async function begin({ emit }: TurnContext): Promise<void> {
  await emit({ type: "started" });
  await nextLoop();
}
