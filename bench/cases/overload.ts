/**
 * What a host does when it is offered twice what it can keep up with: how late main's loop is, what is still answered well, and how soon.
 * Each contender is offered twice its own rate.
 */
import { Piscina } from "piscina";

import type { Contender, ContenderKind } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { closedLoop, percentileUs } from "../harness/load.ts";
import { offer, sustainable } from "../harness/offers.ts";
import { pairedRatios } from "../harness/stats.ts";
import { measured, rounds, valueTarget } from "../harness/targets.ts";
import { openBareEcho } from "../peers/messages.ts";
import { POOL_WORKER } from "../peers/pools.ts";
import { openWarren } from "../peers/warren.ts";

interface Nothing {
  readonly times: number;
}

const PROBE_MS = 120;
const ROUND_MS = 500;
const WARM_UP_MS = 300;
/** More than are ever in flight, so that none is busy. */
const SESSIONS = 100_000;
const IN_FLIGHT = 256;
/** The rate a search begins with, of what a closed loop gets through. */
const FROM = 0.35;
/** As many as Warren lets in before it looks whether main is behind. */
const QUEUE_MAX = 8192;

interface Served {
  readonly call: (n: number) => Promise<unknown>;
  readonly isRefusal: (error: unknown) => boolean;
  readonly close: () => Promise<void>;
}

function contender(name: string, kind: ContenderKind, open: () => Promise<Served>): Contender<Nothing> {
  return {
    name,
    kind,
    open: async ({ times }) => {
      const { call, isRefusal, close } = await open();
      let n = 0;
      const offered = (rate: number, ms: number) => offer(() => call(n++), isRefusal, rate, ms);
      const { perSecond } = await closedLoop(() => call(n++), IN_FLIGHT, WARM_UP_MS);
      const rate = await sustainable((tried) => offered(tried, PROBE_MS), FROM * perSecond);
      return {
        setup: `${Math.round(rate).toLocaleString("en")} calls/s sustained`,
        round: async () => {
          const kept = await offered(rate, ROUND_MS);
          const over = await offered(times * rate, ROUND_MS);
          return {
            figures: {
              loopDelayMs: over.loopDelayP99,
              goodput: over.goodPerSecond,
              sustained: kept.goodPerSecond,
              refused: 100 * over.refused,
              p99Us: percentileUs(over.latencies, 99),
            },
          };
        },
        close,
      };
    },
  };
}

const warren = contender("warren balanced", "warren", async () => {
  const peer = await openWarren({ sessions: SESSIONS });
  const { service, ids } = peer;
  return {
    call: (n) => service.startTurn(ids[n % SESSIONS] as string, { prompt: "" }),
    isRefusal: (error) => (error as { code?: string }).code === "HOST_OVERLOADED",
    close: async () => peer[Symbol.asyncDispose](),
  };
});

const piscina = contender("piscina, bounded queue", "peer", async () => {
  const pool = new Piscina({
    filename: POOL_WORKER,
    minThreads: 2,
    maxThreads: 2,
    concurrentTasksPerWorker: 4096,
    maxQueue: QUEUE_MAX,
    atomics: "disabled",
  });
  return {
    call: (n) => pool.run({ sessionId: String(n % SESSIONS), prompt: "" }),
    isRefusal: (error) => error instanceof Error && /queue/i.test(error.message),
    close: () => pool.destroy(),
  };
});

const bareEcho = contender("bare echo, no bound", "limit", async () => {
  const peer = await openBareEcho();
  return {
    call: (n) => peer.call({ sessionId: String(n % SESSIONS), prompt: "" }),
    isRefusal: () => false,
    close: () => peer.close(),
  };
});

const MAIN = "twice what is sustained";

export const overload = defineCase<Nothing>({
  name: "overload",
  title: "Twice the load that is sustained",
  metrics: {
    loopDelayMs: { unit: "ms", better: "lower" },
    goodput: { unit: "turns/s", better: "higher" },
    sustained: { unit: "turns/s", better: "higher" },
    refused: { unit: "%", better: "lower" },
    p99Us: { unit: "µs", better: "lower" },
  },
  yardstick: "bare echo, no bound",
  rounds: 3,
  scenarios: [{ name: MAIN, parameters: { times: 2 } }],
  contenders: [warren, piscina, bareEcho],
  targets: (results) => {
    const of = (metric: string) => rounds(measured(results, MAIN, "warren balanced"), metric);
    return [
      valueTarget(
        { id: "O1", what: "p99 of main's loop delay at twice the sustained load", limit: 50, better: "lower", unit: "ms" },
        of("loopDelayMs"),
      ),
      valueTarget(
        { id: "O2", what: "turns/s answered at twice the sustained load over those at it", limit: 0.8, better: "higher", unit: "×" },
        pairedRatios(of("goodput"), of("sustained")),
      ),
    ];
  },
});
