/** Where a new session goes: the open lane with the fewest sessions, the earlier one among equals. */

export interface PlacementCandidate {
  readonly sessionCount: number;
  readonly isOpen: boolean;
}

/** @returns the lane to place a session in, or undefined when none is open */
export function leastLoaded<L extends PlacementCandidate>(lanes: Iterable<L>): L | undefined {
  let best: L | undefined;
  for (const lane of lanes) {
    if (lane.isOpen && (best === undefined || lane.sessionCount < best.sessionCount)) best = lane;
  }
  return best;
}
