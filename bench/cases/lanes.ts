/** How turns scale with lanes: those that do nothing, which the main thread bounds, and those that need a core for 200 µs. Closed loop. */
import type { Contender } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { closedLoop } from "../harness/load.ts";
import { INTEGER_WORK } from "../peers/cpu-work.ts";
import { openPiscinaOf } from "../peers/pools.ts";
import { openWarren, sessionOf } from "../peers/warren.ts";

interface Setting {
  readonly work: keyof typeof WORK;
  /** Lanes, and threads of the peer. */
  readonly lanes: number;
}

const ROUND_MS = 200;
const LEAD_IN_MS = 100;
const WARM_UP_MS = 500;
const IN_FLIGHT = 1024;
const SESSIONS = 10_000;
const LANES = [1, 2, 3, 4];
/** Agent, task and answer of each kind of turn. */
const WORK = {
  "no-op": { agentName: "noop", task: "pool-worker", text: "" },
  "200 µs of CPU": { agentName: "cpu", task: "cpu-pool-worker", text: INTEGER_WORK },
} as const;
const KINDS = Object.keys(WORK) as (keyof typeof WORK)[];

const nameOf = ({ work, lanes }: Setting): string => `${work}, ${lanes} ${lanes === 1 ? "lane" : "lanes"}`;
const MAIN = nameOf({ work: "200 µs of CPU", lanes: 2 });

type Call = (caller: number, n: number) => Promise<{ text: string }>;

/** @throws Error when an answer is not what the work gives */
async function turnsPerSecond(call: Call, { work }: Setting, durationMs: number): Promise<number> {
  const expected = WORK[work].text;
  const checked = async (caller: number, n: number): Promise<void> => {
    const { text } = await call(caller, n);
    if (text !== expected) throw new Error(`${work} was answered with "${text}"`);
  };
  return (await closedLoop(checked, IN_FLIGHT, durationMs)).perSecond;
}

const warren: Contender<Setting> = {
  name: "warren balanced",
  kind: "warren",
  open: async (setting) => {
    const { agentName } = WORK[setting.work];
    const peer = await openWarren({ agentName, sessions: SESSIONS, lanes: { count: setting.lanes } });
    const call: Call = (caller, n) => peer.service.startTurn(sessionOf(peer.ids, caller, IN_FLIGHT, n), { prompt: "" });
    await turnsPerSecond(call, setting, WARM_UP_MS);
    return {
      leadIn: () => turnsPerSecond(call, setting, LEAD_IN_MS),
      round: async () => ({ figures: { perSecond: await turnsPerSecond(call, setting, ROUND_MS) } }),
      close: async () => peer[Symbol.asyncDispose](),
    };
  },
};

const piscina: Contender<Setting> = {
  name: "piscina",
  kind: "peer",
  open: async (setting) => {
    const { href } = new URL(`../peers/${WORK[setting.work].task}.js`, import.meta.url);
    const peer = await openPiscinaOf(href, setting.lanes, IN_FLIGHT);
    const call: Call = () => peer.call({ sessionId: "019a9f00-0000-7000-8000-000000000000", prompt: "" });
    await turnsPerSecond(call, setting, WARM_UP_MS);
    return {
      ...(peer.setup !== undefined && { setup: peer.setup }),
      leadIn: () => turnsPerSecond(call, setting, LEAD_IN_MS),
      round: async () => ({ figures: { perSecond: await turnsPerSecond(call, setting, ROUND_MS) } }),
      close: () => peer.close(),
    };
  },
};

export const lanes = defineCase<Setting>({
  name: "lanes",
  title: "Turns a second by number of lanes",
  metrics: { perSecond: { unit: "turns/s", better: "higher" } },
  yardstick: "piscina",
  scenarios: KINDS.flatMap((work) => LANES.map((count) => ({ work, lanes: count }))).map((parameters) => ({
    name: nameOf(parameters),
    parameters,
  })),
  smoke: [MAIN],
  contenders: [warren, piscina],
});
