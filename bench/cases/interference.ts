/**
 * P8: what a session in a busy loop does to the turns of others. The quiet sessions get an open-loop load, so a turn that waits shows.
 *
 * Warren: the hog is in one of two lanes, the load goes to sessions of the other. Single-thread host: there is one thread. Bare echo:
 * the hog is a thread beside the one that answers, so what its latencies grow by is what two cores do to three threads.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type { Contender, Round } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { openLoop, percentileUs } from "../harness/load.ts";
import { pairedRatios } from "../harness/stats.ts";
import { measured, ratioTarget, rounds } from "../harness/targets.ts";
import { openBareEcho, openSingleThreadHost } from "../peers/messages.ts";
import { Spinner } from "../peers/spinner.ts";
import { openWarren, startHog } from "../peers/warren.ts";

interface Load {
  readonly hog: boolean;
}

/** Turns a second: well below 30 % of a core in every contender, see the metric `cores` where nothing else runs. */
const RATE = 2000;
const ROUND_MS = 2000;
/** More than elsewhere: one hiccup of the machine is a round's p99. */
const ROUNDS = 7;
const WARM_UP_MS = 1000;
/** So many that a session's turn is over long before its next one. */
const SESSIONS = 8000;
/** Milliseconds a bare worker gets to be in its loop. */
const START_MS = 20;

/** @param call - a turn of a quiet session, the n-th; @param durationMs - of arrivals */
async function loaded(call: (n: number) => Promise<unknown>, durationMs: number): Promise<Round> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const latencies = await openLoop(call, RATE, durationMs);
  const { user, system } = process.cpuUsage(cpu);
  const cores = (user + system) / 1000 / (performance.now() - startedAt);
  return { figures: { p50Us: percentileUs(latencies, 50), p99Us: percentileUs(latencies, 99), cores }, latencies };
}

const warren: Contender<Load> = {
  name: "warren balanced",
  kind: "warren",
  open: async ({ hog }) => {
    const peer = await openWarren({ agentName: "hog", sessions: SESSIONS });
    const { service, ids } = peer;
    const lanes = await Promise.all(ids.map(async (id) => (await service.startTurn(id, { prompt: "lane" })).text));
    const hogId = ids[0] as string;
    const quiet = ids.filter((_, n) => lanes[n] !== lanes[0]);
    if (quiet.length < SESSIONS / 4) throw new Error(`only ${quiet.length} of ${SESSIONS} sessions are in the other lane`);
    const call = (n: number) => service.startTurn(quiet[n % quiet.length] as string, { prompt: "" });
    await loaded(call, WARM_UP_MS);
    return {
      round: async () => {
        if (!hog) return loaded(call, ROUND_MS);
        const { ended } = await startHog(service, hogId, "poll");
        const round = await loaded(call, ROUND_MS);
        await service.interrupt(hogId); // throws when it did not run
        await ended;
        return round;
      },
      close: async () => peer[Symbol.asyncDispose](),
    };
  },
};

const bareEcho: Contender<Load> = {
  name: "bare echo",
  kind: "limit",
  open: async ({ hog }) => {
    const peer = await openBareEcho();
    const spinner = new Spinner();
    await spinner.echo();
    const call = (n: number) => peer.call({ sessionId: String(n % SESSIONS), prompt: "" });
    await loaded(call, WARM_UP_MS);
    return {
      round: async () => {
        if (!hog) return loaded(call, ROUND_MS);
        const spun = spinner.spin();
        await sleep(START_MS);
        const round = await loaded(call, ROUND_MS);
        spinner.stop();
        await spun;
        return round;
      },
      close: async () => {
        await spinner.kill();
        await peer.close();
      },
    };
  },
};

const singleThreadHost: Contender<Load> = {
  name: "single-thread host",
  kind: "peer",
  open: async ({ hog }) => {
    const peer = await openSingleThreadHost();
    const call = (n: number) => peer.call({ sessionId: String(n % SESSIONS), prompt: "" });
    await loaded(call, WARM_UP_MS);
    return {
      ...(hog && { setup: `the hog stops by itself after ${ROUND_MS.toLocaleString("en")} ms` }),
      round: async () => {
        const hogTurn = hog ? peer.call({ sessionId: "hog", prompt: `hog ${ROUND_MS}` }) : undefined;
        const round = await loaded(call, ROUND_MS);
        await hogTurn;
        return round;
      },
      close: () => peer.close(),
    };
  },
};

export const interference = defineCase<Load>({
  name: "interference",
  title: `Quiet sessions beside a busy loop, ${RATE.toLocaleString("en")} turns/s`,
  metrics: {
    p50Us: { unit: "µs", better: "lower" },
    p99Us: { unit: "µs", better: "lower" },
    /** What the process used of the machine, the hog included. */
    cores: { unit: "cores", better: "lower" },
  },
  yardstick: "bare echo",
  rounds: ROUNDS,
  scenarios: [
    { name: "quiet", parameters: { hog: false } },
    { name: "hog", parameters: { hog: true } },
  ],
  contenders: [warren, singleThreadHost, bareEcho],
  targets: (results) => {
    const growth = (name: string) => {
      const [hog, quiet] = ["hog", "quiet"].map((scenario) => rounds(measured(results, scenario, name), "p99Us"));
      return pairedRatios(hog as readonly number[], quiet as readonly number[]);
    };
    return [
      ratioTarget(
        { id: "P8", what: "growth of p99 beside a busy loop over the growth of a bare echo's", limit: 1.5, better: "lower" },
        growth("warren balanced"),
        growth("bare echo"),
      ),
    ];
  },
});
