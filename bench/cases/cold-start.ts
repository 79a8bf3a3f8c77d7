/** P11: from nothing to the first answer. A new process for every round; its modules are loaded before the clock starts. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { Piscina } from "piscina";

import type { Contender, Subject } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { measured, rounds, valueTarget } from "../harness/targets.ts";
import type { CallRequest } from "../peers/call-peer.ts";
import { openBareEcho } from "../peers/messages.ts";
import { POOL_WORKER } from "../peers/pools.ts";
import { openWarren } from "../peers/warren.ts";

const SCENARIO = "open to first answer, 2 threads";
const REQUEST: CallRequest = { sessionId: "019a9f00-0000-7000-8000-000000000000", prompt: "hello" };

/** @returns milliseconds that a new process takes to import a module */
async function importMsOf(module: string): Promise<number> {
  const program = `const startedAt = performance.now(); await import(${JSON.stringify(module)}); console.log(performance.now() - startedAt);`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
  return Number(stdout);
}

/** @param first - from nothing to the first answer; returns what closes it again */
function contender(
  name: string,
  kind: Contender<object>["kind"],
  module: string | undefined,
  first: () => Promise<() => Promise<unknown>>,
): Contender<object> {
  return {
    name,
    kind,
    open: async (): Promise<Subject> => ({
      round: async () => {
        const importMs = module === undefined ? undefined : await importMsOf(module);
        const startedAt = performance.now();
        const close = await first();
        const firstMs = performance.now() - startedAt;
        await close();
        return { figures: { firstMs, ...(importMs !== undefined && { importMs }) } };
      },
      close: async () => {},
    }),
  };
}

export const coldStart = defineCase({
  name: "cold-start",
  title: "Cold start",
  metrics: { firstMs: { unit: "ms", better: "lower" }, importMs: { unit: "ms", better: "lower" } },
  yardstick: "bare worker",
  scenarios: [{ name: SCENARIO, parameters: {} }],
  smoke: [SCENARIO],
  isFresh: true,
  contenders: [
    contender("warren balanced", "warren", new URL("../../src/index.js", import.meta.url).href, async () => {
      const peer = await openWarren({ sessions: 0 });
      const { text } = await peer.service.createSession({ prompt: REQUEST.prompt });
      if (text !== REQUEST.prompt) throw new Error(`the first turn answered ${JSON.stringify(text)}`);
      return async () => peer[Symbol.asyncDispose]();
    }),
    contender("piscina", "peer", import.meta.resolve("piscina"), async () => {
      const pool = new Piscina({ filename: POOL_WORKER, minThreads: 2, maxThreads: 2 });
      await pool.run(REQUEST);
      return () => pool.destroy();
    }),
    contender("bare worker", "limit", undefined, async () => {
      const peer = await openBareEcho();
      await peer.call(REQUEST);
      return () => peer.close();
    }),
  ],
  targets: (results) => [
    valueTarget(
      { id: "P11", what: "open() to first turn done, 2 lanes", limit: 250, unit: "ms", better: "lower" },
      rounds(measured(results, SCENARIO, "warren balanced"), "firstMs"),
    ),
  ],
});
