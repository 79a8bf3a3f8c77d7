/**
 * What follows the end of a lane.
 *
 *   G2. When a lane ends, everything it owed is settled, in the order turns, builds, sessions, before its successor is given anything.
 *       Nothing of it is left: locks, slots, capacity, queries, streams and handles of its sessions are freed.
 *   G3. Who brought it down is found out before anybody is answered: a caller who starts again at once is told already.
 */
import type { SlotTable } from "../core/slot-table.ts";
import { agentFailure, hostClosed } from "../protocol/errors.ts";
import type { SessionError } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { HostEvents } from "./host-events.ts";
import type { HostLane } from "./host-lane.ts";
import type { LaneEnd } from "./lane-thread.ts";
import type { LostTurns } from "./lost-turns.ts";
import type { Moves } from "./moves.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Builds } from "./builds.ts";
import type { SessionQueries } from "./session-queries.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { TurnTable } from "./turn-table.ts";

export interface LaneEndsParts {
  readonly table: SlotTable;
  readonly registry: SessionRegistry;
  readonly turns: TurnTable;
  readonly builds: Builds;
  readonly quarantine: Quarantine;
  readonly events: HostEvents;
  readonly queries: SessionQueries;
  /** Of a host with a store: what became of a lost turn is asked there. */
  readonly lostTurns: LostTurns | undefined;
  /** Of a host without. */
  readonly moves: Pick<Moves, "laneLost"> | undefined;
}

export class LaneEnds {
  readonly #parts: LaneEndsParts;

  constructor(parts: LaneEndsParts) {
    this.#parts = parts;
  }

  /** The lane has been lost; nothing it owed is settled yet (G3). */
  lost(lane: HostLane, { exitCode, error }: LaneEnd): void {
    const { table, registry, quarantine, events } = this.#parts;
    const { number, sessionCount: sessions, runningTurns: turns } = lane;
    events.emit("lane_lost", { lane: number, details: { exitCode, ...(error && { error: error.message }), sessions, turns } });
    const ran: SessionId[] = [];
    for (const { id, turn, state } of registry.inLane(lane)) {
      // The only session of a lane needs no turn to end it. One that is being built has not begun before the agents are loaded.
      if (turn !== undefined || (lane.isLoaded && (state === "building" || sessions === 1))) ran.push(id);
    }
    const slot = lane.words.runningSlot();
    const inLoop = slot === undefined ? undefined : registry.inSlot(lane, slot)?.id;
    // An interrupted turn that had not begun is not why the loop stood still.
    const { killedFor } = lane;
    const wasAtWork = killedFor !== undefined && (killedFor.state === "building" || table.isRunning(killedFor.slot));
    quarantine.lost({ lane: number, killedFor: wasAtWork ? killedFor.id : undefined, inLoop, ran });
  }

  /** The lane has ended (N2), asked or not; its state says which. */
  ended(lane: HostLane, end: LaneEnd): void {
    const { registry, turns, builds, queries, lostTurns, moves } = this.#parts;
    const isLost = lane.state === "lost";
    const why = (sessionId?: SessionId): SessionError => (isLost ? laneLost(lane, end, sessionId) : hostClosed());
    const lost = turns.laneLost(lane);
    if (lostTurns === undefined || !isLost) for (const turn of lost) turns.fail(turn, why(turn.entry.id));
    else lostTurns.settle(lane, lost, why);
    builds.laneLost(lane, why());
    moves?.laneLost(lane, why);
    for (const entry of registry.inLane(lane)) {
      queries.gone(entry, ({ id }) => why(id));
      registry.laneLost(entry);
    }
  }
}

function laneLost(lane: HostLane, end: LaneEnd, sessionId: SessionId | undefined): SessionError {
  const { killedBecause } = lane;
  const reason = killedBecause === undefined ? (end.error?.message ?? "it ended by itself") : `killed because ${killedBecause}`;
  return agentFailure("lane_lost", `lane ${lane.number} was lost (exit code ${end.exitCode}): ${reason}`, {
    ...(sessionId !== undefined && { sessionId }),
    details: { outcome: "not_committed", lane: lane.number, exitCode: end.exitCode, ...(killedBecause !== undefined && { killedBecause }) },
  });
}
