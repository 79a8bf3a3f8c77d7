/** What sessions cost that lie in a store: bytes on the disk for every turn, and the time until a host over them answers. */
import { Packr } from "msgpackr";

import { openLmdbStore } from "../../src/store.ts";
import type { Contender, Figures } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { measured, rounds, valueTarget } from "../harness/targets.ts";
import { SqliteStore } from "../peers/sqlite-store.ts";
import { TEXT, appendTurn, bytesIn, laySessions, turnMessages } from "../peers/stored-sessions.ts";
import type { TemporaryFolder } from "../peers/temporary-folder.ts";
import { temporaryFolder } from "../peers/temporary-folder.ts";
import { openHost } from "../peers/warren-durable.ts";

interface Stored {
  readonly sessions: number;
  /** In each, already there or to be run. */
  readonly turns: number;
  readonly look: "disk" | "reopen";
}

const DISK = "disk, 20 sessions of 1,000 turns";
const REOPEN = "reopen, 100,000 sessions of 2 turns";
const PAGE = 50;
/** Of a session, in one transaction: what they take does not depend on how often the disk is waited for. */
const TURNS_AT_ONCE = 10;

/** Bytes of what a turn says, in the encoding that takes fewest. */
const DELTA_BYTES = new Packr({ useRecords: false }).pack(turnMessages(TEXT)).length;

/** All sessions take their turns together. @returns what the folder then has, a turn, over what a turn says */
async function diskOf({ sessions, turns }: Stored, run: (path: string) => Promise<void>): Promise<Figures> {
  const folder = await temporaryFolder();
  try {
    await run(folder.path);
    return { diskFactor: (await bytesIn(folder.path)) / (sessions * turns * DELTA_BYTES) };
  } finally {
    await folder.remove();
  }
}

/** A turn in each session after the other. @param run - the n-th turn of a session, from 1 */
async function runTurns(ids: readonly string[], turns: number, run: (id: string, n: number) => Promise<unknown>): Promise<void> {
  for (let from = 1; from <= turns; from += TURNS_AT_ONCE) {
    const lot: Promise<unknown>[] = [];
    for (let n = from; n < Math.min(from + TURNS_AT_ONCE, turns + 1); n++) for (const id of ids) lot.push(run(id, n));
    await Promise.all(lot);
  }
}

async function warrenDisk(path: string, { sessions, turns }: Stored): Promise<void> {
  const [ids = []] = await laySessions(path, [{ sessions, messages: 0 }]);
  const store = await openLmdbStore({ path, durability: "commit" });
  await runTurns(ids, turns, (id, n) => appendTurn(store, id, n));
  await store.close();
}

async function sqliteDisk(path: string, { sessions, turns }: Stored): Promise<void> {
  const store = new SqliteStore(path);
  const [ids = []] = store.lay([{ sessions, messages: 0 }]);
  await runTurns(ids, turns, (id) => store.turn(id, TEXT));
  store.close();
}

/** Open the store, list a page, and take a turn in a session of it. */
async function warrenReopen({ path }: TemporaryFolder, id: string): Promise<Figures> {
  const startedAt = performance.now();
  const service = await openHost(path);
  const openMs = performance.now() - startedAt;
  if ((await service.list({ limit: PAGE })).length !== PAGE) throw new Error("a page is short");
  await service.startTurn(id, { prompt: TEXT });
  const reopenMs = performance.now() - startedAt;
  await service.shutdown();
  return { reopenMs, openMs };
}

async function sqliteReopen({ path }: TemporaryFolder, id: string): Promise<Figures> {
  const startedAt = performance.now();
  const store = new SqliteStore(path);
  const openMs = performance.now() - startedAt;
  if (store.page(PAGE).length !== PAGE) throw new Error("a page is short");
  await store.turn(id, TEXT);
  const reopenMs = performance.now() - startedAt;
  store.close();
  return { reopenMs, openMs };
}

interface Parts {
  lay(path: string, sessions: number, messages: number): Promise<string[]>;
  disk(path: string, stored: Stored): Promise<void>;
  reopen(folder: TemporaryFolder, id: string): Promise<Figures>;
}

function contender(name: string, kind: Contender<Stored>["kind"], parts: Parts): Contender<Stored> {
  return {
    name,
    kind,
    open: async (stored) => {
      if (stored.look === "disk") {
        return { round: async () => ({ figures: await diskOf(stored, (path) => parts.disk(path, stored)) }), close: async () => {} };
      }
      const folder = await temporaryFolder();
      const ids = await parts.lay(folder.path, stored.sessions, 2 * stored.turns);
      let opened = 0;
      return {
        // Another session each time, from the end of the store where nobody looked yet.
        round: async () => ({ figures: await parts.reopen(folder, ids.at(-++opened) as string) }),
        close: () => folder.remove(),
      };
    },
  };
}

export const storedSessions = defineCase<Stored>({
  name: "stored-sessions",
  title: "Stored sessions",
  metrics: {
    diskFactor: { unit: "× the bytes of the turns", better: "lower" },
    /** To the first turn of a stored session. */
    reopenMs: { unit: "ms", better: "lower" },
    openMs: { unit: "ms", better: "lower" },
  },
  yardstick: "sqlite",
  scenarios: [
    { name: DISK, parameters: { look: "disk", sessions: 20, turns: 1000 } },
    { name: REOPEN, parameters: { look: "reopen", sessions: 100_000, turns: 2 } },
  ],
  smoke: [DISK],
  contenders: [
    contender("warren balanced", "warren", {
      lay: async (path, sessions, messages) => (await laySessions(path, [{ sessions, messages }]))[0] ?? [],
      disk: warrenDisk,
      reopen: warrenReopen,
    }),
    contender("sqlite", "peer", {
      lay: async (path, sessions, messages) => {
        const store = new SqliteStore(path);
        const [ids = []] = store.lay([{ sessions, messages }]);
        store.close();
        return ids;
      },
      disk: sqliteDisk,
      reopen: sqliteReopen,
    }),
  ],
  targets: (results) => {
    const at = (scenario: string, metric: string) => rounds(measured(results, scenario, "warren balanced"), metric);
    return [
      valueTarget(
        {
          id: "S1",
          what: "bytes on disk a turn over those of its messages, sessions of 1,000 turns",
          limit: 2,
          unit: "×",
          better: "lower",
        },
        at(DISK, "diskFactor"),
      ),
      valueTarget(
        { id: "S2", what: "open() over 100,000 stored sessions to the first turn done", limit: 1000, unit: "ms", better: "lower" },
        at(REOPEN, "reopenMs"),
      ),
    ];
  },
});
