/** P3: how long a turn takes that has the host to itself, one at a time; and how long when they arrive at a steady rate (open loop). */
import type { Histogram } from "hdr-histogram-js";

import type { Contender, ContenderKind, Round, TargetResult } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { oneAtATime, openLoop, percentileUs } from "../harness/load.ts";
import { measured, ratioTarget, rounds } from "../harness/targets.ts";
import type { CallPeer } from "../peers/call-peer.ts";
import { CALL_PEERS } from "../peers/call-peers.ts";
import { openWarren } from "../peers/warren.ts";

interface Load {
  readonly sessions: number;
  /** Arrivals a second; without it one call follows the other. */
  readonly perSecond?: number;
}
type Call = (n: number) => Promise<unknown>;

const SESSIONS = 100;
/** A session is busy until its answer is here. In the open loop nobody waits, so sessions last for arrivals of two seconds. */
const OPEN_LOOP_SESSIONS = 4000;
const CALLS = 4000;
const LEAD_IN_CALLS = 500;
/** Many, for what runs once in a turn is compiled late. */
const WARM_UP_CALLS = 8000;
const OPEN_LOOP_MS = 400;
const OPEN_LOOP_WARM_UP_MS = 300;
/** A conversation: each turn follows the one before. */
const MAIN = "one session";
/** Its lane is another one's from turn to turn, so it has gone to sleep when it is wanted. */
const SPREAD = "100 sessions in turn";
/** A pool's configuration is chosen for one call at a time: in the open loop, too, there is hardly ever a second one. */
const IN_FLIGHT = 1;

async function measure(call: Call, { perSecond }: Load): Promise<Round> {
  const latencies = perSecond === undefined ? await oneAtATime(call, CALLS, true) : await openLoop(call, perSecond, OPEN_LOOP_MS);
  return { figures: { p50Us: percentileUs(latencies, 50), p99Us: percentileUs(latencies, 99) }, latencies };
}

function warmUp(call: Call, { perSecond }: Load): Promise<Histogram> {
  return perSecond === undefined ? oneAtATime(call, WARM_UP_CALLS, true) : openLoop(call, perSecond, OPEN_LOOP_WARM_UP_MS);
}

const leadIn = (call: Call): Promise<Histogram> => oneAtATime(call, LEAD_IN_CALLS, true);

function warren(latency: "balanced" | "low"): Contender<Load> {
  return {
    name: `warren ${latency}`,
    kind: "warren",
    open: async (load) => {
      const { sessions } = load;
      const peer = await openWarren({ sessions, latency });
      const call: Call = (n) => peer.service.startTurn(peer.ids[n % sessions] as string, { prompt: "" });
      await warmUp(call, load);
      return { leadIn: () => leadIn(call), round: () => measure(call, load), close: async () => peer[Symbol.asyncDispose]() };
    },
  };
}

function peer(name: string, kind: ContenderKind, open: (inFlight: number) => Promise<CallPeer>): Contender<Load> {
  return {
    name,
    kind,
    open: async (load) => {
      const opened = await open(IN_FLIGHT);
      const ids = Array.from({ length: load.sessions }, (_, n) => `019a9f00-0000-7000-8000-${String(n).padStart(12, "0")}`);
      const call: Call = (n) => opened.call({ sessionId: ids[n % ids.length] as string, prompt: "" });
      await warmUp(call, load);
      return {
        ...(opened.setup !== undefined && { setup: opened.setup }),
        leadIn: () => leadIn(call),
        round: () => measure(call, load),
        close: () => opened.close(),
      };
    },
  };
}

export const loneTurn = defineCase<Load>({
  name: "lone-turn",
  title: "Latency of a no-op turn",
  metrics: { p50Us: { unit: "µs", better: "lower" }, p99Us: { unit: "µs", better: "lower" } },
  yardstick: "bare echo",
  scenarios: [
    { name: MAIN, parameters: { sessions: 1 } },
    { name: SPREAD, parameters: { sessions: SESSIONS } },
    { name: "open loop, 2,000/s", parameters: { sessions: OPEN_LOOP_SESSIONS, perSecond: 2000 } },
  ],
  smoke: [MAIN],
  contenders: [warren("balanced"), warren("low"), ...CALL_PEERS.map(({ name, kind, open }) => peer(name, kind, open))],
  targets: (results) => {
    const overEcho = (scenario: string, name: string, metric: "p50Us" | "p99Us", limit: number, what: string): TargetResult =>
      ratioTarget(
        { id: "P3", what: `${what} (${scenario})`, limit, better: "lower" },
        rounds(measured(results, scenario, name), metric),
        rounds(measured(results, scenario, "bare echo"), metric),
      );
    return [MAIN, SPREAD].flatMap((scenario) => [
      overEcho(scenario, "warren balanced", "p50Us", 1.15, "p50 of a lone turn over a bare echo's"),
      overEcho(scenario, "warren low", "p50Us", 0.4, 'the same with latency: "low"'),
      overEcho(scenario, "warren balanced", "p99Us", 2, "p99 of a lone turn over a bare echo's"),
    ]);
  },
});
