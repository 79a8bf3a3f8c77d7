/**
 * `npm run bench:leak`: what sessions took comes back. 100,000 sessions live at once and archived, then a million created and archived
 * in lots; the process must hold no more afterwards than before, give or take GROWTH_MAX.
 *
 * "Before" is after one round of 100,000: it sizes what a host keeps for its next sessions (slots, index, 10,000 archived views), and V8
 * and the allocator keep pages of it. "Fresh" is before that round, for whoever wants to know how much that is.
 */
import Table from "cli-table3";

import { SEGMENT_BYTES, SEGMENT_SLOTS } from "../src/core/slot-layout.ts";
import type { EphemeralSessionService } from "../src/index.ts";
import { residentBytes, usedHeapBytes } from "./harness/memory.ts";
import { archiveAll, createSessions, laneHeapBytes, openWarren } from "./peers/warren.ts";

const SESSIONS = 100_000;
const CREATES = 1_000_000;
const LOT = 10_000;
/** The sessions that tell what their lanes hold live on beside the others. */
const LANES = 2;
/** End over start. */
const GROWTH_MAX = 1.2;

type Held = Readonly<Record<"heap of main" | "heaps of lanes" | "shared memory" | "RSS", number>>;

async function held(service: EphemeralSessionService, probes: readonly string[]): Promise<Held> {
  const lanes = await laneHeapBytes(service, probes); // first: RSS is read when every heap has been collected
  const { allocated, free } = service.inspect().slots;
  return {
    RSS: await residentBytes(),
    "heap of main": usedHeapBytes(),
    "heaps of lanes": lanes,
    "shared memory": Math.ceil((allocated + free) / SEGMENT_SLOTS) * SEGMENT_BYTES,
  };
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** @returns whether nothing grew beyond GROWTH_MAX */
function report(what: string, fresh: Held, start: Held, end: Held): boolean {
  const table = new Table({ head: [what, "fresh", "before", "after", "after/before", ""], style: { head: [], border: [] } });
  let isGood = true;
  for (const name of Object.keys(start) as (keyof Held)[]) {
    const ratio = end[name] / start[name];
    const hasGrown = ratio > GROWTH_MAX;
    if (hasGrown) isGood = false;
    table.push([name, mebibytes(fresh[name]), mebibytes(start[name]), mebibytes(end[name]), ratio.toFixed(3), hasGrown ? "grown" : "ok"]);
  }
  console.log(table.toString());
  return isGood;
}

async function createAndArchive(service: EphemeralSessionService, count: number): Promise<void> {
  await archiveAll(service, await createSessions(service, count));
}

const startedAt = performance.now();
const peer = await openWarren({ agentName: "memory", sessions: LANES, lanes: { count: LANES }, maxSessions: SESSIONS + LANES });
const { service, ids: probes } = peer;
const fresh = await held(service, probes);
await createAndArchive(service, SESSIONS);
const start = await held(service, probes);
await createAndArchive(service, SESSIONS);
const afterIdle = await held(service, probes);
for (let created = 0; created < CREATES; created += LOT) await createAndArchive(service, LOT);
const afterChurn = await held(service, probes);
const { live, archivedViews } = service.inspect().sessions;
await peer[Symbol.asyncDispose]();

const isIdleGood = report(`${SESSIONS.toLocaleString("en")} idle sessions archived`, fresh, start, afterIdle);
const isChurnGood = report(`${CREATES.toLocaleString("en")} creates, each archived`, fresh, start, afterChurn);
const isGood = isIdleGood && isChurnGood && live === LANES;
console.log(
  `${live} sessions left of ${LANES}, ${archivedViews.toLocaleString("en")} archived views kept, ` +
    `${Math.round((performance.now() - startedAt) / 1000)} s: ${isGood ? "nothing leaks" : `more than ${Math.round((GROWTH_MAX - 1) * 100)} % was not given back`}`,
);
process.exitCode = isGood ? 0 : 1;
