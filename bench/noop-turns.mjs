/**
 * No-op turns a second: 2 lanes, 10,000 sessions, 4,096 turns in flight, everything on (validation, locks, transcript, results).
 *
 * Closed loop: 4,096 callers each start a turn on a session of their own choice of the 10,000, one after the other. Prints every
 * round and the median with its spread, and exits 1 when the median is below the target.
 *
 *   node bench/noop-turns.mjs [--lanes 2] [--sessions 10000] [--in-flight 4096] [--rounds 5] [--turns 400000] [--target 200000]
 */
import { parseArgs } from "node:util";

import { EphemeralSessionService } from "../dist/src/index.js";

const { values } = parseArgs({
  options: {
    lanes: { type: "string", default: "2" },
    sessions: { type: "string", default: "10000" },
    "in-flight": { type: "string", default: "4096" },
    rounds: { type: "string", default: "5" },
    turns: { type: "string", default: "400000" },
    target: { type: "string", default: "200000" },
  },
});
const [lanes, sessions, inFlight, rounds, turns, target] = ["lanes", "sessions", "in-flight", "rounds", "turns", "target"].map((name) =>
  Number(values[name]),
);

const service = await EphemeralSessionService.open({ agent: new URL("./agents/noop.mjs", import.meta.url), lanes: { count: lanes } });
const ids = (await Promise.all(Array.from({ length: sessions }, () => service.createSession({ prompt: "", initialTurn: "defer" })))).map(
  ({ sessionId }) => sessionId,
);

/** Every caller walks its own share of the sessions, so none is ever busy. */
async function round(count) {
  let left = count;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async (_, caller) => {
      for (let at = caller; left-- > 0; at = at + inFlight < ids.length ? at + inFlight : caller) {
        await service.startTurn(ids[at], { prompt: "" });
      }
    }),
  );
  return count / ((performance.now() - startedAt) / 1000);
}

await round(turns / 2); // warm-up: compilers and structures
const rates = [];
for (let n = 1; n <= rounds; n++) {
  rates.push(await round(turns));
  console.log(`round ${n}: ${Math.round(rates.at(-1)).toLocaleString("en")} turns/s`);
}
rates.sort((a, b) => a - b);
const median = rates[Math.floor(rates.length / 2)];
console.log(
  `no-op turns: median ${Math.round(median).toLocaleString("en")}/s (${Math.round(rates[0]).toLocaleString("en")} to ${Math.round(rates.at(-1)).toLocaleString("en")}), ` +
    `${lanes} lanes, ${sessions} sessions, ${inFlight} in flight; target ${target.toLocaleString("en")}/s: ${median >= target ? "met" : "missed"}`,
);
process.exitCode = median >= target ? 0 : 1;
await service.shutdown();
