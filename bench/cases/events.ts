/** P2: events a second that reach a consumer on main, by events a turn and length of their text. Closed loop. */
import type { Contender, ContenderKind } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { measured, ratioTarget, rounds } from "../harness/targets.ts";
import { openEventFrames } from "../peers/event-frames.ts";
import { openComlinkEvents, openForkedEvents, openLocalEvents, openPlainPosts } from "../peers/event-messages.ts";
import type { EventLoad, OpenEventPeer } from "../peers/event-peer.ts";
import { eventsPerSecond, EventTally } from "../peers/event-peer.ts";
import { openPiscinaEvents, openTinypoolEvents } from "../peers/event-pools.ts";
import { warrenEvents } from "../peers/event-warren.ts";

const ROUND_MS = 200;
/** What a turn of many events compiles, it compiles late. */
const LEAD_IN_MS = 200;
/** A scenario's threads are new: they have the code to compile that their events go through. */
const WARM_UP_MS = 700;
const KB = 1024;
const SIZES: Readonly<Record<string, number>> = { "20 B": 20, "1 KB": KB, "16 KB": 16 * KB };
const EVENTS = [10, 100, 1000];
const MAIN = "100 events a turn, 20 B";

/** Fewer turns at once where a peer without flow control would have a gigabyte of events under way. */
const inFlightFor = (bytes: number): number => (bytes < 16 * KB ? 64 : 8);

/** Pools are measured at one number of events, callbacks along one side of the grid: time is short, and the rest would say the same. */
const isSkippedByPool = ({ events: count }: EventLoad): boolean => count !== 100;
const isSkippedByCallback = ({ events: count, bytes }: EventLoad): boolean => count !== 100 && bytes > 20;
const isSkippedByRows = ({ events: count, bytes }: EventLoad): boolean => count !== 100 || bytes > 20;
/** Elsewhere piscina stands for the peers: these show in two scenarios what they would show in nine. */
const isSkippedByPeers = ({ events: count, bytes }: EventLoad): boolean => count !== 100 || bytes >= 16 * KB;
/** With dozens of turns in flight nobody sleeps, which is all that "low" changes; in process a text is a reference, whatever its length. */
const isSkippedBySame = ({ bytes }: EventLoad): boolean => bytes > 20;

function contender(name: string, kind: ContenderKind, open: OpenEventPeer, skips?: (load: EventLoad) => boolean): Contender<EventLoad> {
  return {
    name,
    kind,
    ...(skips && { skips }),
    open: async (load) => {
      const tally = new EventTally(load.bytes);
      const peer = await open(load, tally);
      await eventsPerSecond(peer, load, tally, WARM_UP_MS);
      return {
        ...(peer.setup !== undefined && { setup: peer.setup }),
        leadIn: () => eventsPerSecond(peer, load, tally, LEAD_IN_MS),
        round: async () => ({ figures: { perSecond: await eventsPerSecond(peer, load, tally, ROUND_MS) } }),
        close: () => peer.close(),
      };
    },
  };
}

export const events = defineCase<EventLoad>({
  name: "events",
  title: "Events a second delivered",
  metrics: { perSecond: { unit: "events/s", better: "higher" } },
  yardstick: "bare batched frames",
  scenarios: EVENTS.flatMap((count) =>
    Object.entries(SIZES).map(([size, bytes]) => ({
      name: `${count.toLocaleString("en")} events a turn, ${size}`,
      parameters: { events: count, bytes, inFlight: inFlightFor(bytes) },
    })),
  ),
  smoke: [MAIN],
  contenders: [
    contender("warren balanced, subscriber", "warren", warrenEvents("balanced", "subscriber")),
    contender("warren balanced, onEvent", "warren", warrenEvents("balanced", "onEvent"), isSkippedByCallback),
    contender("warren low, subscriber", "warren", warrenEvents("low", "subscriber"), isSkippedBySame),
    contender("piscina", "peer", openPiscinaEvents, isSkippedByPool),
    contender("tinypool", "peer", openTinypoolEvents, isSkippedByPeers),
    contender("comlink", "peer", openComlinkEvents, isSkippedByPeers),
    contender("child process", "peer", openForkedEvents, isSkippedByPeers),
    contender("plain postMessage per event", "limit", openPlainPosts),
    contender("bare batched frames", "limit", openEventFrames("records")),
    contender("bare frames of rows", "limit", openEventFrames("rows"), isSkippedByRows),
    contender("in process", "limit", openLocalEvents, isSkippedBySame),
  ],
  targets: (results) => {
    const at = (name: string) => rounds(measured(results, MAIN, name), "perSecond");
    const ours = at("warren balanced, subscriber");
    const plain = at("plain postMessage per event");
    const frames = at("bare batched frames");
    const rows = at("bare frames of rows");
    return [
      ratioTarget({ id: "P2", what: `events/s over one postMessage per event (${MAIN})`, limit: 3, better: "higher" }, ours, plain),
      ratioTarget({ id: "P2", what: `events/s over bare frames, a record an event (${MAIN})`, limit: 0.5, better: "higher" }, ours, frames),
      ratioTarget({ id: "P2", what: `events/s over bare frames of Warren's rows (${MAIN})`, limit: 0.5, better: "higher" }, ours, rows),
    ];
  },
});
