/**
 * The way into a session for a turn that waited: what keeps it out is seen before anything is changed, and whoever runs can be made to stop.
 */
import { lockHolder } from "../core/turn-lock.ts";
import type { SlotTable } from "../core/slot-table.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { RunResult } from "../protocol/views.ts";
import type { LoadGate } from "./load-gate.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { CancelReason } from "./turn.ts";
import type { TurnStart, TurnTable } from "./turn-table.ts";

/** Admits a turn and starts it, in the instant in which it was given. @throws SessionError, and what onAdmitted throws */
export type Door = (start: TurnStart) => Promise<RunResult>;

/** Sessions that are not in a lane now: asleep, on their way out, or on their way in. */
export interface WaysIn {
  /** @returns the way in; undefined: a turn is there already. @throws SessionError when there is no such session any more */
  door(id: SessionId): Door | undefined;
  /** The session of that id that leaves its lane, be its turn still running. */
  leaving(id: SessionId): SessionEntry | undefined;
  /** Interrupt the turn that waits for the session. @returns whether there was one */
  interrupt(id: SessionId, reason: CancelReason): boolean;
  /** A turn enters the live session. */
  used?(entry: SessionEntry): void;
}

export interface TurnDoorParts {
  readonly table: SlotTable;
  readonly registry: SessionRegistry;
  readonly turns: TurnTable;
  readonly gate: LoadGate;
  readonly waysIn: WaysIn;
}

export class TurnDoor {
  readonly #parts: TurnDoorParts;

  constructor(parts: TurnDoorParts) {
    this.#parts = parts;
  }

  /**
   * @returns the way into the session, to be used at once; undefined: it is busy, and whoever keeps it so will say when that is over
   * @throws SessionError what a turn would be refused with for another reason
   */
  of(id: SessionId): Door | undefined {
    const { table, registry, turns, gate, waysIn } = this.#parts;
    const entry = registry.find(id);
    if (entry?.state !== "live") return waysIn.door(id);
    // What a lane that has ended held is settled, and then gone.
    if (lockHolder(table, entry.slot) !== 0 || entry.lane.hasEnded) return undefined;
    gate.enter(entry.lane);
    return (start) => {
      const ticket = turns.nextTicket();
      turns.admitAs(entry, ticket);
      waysIn.used?.(entry);
      return turns.start(entry, ticket, start);
    };
  }

  /**
   * Interrupt the turn that runs in the session, or waits for it to be live. One that is past the point of no return stands.
   *
   * @param isUndone - what it left in its agent's memory is not to be seen by any other turn
   */
  interrupt(id: SessionId, isUndone: boolean): void {
    const { registry, turns, waysIn } = this.#parts;
    const entry = registry.find(id) ?? waysIn.leaving(id);
    if (entry === undefined || !turns.interrupt(entry, "superseded")) waysIn.interrupt(id, "superseded");
    else if (isUndone) entry.mustRenew = true;
  }
}
