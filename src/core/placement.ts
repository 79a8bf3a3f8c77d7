/**
 * Where a session goes: the open lane with the least to do, the earlier one among equals; one that is hindered only if all are. A session
 * that is being built or has a turn counts for many idle ones: when many come at once, as after the loss of a lane, all lanes work.
 */

/** Idle sessions that one at work counts for. */
const WEIGHT_AT_WORK = 64;

export interface PlacementCandidate {
  readonly sessionCount: number;
  /** Of its sessions: being built, or with a turn. */
  readonly atWork: number;
  readonly isOpen: boolean;
  /** It is behind with its work, or stands still. @param nowMs - epoch milliseconds */
  isHindered(nowMs: number): boolean;
}

/** @returns the lane to place a session in, or undefined when none is open. @param nowMs - epoch milliseconds */
export function leastLoaded<L extends PlacementCandidate>(lanes: Iterable<L>, nowMs: number): L | undefined {
  let best: L | undefined;
  let least = Infinity;
  let isBestHindered = true;
  for (const lane of lanes) {
    if (!lane.isOpen) continue;
    const load = lane.sessionCount + WEIGHT_AT_WORK * lane.atWork;
    const isHindered = lane.isHindered(nowMs);
    if (isHindered === isBestHindered ? load >= least : isHindered) continue;
    best = lane;
    least = load;
    isBestHindered = isHindered;
  }
  return best;
}
