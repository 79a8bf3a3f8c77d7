/**
 * P5: what an idle session costs. A new process for every round; what counts is the slope between FEW and MANY deferred sessions, so
 * what a host costs empty is not in it. Heaps are what is left after forced collections in main and in every lane; shared memory is in
 * none of them. RSS is what the system says the process has, which also holds what creating the sessions took and V8 keeps.
 */
import { SEGMENT_BYTES, SEGMENT_SLOTS } from "../../src/core/slot-layout.ts";
import type { EphemeralSessionService, Session } from "../../src/index.ts";
import type { Figures, Subject } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { residentBytes, usedHeapBytes } from "../harness/memory.ts";
import { measured, rounds, valueTarget } from "../harness/targets.ts";
import { createSessions, laneHeapBytes, openWarren } from "../peers/warren.ts";

interface Probe {
  /** Run a turn in every so many sessions; 0: none. */
  readonly turnEvery: number;
}

const FEW = 10_000;
const MANY = 100_000;
const TURN_EVERY = 100;
const IDLE = `idle, ${FEW.toLocaleString("en")} to ${MANY.toLocaleString("en")} sessions`;
const LIVE = `${MANY.toLocaleString("en")} live`;

interface Footprint {
  readonly main: number;
  readonly lanes: number;
  readonly shared: number;
  readonly rss: number;
}

function slope(few: Footprint, many: Footprint): Figures {
  const of = (member: keyof Footprint): number => (many[member] - few[member]) / (MANY - FEW);
  return {
    rssBytesPerSession: of("rss"),
    heapBytesPerSession: of("main") + of("lanes"),
    mainBytesPerSession: of("main"),
    sharedBytesPerSession: of("shared"),
  };
}

async function footprint(service: EphemeralSessionService, ids: readonly string[]): Promise<Footprint> {
  const lanes = await laneHeapBytes(service, ids); // first: RSS is read when every heap has been collected
  const { allocated, free } = service.inspect().slots;
  return {
    rss: await residentBytes(),
    main: usedHeapBytes(),
    lanes,
    shared: Math.ceil((allocated + free) / SEGMENT_SLOTS) * SEGMENT_BYTES,
  };
}

/** The least one would hold of a session: its record, with a transcript. */
function plainSession(n: number): Session {
  const nowMs = Date.now();
  return {
    version: 1,
    id: `019a9f00-0000-7000-8000-${String(n).padStart(12, "0")}`,
    messages: [],
    createdAt: nowMs,
    updatedAt: nowMs,
    metadata: {},
    usage: { inputTokens: 0, outputTokens: 0 },
  };
}

const BYTES = { unit: "B", better: "lower" } as const;

export const idleMemory = defineCase<Probe>({
  name: "idle-memory",
  title: "Memory of an idle session",
  metrics: {
    rssBytesPerSession: BYTES,
    heapBytesPerSession: BYTES,
    /** The share of main in the heaps. */
    mainBytesPerSession: BYTES,
    sharedBytesPerSession: BYTES,
    turns: { unit: "turns done", better: "higher" },
  },
  yardstick: "plain objects in process",
  isFresh: true,
  // A round is like another to a thousandth, and takes seconds.
  rounds: 3,
  scenarios: [
    { name: IDLE, parameters: { turnEvery: 0 } },
    { name: LIVE, parameters: { turnEvery: TURN_EVERY } },
  ],
  contenders: [
    {
      name: "warren balanced",
      kind: "warren",
      open: async ({ turnEvery }): Promise<Subject> => {
        const peer = await openWarren({ agentName: "memory", sessions: FEW });
        const { service } = peer;
        return {
          round: async () => {
            const few = turnEvery === 0 ? await footprint(service, peer.ids) : undefined;
            const ids = [...peer.ids, ...(await createSessions(service, MANY - FEW))];
            if (few !== undefined) return { figures: slope(few, await footprint(service, ids)) };
            const { live } = service.inspect().sessions;
            if (live !== MANY) throw new Error(`${live} sessions are live, not ${MANY}`);
            const asked = ids.filter((_, n) => n % turnEvery === 0);
            const answers = await Promise.all(asked.map((id) => service.startTurn(id, { prompt: id })));
            if (!answers.every(({ text }, n) => text === asked[n])) throw new Error("a session answered with something else");
            return { figures: { turns: answers.length } };
          },
          close: async () => peer[Symbol.asyncDispose](),
        };
      },
    },
    {
      name: "plain objects in process",
      kind: "limit",
      skips: ({ turnEvery }) => turnEvery !== 0,
      open: async (): Promise<Subject> => {
        const sessions = new Map<string, Session>();
        const growTo = async (count: number): Promise<Footprint> => {
          for (let n = sessions.size; n < count; n++) {
            const session = plainSession(n);
            sessions.set(session.id, session);
          }
          return { rss: await residentBytes(), main: usedHeapBytes(), lanes: 0, shared: 0 };
        };
        return {
          round: async () => ({ figures: slope(await growTo(FEW), await growTo(MANY)) }),
          close: async () => sessions.clear(),
        };
      },
    },
  ],
  targets: (results) => {
    const at = (metric: string) => rounds(measured(results, IDLE, "warren balanced"), metric);
    const shared = at("sharedBytesPerSession");
    const held = at("heapBytesPerSession").map((heap, round) => heap + (shared[round] as number));
    const aim = { id: "P5", limit: 2560, unit: "B", better: "lower" } as const;
    return [
      valueTarget({ ...aim, what: "an idle session, heaps and shared memory" }, held),
      valueTarget({ ...aim, what: "an idle session, by RSS" }, at("rssBytesPerSession")),
    ];
  },
});
