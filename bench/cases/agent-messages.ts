/**
 * How fast agents in different lanes send each other messages: what a lone request and its answer take, and how many requests, and messages
 * that only have to arrive, there are in a second. Measured in the sender's lane. Closed loop.
 */
import type { Contender, ContenderKind } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import type { Exchanged, PeerOrder, Way } from "../peers/exchange.ts";
import type { ExchangePeer } from "../peers/exchange-ports.ts";
import { openDirectPorts, openRelayedPorts } from "../peers/exchange-ports.ts";
import { openWarren } from "../peers/warren.ts";

interface Load {
  readonly way: Way;
  readonly inFlight: number;
}

const ROUND_MS = 400;
const WARM_UP_MS = 600;
const MAIN = "requests, 256 in flight";

async function openAgents(): Promise<ExchangePeer> {
  const peer = await openWarren({ agentName: "peer", sessions: 0 });
  const { service } = peer;
  // Deferred one after the other, so that each is in a lane of its own.
  const member = async (commsName: string, other: string): Promise<string> =>
    (await service.createSession({ prompt: "", initialTurn: "defer", build: { commsName, trustedPeers: [other] } })).sessionId;
  const sender = await member("sender", "answerer");
  const answerer = await member("answerer", "sender");
  if (service.inspect().lanes.some(({ sessions }) => sessions !== 1)) throw new Error("the two are in one lane");
  const order = (id: string, what: PeerOrder): Promise<{ text: string }> => service.startTurn(id, { prompt: JSON.stringify(what) });
  const answering = order(answerer, { role: "answer" }).catch(() => {}); // until it is interrupted
  return {
    send: async (way, inFlight, durationMs) =>
      JSON.parse((await order(sender, { role: "send", to: "answerer", way, inFlight, durationMs })).text) as Exchanged,
    close: async () => {
      await service.interrupt(answerer);
      await answering;
      await peer[Symbol.asyncDispose]();
    },
  };
}

function contender(name: string, kind: ContenderKind, open: () => Promise<ExchangePeer>): Contender<Load> {
  return {
    name,
    kind,
    open: async ({ way, inFlight }) => {
      const peer = await open();
      await peer.send(way, Math.max(2, inFlight), WARM_UP_MS);
      return {
        round: async () => ({ figures: { ...(await peer.send(way, inFlight, ROUND_MS)) } }),
        close: () => peer.close(),
      };
    },
  };
}

export const agentMessages = defineCase<Load>({
  name: "agent-messages",
  title: "Messages between agents in different lanes",
  metrics: {
    perSecond: { unit: "messages/s", better: "higher" },
    p50Us: { unit: "µs", better: "lower" },
    p99Us: { unit: "µs", better: "lower" },
  },
  yardstick: "port through main",
  scenarios: [
    { name: "a lone request and its answer", parameters: { way: "request", inFlight: 1 } },
    { name: MAIN, parameters: { way: "request", inFlight: 256 } },
    { name: "messages, 256 in flight", parameters: { way: "message", inFlight: 256 } },
  ],
  smoke: [MAIN],
  contenders: [
    contender("warren balanced", "warren", openAgents),
    contender("port through main", "peer", openRelayedPorts),
    contender("port from thread to thread", "limit", openDirectPorts),
  ],
});
