/** An agent whose turns do not end by themselves, each in the way its prompt says; any other prompt is its own answer. */
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
  listen: ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(""), { once: true })),
  /** Waits, and does not care. */
  ignore: () => new Promise(() => {}),
  /** A busy loop that does not ask. */
  block: () => {
    for (;;);
  },
  /** Which lane it is in. */
  lane: () => String(threadId),
};

export default defineAgent((turn) => WAYS[turn.prompt]?.(turn) ?? turn.prompt);
