/** Which sessions can go to another lane now. */
import type { SlotTable } from "../core/slot-table.ts";
import { lockHolder } from "../core/turn-lock.ts";
import type { HostLane } from "./host-lane.ts";
import type { SessionEntry } from "./session-entry.ts";

/** Milliseconds a lane's loop may stand still and its sessions still be put to sleep or moved: what is asked of it then waits. */
export const STALE_MS = 1000;

/** What takes sessions from lane to lane. */
export interface Mover {
  /**
   * Take an idle session to another lane: it keeps its id, its place, its subscribers, and its transcript as of the last boundary.
   *
   * @param reason - told with the event
   * @returns whether it went; a session that cannot go now, or whose agent cannot be packed or built there, stays. Never rejects
   */
  move(entry: SessionEntry, to: HostLane, reason: string): Promise<boolean>;
  /** Sessions on their way. */
  readonly size: number;
}

/** @returns what keeps a session in memory where it is; undefined: nothing does */
export function heldBy({ remotes, queries, isHostMode, comms }: SessionEntry): string | undefined {
  if (isHostMode) return "it is in host mode";
  if (queries > 0) return "its agent is being asked something";
  if (comms?.isBusy === true) return "it has messages, or waits for some";
  return remotes !== undefined && remotes.size > 0 ? "a handle of its agent is open" : undefined;
}

/** @returns whether the lane's loop moves */
export function isLively(lane: HostLane): boolean {
  return (lane.words.beatAge(Date.now()) ?? Infinity) < STALE_MS;
}

/** @returns whether the session is idle and nothing holds it where it is. A session that asked for a lane of its own stays there. */
export function isMovable(table: SlotTable, entry: SessionEntry): boolean {
  return (
    entry.state === "live" &&
    entry.turn === undefined &&
    entry.lane.kind === "shared" &&
    !entry.lane.hasEnded &&
    !entry.isSuspect && // placed apart from others
    heldBy(entry) === undefined &&
    lockHolder(table, entry.slot) === 0 &&
    isLively(entry.lane)
  );
}
