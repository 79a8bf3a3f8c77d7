/** P6: sessions made a second. They are deferred: built in a lane and registered, nothing run. Closed loop; archived between rounds. */
import { setTimeout as sleep } from "node:timers/promises";

import type { Contender } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { measured, rounds, valueTarget } from "../harness/targets.ts";
import type { StorePeer } from "../peers/stores.ts";
import { openComlinkStore, openStoreInProcess } from "../peers/stores.ts";
import { archiveAll, openWarren } from "../peers/warren.ts";

interface Load {
  readonly inFlight: number;
  readonly sessions: number;
}

const MAIN = "50,000 creates, 1,024 in flight";
const WARM_UP_SESSIONS = 20_000;
/** Milliseconds for threads to finish what a round left: none of it shall be in the next one. */
const REST_MS = 50;

/** @returns ids of `sessions` new sessions, and how many there were a second */
async function createMany(create: () => Promise<string>, { inFlight, sessions }: Load): Promise<{ ids: string[]; perSecond: number }> {
  const ids: string[] = [];
  let begun = 0;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (begun++ < sessions) ids.push(await create());
    }),
  );
  return { ids, perSecond: sessions / ((performance.now() - startedAt) / 1000) };
}

function store(name: string, kind: Contender<Load>["kind"], open: () => Promise<StorePeer>): Contender<Load> {
  return {
    name,
    kind,
    open: async (load) => {
      const peer = await open();
      const round = async (sessions: number): Promise<number> => {
        const { perSecond } = await createMany(() => peer.store.create({}), { ...load, sessions });
        await peer.store.clear();
        await sleep(REST_MS);
        return perSecond;
      };
      await round(WARM_UP_SESSIONS);
      return { round: async () => ({ figures: { perSecond: await round(load.sessions) } }), close: () => peer.close() };
    },
  };
}

export const creates = defineCase<Load>({
  name: "creates",
  title: "Deferred creates a second",
  metrics: { perSecond: { unit: "sessions/s", better: "higher" } },
  yardstick: "comlink",
  scenarios: [{ name: MAIN, parameters: { inFlight: 1024, sessions: 50_000 } }],
  smoke: [MAIN],
  contenders: [
    {
      name: "warren balanced",
      kind: "warren",
      open: async (load) => {
        const peer = await openWarren({ sessions: 0 });
        const create = async (): Promise<string> => (await peer.service.createSession({ prompt: "", initialTurn: "defer" })).sessionId;
        const round = async (sessions: number): Promise<number> => {
          const { ids, perSecond } = await createMany(create, { ...load, sessions });
          await archiveAll(peer.service, ids);
          await sleep(REST_MS);
          return perSecond;
        };
        await round(WARM_UP_SESSIONS);
        return {
          round: async () => ({ figures: { perSecond: await round(load.sessions) } }),
          close: async () => peer[Symbol.asyncDispose](),
        };
      },
    },
    store("comlink", "peer", openComlinkStore),
    store("in process", "limit", openStoreInProcess),
  ],
  targets: (results) => [
    valueTarget(
      { id: "P6", what: "deferred creates/s", limit: 50_000, unit: "sessions/s", better: "higher" },
      rounds(measured(results, MAIN, "warren balanced"), "perSecond"),
    ),
  ],
});
