/**
 * Sessions of a host with a store on their way from one lane to another: the session goes to sleep in the one and is woken in the other,
 * with the place it holds. Turns and whatever else needs its agent wait for it as for any session that wakes (W1–W6).
 *
 *   J1. A session that cannot be saved because of its agent stays. One that was saved and cannot be woken sleeps.
 *   J2. Its capacity is held all the way: a session that is moved never finds its place taken.
 */
import { Permit } from "../core/admission.ts";
import type { SlotTable } from "../core/slot-table.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { Hibernation } from "./hibernation.ts";
import type { HostLane } from "./host-lane.ts";
import type { Mover } from "./movable.ts";
import { isMovable } from "./movable.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { Wakes } from "./wakes.ts";

export interface KeptMoveParts {
  readonly table: SlotTable;
  readonly hibernation: Pick<Hibernation, "leave">;
  readonly wakes: Pick<Wakes, "wake">;
  /** The session does not leave: it is live where it was. */
  onStays(entry: SessionEntry): void;
  /** The session has left, and what no turn of it had saved could not be. */
  onUnsaved(entry: SessionEntry, error: unknown): void;
  onMoved(entry: SessionEntry, from: HostLane, reason: string): void;
  /** The session of that id is not on its way any more, whatever became of it. */
  onEnded(id: SessionId): void;
}

export class KeptMoves implements Mover {
  readonly #parts: KeptMoveParts;
  /** By id: the place of a session that has left one lane and has not yet been given to the other. */
  readonly #places = new Map<SessionId, Permit>();
  /** Where the place is to be used. */
  readonly #lanes = new WeakMap<Permit, HostLane>();
  /** On their way out of one lane, or into the other. */
  readonly #onTheirWay = new Set<SessionId>();
  #size = 0;

  constructor(parts: KeptMoveParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether the session of that id is on its way from one lane to another. */
  isOnItsWay(id: SessionId): boolean {
    return this.#onTheirWay.has(id);
  }

  /** The place held for a session that is on its way, for the wake-up that makes it live. */
  takePlace(id: SessionId): Permit | undefined {
    const place = this.#places.get(id);
    this.#places.delete(id);
    return place;
  }

  /** The lane a session goes to that holds this place; undefined: any. */
  laneFor(place: Permit): HostLane | undefined {
    return this.#lanes.get(place);
  }

  async move(entry: SessionEntry, to: HostLane, reason: string): Promise<boolean> {
    if (entry.lane === to || !to.isOpen || !isMovable(this.#parts.table, entry)) return false;
    const { id, lane: from, permit: place } = entry;
    const { hibernation, wakes } = this.#parts;
    this.#size++;
    try {
      const leaving = hibernation.leave(entry);
      this.#onTheirWay.add(id);
      entry.permit = Permit.none();
      this.#places.set(id, place);
      this.#lanes.set(place, to);
      const hasLeft = await leaving.catch((error: unknown) => {
        this.#parts.onUnsaved(entry, error);
        return true; // it sleeps, as it was at its last boundary
      });
      if (!hasLeft) {
        this.#stays(entry, place);
        return false;
      }
      const moved = await wakes.wake(id);
      if (moved.lane === from) return false; // the other one is not there any more
      moved.cpuMs += entry.cpuMs;
      this.#parts.onMoved(moved, from, reason);
      return true;
    } catch {
      return false; // J1: it sleeps, and says why to whoever needs it
    } finally {
      this.#size--;
      if (this.#onTheirWay.delete(id)) this.#parts.onEnded(id);
      if (this.#places.get(id) === place) {
        this.#places.delete(id);
        if (entry.permit !== place) place.release();
      }
    }
  }

  /** Its lane may be lost by now: then it sleeps. */
  #stays(entry: SessionEntry, place: Permit): void {
    if (entry.state !== "hibernating") return;
    this.#places.delete(entry.id);
    entry.permit = place;
    this.#parts.onStays(entry);
  }
}
