/** Sessions of a lane that can leave it now. */
import { readSummary } from "../core/slot-summary.ts";
import type { SlotTable } from "../core/slot-table.ts";
import type { HostLane } from "./host-lane.ts";
import { isMovable } from "./movable.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** Sessions looked at, so that a look at a lane with very many ends soon. */
const LOOKED_AT_MAX = 4096;

/** @returns at most `count` idle sessions, the least recently changed first */
export function idleSessions(table: SlotTable, registry: Pick<SessionRegistry, "inLane">, lane: HostLane, count: number): SessionEntry[] {
  const idle: { entry: SessionEntry; updatedAt: number }[] = [];
  for (const entry of registry.inLane(lane)) {
    if (!isMovable(table, entry)) continue;
    idle.push({ entry, updatedAt: entry.kept?.lastUsedMs ?? readSummary(table, entry.slot).updatedAt });
    if (idle.length >= LOOKED_AT_MAX) break;
  }
  idle.sort((a, b) => a.updatedAt - b.updatedAt);
  return idle.slice(0, count).map(({ entry }) => entry);
}
