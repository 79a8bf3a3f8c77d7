/**
 * P4: what it costs to look at sessions, one call after the other. A read is shorter than a look at the clock, so latencies are means
 * of batches (BATCH); a list is timed one by one.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type { Histogram } from "hdr-histogram-js";

import type { Contender, Figures } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { inBatches, newHistogram, percentileUs } from "../harness/load.ts";
import { measured, ratioTarget, rounds, valueTarget } from "../harness/targets.ts";
import type { StorePeer } from "../peers/stores.ts";
import { openComlinkStore, openStoreInProcess } from "../peers/stores.ts";
import { openWarren, startHog } from "../peers/warren.ts";

type Look = { readonly look: "read" | "list"; readonly sessions: number; readonly whileRunning?: true };

/** The read operations of a contender, all it takes to be measured. */
interface Readable {
  readonly setup?: string;
  /** Reads now and then instead of one after the other, in a thread that would otherwise go on answering and not run its turn. */
  readonly isSpaced?: boolean;
  readonly ids: readonly string[];
  read(id: string): Promise<{ state: { isActive: boolean } }>;
  list(query: { after?: string; limit: number }): Promise<readonly unknown[]>;
  /** Have the session's turn run; it computes until it is ended. */
  startTurn(id: string): Promise<void>;
  endTurn(id: string): Promise<void>;
  close(): Promise<void>;
}

const ROUND_MS = 200;
const WARM_UP_MS = 300;
const BATCH = 16;
const LIMIT = 50;
/** Milliseconds a busy peer computes before it lets others in. */
const SLICE_MS = 5;
/** A walk over the ids that is not their order: a step that shares no factor with their number. */
const STRIDE = 7919;

const READ = "read";
const READ_RUNNING = "read while the session's turn runs";
const listOf = (sessions: number): string => `list ${LIMIT} of ${sessions.toLocaleString("en")}`;

const at = (ids: readonly string[], n: number): string => ids[(n * STRIDE) % ids.length] as string;

async function measure(readable: Readable, { look: wanted, whileRunning }: Look, durationMs: number): Promise<Figures> {
  const { ids } = readable;
  const figures = (latencies: Histogram): Figures => ({ p50Us: percentileUs(latencies, 50), p99Us: percentileUs(latencies, 99) });
  if (wanted === "list") {
    const head = await inBatches(() => readable.list({ limit: LIMIT }), 1, durationMs);
    const within = await inBatches((n) => readable.list({ after: at(ids, n), limit: LIMIT }), 1, durationMs);
    if ((await readable.list({ limit: LIMIT })).length !== LIMIT) throw new Error("a page is short");
    return { ...figures(head), afterP50Us: percentileUs(within, 50) };
  }
  if (whileRunning === undefined) return figures(await inBatches((n) => readable.read(at(ids, n)), BATCH, durationMs));
  const id = ids[0] as string;
  await readable.startTurn(id);
  const isBefore = (await readable.read(id)).state.isActive;
  const look = () => readable.read(id);
  const latencies = readable.isSpaced ? await spaced(look, durationMs) : await inBatches(look, BATCH, durationMs);
  const isAfter = (await readable.read(id)).state.isActive;
  await readable.endTurn(id);
  if (!isBefore || !isAfter) throw new Error("the turn did not run");
  return figures(latencies);
}

/** One call every 1 to 7 milliseconds. */
async function spaced(call: () => Promise<unknown>, durationMs: number): Promise<Histogram> {
  const latencies = newHistogram();
  for (let n = 0, endsAt = performance.now() + durationMs; performance.now() < endsAt; n++) {
    await sleep(1 + (n % 7));
    const startedAt = performance.now();
    await call();
    latencies.recordValue(Math.max(1, Math.round((performance.now() - startedAt) * 1e6)));
  }
  return latencies;
}

function contender(
  name: string,
  kind: Contender<Look>["kind"],
  open: (look: Look) => Promise<Readable>,
  skips: (look: Look) => boolean = () => false,
): Contender<Look> {
  return {
    name,
    kind,
    skips,
    open: async (look) => {
      const readable = await open(look);
      await measure(readable, look, WARM_UP_MS);
      return {
        ...(readable.setup !== undefined && { setup: readable.setup }),
        round: async () => ({ figures: await measure(readable, look, ROUND_MS) }),
        close: () => readable.close(),
      };
    },
  };
}

async function openReadableWarren({ sessions }: Look): Promise<Readable> {
  const peer = await openWarren({ agentName: "hog", sessions });
  const { service, ids } = peer;
  let turn: Promise<string> | undefined;
  return {
    ids,
    read: (id) => service.read(id),
    list: (query) => service.list(query),
    startTurn: async (id) => {
      turn = (await startHog(service, id, "poll")).ended;
    },
    endTurn: async (id) => {
      await service.interrupt(id);
      await turn;
    },
    close: async () => peer[Symbol.asyncDispose](),
  };
}

async function openReadableStore(open: () => Promise<StorePeer>, { sessions, whileRunning }: Look): Promise<Readable> {
  const peer = await open();
  const { store } = peer;
  return {
    ...(whileRunning && { setup: `read now and then; the turn lets others in every ${SLICE_MS} ms`, isSpaced: true }),
    ids: await store.createMany(sessions),
    read: (id) => store.read(id),
    list: (query) => store.list(query),
    startTurn: (id) => store.startTurn(id, SLICE_MS),
    endTurn: (id) => store.endTurn(id),
    close: () => peer.close(),
  };
}

export const readList = defineCase<Look>({
  name: "read-list",
  title: "Read and list",
  metrics: {
    p50Us: { unit: "µs", better: "lower" },
    p99Us: { unit: "µs", better: "lower" },
    /** A page behind an id somewhere in the list. */
    afterP50Us: { unit: "µs", better: "lower" },
  },
  yardstick: "in process",
  scenarios: [
    { name: READ, parameters: { look: "read", sessions: 10_000 } },
    { name: READ_RUNNING, parameters: { look: "read", sessions: 10_000, whileRunning: true } },
    { name: listOf(1000), parameters: { look: "list", sessions: 1000 } },
    { name: listOf(100_000), parameters: { look: "list", sessions: 100_000 } },
  ],
  smoke: [READ],
  contenders: [
    contender("warren balanced", "warren", openReadableWarren),
    contender("comlink", "peer", (look) => openReadableStore(openComlinkStore, look)),
    // A turn in process would run in the thread that reads.
    contender(
      "in process",
      "limit",
      (look) => openReadableStore(openStoreInProcess, look),
      ({ whileRunning }) => whileRunning === true,
    ),
  ],
  targets: (results) => {
    const p50 = (scenario: string) => rounds(measured(results, scenario, "warren balanced"), "p50Us");
    const aim = { id: "P4", limit: 3, unit: "µs", better: "lower" } as const;
    return [
      valueTarget({ ...aim, what: "read, p50" }, p50(READ)),
      valueTarget({ ...aim, what: `${READ_RUNNING}, p50` }, p50(READ_RUNNING)),
      ratioTarget(
        { id: "P4", what: `${listOf(100_000)} over ${listOf(1000)}, p50`, limit: 2, better: "lower" },
        p50(listOf(100_000)),
        p50(listOf(1000)),
      ),
    ];
  },
});
