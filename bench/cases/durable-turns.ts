/**
 * P7: how many turns a second a host gets through whose answers wait for the disk, and what a turn costs in long sessions. Closed loop.
 * The agent answers with its prompt; a turn adds two messages of a hundred bytes.
 */
import type { Contender, ContenderKind, Figures, Subject } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { closedLoop } from "../harness/load.ts";
import { measured, ratioTarget, rounds, valueTarget } from "../harness/targets.ts";
import type { DurablePeer } from "../peers/durable-peers.ts";
import { openBareLmdb, openDocumentStore } from "../peers/durable-peers.ts";
import { openSqliteStore } from "../peers/sqlite-store.ts";
import type { Lengths } from "../peers/stored-sessions.ts";
import { TEXT } from "../peers/stored-sessions.ts";
import { openWarren, sessionOf } from "../peers/warren.ts";
import { openDurableWarren } from "../peers/warren-durable.ts";

interface Load {
  readonly inFlight: number;
  readonly lengths: Lengths;
}

/** At one length, and at each of several. */
const ROUND_MS = 600;
const SHORT_ROUND_MS = 300;
const LEAD_IN_MS = 100;
const WARM_UP_MS = 400;

const MAIN = "1,024 in flight, 10,000 sessions of 10 messages";
const LENGTHS = "64 in flight, sessions of 10, 1,000 and 10,000 messages";

const perSecondAt = (messages: number): string => `perSecondAt${messages}`;
const cpuUsAt = (messages: number): string => `cpuUsAt${messages}`;

/** A turn in each session, which wakes it where there is something to wake. */
async function onceEach({ turn, ids }: DurablePeer, inFlight: number): Promise<void> {
  const rest = ids.flat().values();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (const id of rest) await turn(id, TEXT);
    }),
  );
}

function contender(
  name: string,
  kind: ContenderKind,
  open: (lengths: Lengths) => Promise<DurablePeer>,
  skips: (load: Load) => boolean = () => false,
): Contender<Load> {
  return {
    name,
    kind,
    skips,
    open: async ({ inFlight, lengths }): Promise<Subject> => {
      const peer = await open(lengths);
      const load = (ids: readonly string[], durationMs: number) =>
        closedLoop((caller, n) => peer.turn(sessionOf(ids, caller, inFlight, n), TEXT), inFlight, durationMs);
      const measure = async (ids: readonly string[]): Promise<{ perSecond: number; cpuUs: number }> => {
        await load(ids, LEAD_IN_MS);
        const before = process.cpuUsage();
        const { perSecond, calls } = await load(ids, lengths.length === 1 ? ROUND_MS : SHORT_ROUND_MS);
        const { user, system } = process.cpuUsage(before);
        return { perSecond, cpuUs: (user + system) / calls };
      };
      await onceEach(peer, inFlight);
      for (const ids of peer.ids) await load(ids, WARM_UP_MS);
      return {
        ...(peer.setup !== undefined && { setup: peer.setup }),
        round: async () => {
          if (lengths.length === 1) return { figures: { ...(await measure(peer.ids[0] ?? [])) } };
          const figures: Record<string, number> = {};
          for (const [index, { messages }] of lengths.entries()) {
            const { perSecond, cpuUs } = await measure(peer.ids[index] ?? []);
            figures[perSecondAt(messages)] = perSecond;
            figures[cpuUsAt(messages)] = cpuUs;
          }
          return { figures: figures satisfies Figures };
        },
        close: () => peer.close(),
      };
    },
  };
}

function warren(durability: "fsync" | "commit") {
  return async (lengths: Lengths): Promise<DurablePeer> => {
    const { service, ids, close } = await openDurableWarren(lengths, { durability });
    return { ids, turn: async (id, prompt) => (await service.startTurn(id, { prompt })).text, close };
  };
}

async function openEphemeral([lengths]: Lengths): Promise<DurablePeer> {
  const peer = await openWarren({ sessions: lengths?.sessions ?? 0 });
  return {
    ids: [peer.ids],
    turn: async (id, prompt) => (await peer.service.startTurn(id, { prompt })).text,
    close: async () => peer[Symbol.asyncDispose](),
  };
}

const isGrowth = ({ lengths }: Load): boolean => lengths.length > 1;

const PER_SECOND = { unit: "turns/s", better: "higher" } as const;
const CPU = { unit: "µs CPU a turn", better: "lower" } as const;

export const durableTurns = defineCase<Load>({
  name: "durable-turns",
  title: "Durable turns a second",
  metrics: {
    perSecond: PER_SECOND,
    cpuUs: CPU,
    ...Object.fromEntries(
      [10, 1000, 10_000].flatMap((messages) => [
        [perSecondAt(messages), PER_SECOND],
        [cpuUsAt(messages), CPU],
      ]),
    ),
  },
  yardstick: "bare lmdb puts",
  scenarios: [
    { name: MAIN, parameters: { inFlight: 1024, lengths: [{ sessions: 10_000, messages: 10 }] } },
    {
      name: LENGTHS,
      parameters: {
        inFlight: 64,
        lengths: [
          { sessions: 6400, messages: 10 },
          { sessions: 640, messages: 1000 },
          { sessions: 64, messages: 10_000 },
        ],
      },
    },
  ],
  smoke: [MAIN],
  contenders: [
    contender("warren balanced", "warren", warren("fsync")),
    contender("warren, durability commit", "warren", warren("commit"), isGrowth),
    contender("warren, ephemeral", "warren", openEphemeral, isGrowth),
    contender("whole documents", "peer", openDocumentStore),
    contender("sqlite", "peer", openSqliteStore),
    contender("bare lmdb puts", "limit", openBareLmdb),
  ],
  targets: (results) => {
    const at = (scenario: string, metric: string, name = "warren balanced") => rounds(measured(results, scenario, name), metric);
    const long = { id: "P7", limit: 1.2, better: "lower" } as const;
    return [
      valueTarget(
        { id: "P7", what: `durable turns/s (fsync), ${MAIN}`, limit: 20_000, unit: "turns/s", better: "higher" },
        at(MAIN, "perSecond"),
      ),
      // Turns a second are the inverse of what a turn takes.
      ratioTarget(
        { ...long, what: "a durable turn at 10,000 messages over one at 10, by time" },
        at(LENGTHS, perSecondAt(10)),
        at(LENGTHS, perSecondAt(10_000)),
      ),
      ratioTarget(
        { ...long, what: "a durable turn at 10,000 messages over one at 10, by CPU" },
        at(LENGTHS, cpuUsAt(10_000)),
        at(LENGTHS, cpuUsAt(10)),
      ),
    ];
  },
});
