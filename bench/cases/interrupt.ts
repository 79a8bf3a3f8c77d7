/**
 * P9: from `interrupt()` to the turn's caller being answered, by how the agent behaves. The caller's own thread is free: what waits
 * behind its other work is not measured here.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type { Histogram } from "hdr-histogram-js";

import type { Contender, Round, Subject } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { newHistogram, percentileUs } from "../harness/load.ts";
import { measured, rounds, valueTarget } from "../harness/targets.ts";
import { Spinner } from "../peers/spinner.ts";
import type { HogWay } from "../peers/warren.ts";
import { openWarren, startHog } from "../peers/warren.ts";

interface Load {
  /** What the agent does when it is told to stop. */
  readonly way: HogWay;
  /** Interrupts of a round. */
  readonly times: number;
}

/** Milliseconds an agent may ignore an interrupt, short so that rounds are. */
const GRACE_MS = 200;
/** Milliseconds a bare worker gets to be in its loop. */
const START_MS = 3;
/** Milliseconds within which every interrupt must have come to something. */
const SETTLE_MAX_MS = 20_000;

const SCENARIO: Readonly<Record<HogWay, string>> = {
  poll: "agent polls",
  listen: "agent listens",
  ignore: "agent ignores",
  block: "agent blocks",
};

function roundOf(latencies: Histogram): Round {
  return { figures: { p50Us: percentileUs(latencies, 50), maxMs: latencies.maxValue / 1e6 } };
}

/** Time one stop. @param stop - asks for it; what it returns resolves when it has happened */
async function timed(latencies: Histogram, stop: () => Promise<unknown>): Promise<void> {
  const startedAt = performance.now();
  const settled = stop();
  const abort = new AbortController();
  const late = sleep(SETTLE_MAX_MS, undefined, { signal: abort.signal }).then(
    () => Promise.reject(new Error(`not settled in ${SETTLE_MAX_MS} ms`)),
    () => undefined,
  );
  await Promise.race([settled, late]);
  latencies.recordValue(Math.max(1, Math.round((performance.now() - startedAt) * 1e6)));
  abort.abort();
}

const warren: Contender<Load> = {
  name: "warren balanced",
  kind: "warren",
  open: async ({ way, times }): Promise<Subject> => {
    const open = () => openWarren({ agentName: "hog", sessions: 64, interruptGraceMs: GRACE_MS });
    // A lane that was killed leaves a host with a new, cold one: each time a fresh host.
    let peer = await open();
    const round = async (interrupts: number): Promise<Round> => {
      const latencies = newHistogram();
      for (let n = 0; n < interrupts; n++) {
        const { service, ids } = peer;
        const id = ids[n % ids.length] as string;
        const { ended } = await startHog(service, id, way);
        await timed(latencies, () => Promise.all([service.interrupt(id), ended]));
        const kind = await ended;
        if (kind !== (way === "block" ? "lane_lost" : "cancelled")) throw new Error(`a turn that was interrupted ended as ${kind}`);
        if (way !== "block") continue;
        await peer[Symbol.asyncDispose]();
        peer = await open();
      }
      return roundOf(latencies);
    };
    if (way === "poll" || way === "listen") await round(times);
    return {
      ...((way === "ignore" || way === "block") && { setup: `grace ${GRACE_MS} ms` }),
      round: () => round(times),
      close: async () => peer[Symbol.asyncDispose](),
    };
  },
};

const bareWorker: Contender<Load> = {
  name: "bare worker",
  kind: "limit",
  skips: ({ way }) => way === "ignore", // it would be a timer
  open: async ({ way, times }): Promise<Subject> => {
    let spinner = new Spinner();
    await spinner.echo();
    const stopOnce = async (latencies: Histogram): Promise<void> => {
      if (way === "listen") {
        await sleep(START_MS);
        return timed(latencies, () => spinner.echo());
      }
      const spun = spinner.spin();
      await sleep(START_MS);
      const stop = (): Promise<void> => {
        spinner.stop();
        return spun;
      };
      if (way === "poll") return timed(latencies, stop);
      await timed(latencies, () => sleep(GRACE_MS).then(() => spinner.kill()));
      spinner = new Spinner();
      return spinner.echo();
    };
    const round = async (): Promise<Round> => {
      const latencies = newHistogram();
      for (let n = 0; n < times; n++) await stopOnce(latencies);
      return roundOf(latencies);
    };
    if (way !== "block") await round();
    return {
      setup: { poll: "a flag in shared memory", listen: "a message", ignore: "", block: `terminated after ${GRACE_MS} ms` }[way],
      round,
      close: () => spinner.kill(),
    };
  },
};

export const interrupt = defineCase<Load>({
  name: "interrupt",
  title: "Interrupt to settled",
  metrics: { p50Us: { unit: "µs", better: "lower" }, maxMs: { unit: "ms", better: "lower" } },
  yardstick: "bare worker",
  scenarios: [
    { name: SCENARIO.poll, parameters: { way: "poll", times: 100 } },
    { name: SCENARIO.listen, parameters: { way: "listen", times: 100 } },
    { name: SCENARIO.ignore, parameters: { way: "ignore", times: 5 } },
    { name: SCENARIO.block, parameters: { way: "block", times: 1 } },
  ],
  smoke: [SCENARIO.poll],
  contenders: [warren, bareWorker],
  targets: (results) => {
    const of = (way: HogWay, metric: string) => rounds(measured(results, SCENARIO[way], "warren balanced"), metric);
    const aim = { id: "P9", better: "lower" } as const;
    const soon = { ...aim, limit: 1000, unit: "µs" };
    const late = { ...aim, limit: GRACE_MS + 100, unit: "ms" };
    return [
      valueTarget({ ...soon, what: "interrupt to settled, agent polls, p50" }, of("poll", "p50Us")),
      valueTarget({ ...soon, what: "interrupt to settled, agent listens, p50" }, of("listen", "p50Us")),
      valueTarget({ ...late, what: `interrupt to settled, agent ignores it, grace ${GRACE_MS} ms` }, of("ignore", "maxMs")),
      valueTarget({ ...late, what: `interrupt to settled, agent blocks its lane, grace ${GRACE_MS} ms` }, of("block", "maxMs")),
    ];
  },
});
