/** P1: how many turns that do nothing a host gets through, by turns in flight and sessions. Closed loop. */
import type { Contender, ContenderKind } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { closedLoop } from "../harness/load.ts";
import { measured, ratioTarget, rounds } from "../harness/targets.ts";
import { openBareFrames } from "../peers/bare-frames.ts";
import type { CallPeer } from "../peers/call-peer.ts";
import { CALL_PEERS } from "../peers/call-peers.ts";
import { openWarren, sessionOf } from "../peers/warren.ts";

interface Load {
  readonly inFlight: number;
  readonly sessions: number;
}

const ROUND_MS = 400;
const LEAD_IN_MS = 200;
const WARM_UP_MS = 1000;
const IN_FLIGHT = [1, 64, 1024, 4096];
const SESSIONS = [100, 10_000, 100_000];
const MAIN = "4,096 in flight, 10,000 sessions";

const nameOf = ({ inFlight, sessions }: Load): string =>
  `${inFlight.toLocaleString("en")} in flight, ${sessions.toLocaleString("en")} sessions`;

/** With "low", sessions change nothing that they do not change with "balanced". */
function warren(latency: "balanced" | "low"): Contender<Load> {
  return {
    name: `warren ${latency}`,
    kind: "warren",
    skips: ({ sessions }) => latency === "low" && sessions !== 10_000,
    open: async ({ inFlight, sessions }) => {
      const peer = await openWarren({ sessions, latency });
      const call = (caller: number, n: number) => peer.service.startTurn(sessionOf(peer.ids, caller, inFlight, n), { prompt: "" });
      await closedLoop(call, inFlight, WARM_UP_MS);
      return {
        leadIn: () => closedLoop(call, inFlight, LEAD_IN_MS),
        round: async () => ({ figures: { perSecond: (await closedLoop(call, inFlight, ROUND_MS)).perSecond } }),
        close: async () => peer[Symbol.asyncDispose](),
      };
    },
  };
}

/** A peer has no sessions: it is measured once for every number in flight. */
function peer(name: string, kind: ContenderKind, open: (inFlight: number) => Promise<CallPeer>): Contender<Load> {
  return {
    name,
    kind,
    skips: ({ sessions }) => sessions !== 10_000,
    open: async ({ inFlight }) => {
      const opened = await open(inFlight);
      const ids = Array.from({ length: 10_000 }, (_, n) => `019a9f00-0000-7000-8000-${String(n).padStart(12, "0")}`);
      const call = (caller: number, n: number) => opened.call({ sessionId: sessionOf(ids, caller, inFlight, n), prompt: "" });
      await closedLoop(call, inFlight, WARM_UP_MS);
      return {
        ...(opened.setup !== undefined && { setup: opened.setup }),
        leadIn: () => closedLoop(call, inFlight, LEAD_IN_MS),
        round: async () => ({ figures: { perSecond: (await closedLoop(call, inFlight, ROUND_MS)).perSecond } }),
        close: () => opened.close(),
      };
    },
  };
}

export const noopTurns = defineCase<Load>({
  name: "noop-turns",
  title: "No-op turns a second",
  metrics: { perSecond: { unit: "turns/s", better: "higher" } },
  yardstick: "bare batched frames",
  // A session has one turn at a time: with fewer sessions than turns in flight most would only be told that it is busy.
  scenarios: IN_FLIGHT.flatMap((inFlight) => SESSIONS.map((sessions) => ({ inFlight, sessions })))
    .filter(({ inFlight, sessions }) => inFlight <= sessions)
    .map((parameters) => ({ name: nameOf(parameters), parameters })),
  smoke: [MAIN],
  contenders: [
    warren("balanced"),
    warren("low"),
    ...CALL_PEERS.map(({ name, kind, open }) => peer(name, kind, open)),
    {
      name: "bare batched frames",
      kind: "limit",
      skips: ({ sessions }) => sessions !== 10_000,
      open: ({ inFlight }) => openBareFrames({ inFlight, prompt: "", roundMs: ROUND_MS }),
    },
  ],
  targets: (results) => {
    const at = (name: string) => rounds(measured(results, MAIN, name), "perSecond");
    const ours = at("warren balanced");
    return [
      ratioTarget({ id: "P1", what: `no-op turns/s over piscina (${MAIN})`, limit: 5, better: "higher" }, ours, at("piscina")),
      ratioTarget({ id: "P1", what: `no-op turns/s over comlink (${MAIN})`, limit: 7, better: "higher" }, ours, at("comlink")),
    ];
  },
});
