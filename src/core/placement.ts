/**
 * Where a session goes: the open lane with the least to do, the earlier one among equals. A session that is being built or has a turn
 * counts for many idle ones: when many come at once, as after the loss of a lane, all lanes work.
 */

/** Idle sessions that one at work counts for. */
const WEIGHT_AT_WORK = 64;

export interface PlacementCandidate {
  readonly sessionCount: number;
  /** Of its sessions: being built, or with a turn. */
  readonly atWork: number;
  readonly isOpen: boolean;
}

/** @returns the lane to place a session in, or undefined when none is open */
export function leastLoaded<L extends PlacementCandidate>(lanes: Iterable<L>): L | undefined {
  let best: L | undefined;
  let least = Infinity;
  for (const lane of lanes) {
    const load = lane.sessionCount + WEIGHT_AT_WORK * lane.atWork;
    if (!lane.isOpen || load >= least) continue;
    best = lane;
    least = load;
  }
  return best;
}
