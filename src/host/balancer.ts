/**
 * Takes load from a lane that has no time left to one that has, by moving sessions. What counts is measured: the share of time the loops
 * were busy over the last two seconds, and what of it each session used.
 *
 *   E1. Nothing is moved unless a lane is overloaded (0.9 of its time) and another has half of its own to spare.
 *   E2. A session that uses half of its lane or more is moved at its next turn boundary, or (by policy) gets a lane of its own. While its turn
 *       does not end, others are moved away from it.
 *   E3. Without such a session others move at their next boundary, the busiest first, up to half of the difference, BATCH at most.
 *   E4. A session is not moved twice within REST_MS, nor is a lane looked at again before what was done can be seen: nothing goes to and fro.
 */
import type { SlotTable } from "../core/slot-table.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { HostOptions } from "../protocol/options.ts";
import { OVERLOADED } from "./cpu-sampler.ts";
import type { HostEvents } from "./host-events.ts";
import type { HostLane } from "./host-lane.ts";
import { idleSessions } from "./idle-sessions.ts";
import { ROUNDS } from "./lane-load.ts";
import { heldBy, isLively, isMovable } from "./movable.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** Shares of the time. */
const RECOVERED = 0.8;
const SPARE = 0.5;
const HOG = 0.5;
/** What must be known of who used the time before anybody but a hog is moved: the lane's marking tells the rest. */
const KNOWN = 0.5;
/** Sessions moved at once. */
const BATCH = 16;
/** Rounds (250 ms) from one act on a lane to the next: its measure is then of what came after. */
const PAUSE_ROUNDS = ROUNDS;
/** Rounds a hog has for its turn to end before others are moved away from it. */
const PATIENCE_ROUNDS = 4;
const REST_MS = 60_000;

export interface BalancerParts {
  readonly table: SlotTable;
  readonly registry: Pick<SessionRegistry, "inLane">;
  readonly events: HostEvents;
  readonly policy: HostOptions["lanes"]["hogPolicy"];
  /** As Mover.move. */
  move(entry: SessionEntry, to: HostLane, reason: string): Promise<boolean>;
  /** A lane of its own for a session; undefined when there is none to be had. */
  startDedicated(): HostLane | undefined;
  /** The lane is not needed: the session did not come. */
  stop(lane: HostLane): void;
  /** Tell of every turn that settles from now on, or of none. */
  onSettled(listener: ((entry: SessionEntry) => void) | undefined): void;
  /** Milliseconds of any clock that goes on. */
  now(): number;
}

/** What is known of an overloaded lane. */
interface Watched {
  isOverloaded: boolean;
  /** Rounds until it is looked at again. */
  pause: number;
  /** Rounds its hog has been waited for. */
  waited: number;
}

export class Balancer {
  readonly #parts: BalancerParts;
  readonly #watched = new WeakMap<HostLane, Watched>();
  /** Sessions to be moved when their turn ends, and where to. */
  readonly #wanted = new Map<SessionEntry, () => void>();
  /** When sessions were moved last, the oldest first. */
  readonly #moved = new Map<SessionId, number>();

  constructor(parts: BalancerParts) {
    this.#parts = parts;
  }

  /** A round of the supervisor, behind the measuring. */
  round(lanes: readonly HostLane[]): void {
    const nowMs = this.#parts.now();
    for (const [id, atMs] of this.#moved) {
      if (nowMs - atMs < REST_MS) break;
      this.#moved.delete(id);
    }
    for (const lane of lanes) if (lane.kind === "shared" && lane.state === "ready") this.#look(lane, lanes);
    for (const entry of this.#wanted.keys()) if (entry.state !== "live") this.#want(entry, undefined);
  }

  /** Move nobody any more. */
  close(): void {
    for (const entry of this.#wanted.keys()) this.#want(entry, undefined);
  }

  #look(lane: HostLane, lanes: readonly HostLane[]): void {
    const watched = this.#of(lane);
    const share = lane.load.isFull ? (lane.load.share ?? 0) : 0;
    if (share < OVERLOADED) {
      if (share < RECOVERED) watched.isOverloaded = false;
      watched.waited = 0;
      for (const entry of this.#wanted.keys()) if (entry.lane === lane) this.#want(entry, undefined);
      return;
    }
    const parts = lane.load.parts().filter(({ entry }) => entry.state === "live" && entry.lane === lane);
    const [first] = parts;
    if (!watched.isOverloaded) this.#tell(lane, share, first);
    watched.isOverloaded = true;
    if (this.#parts.policy === "report" || lane.sessionCount < 2 || watched.pause-- > 0) return;
    watched.pause = 0;
    const target = spareLane(lane, lanes);
    if (first !== undefined && first.share >= HOG) this.#partFrom(first.entry, target, watched);
    else if (target !== undefined && parts.reduce((sum, part) => sum + part.share, 0) >= KNOWN)
      this.#spread(parts, (share - (target.load.share ?? 0)) / 2, target, watched);
  }

  #of(lane: HostLane): Watched {
    let watched = this.#watched.get(lane);
    if (watched === undefined) this.#watched.set(lane, (watched = { isOverloaded: false, pause: 0, waited: 0 }));
    return watched;
  }

  #tell(lane: HostLane, utilization: number, first: { entry: SessionEntry; share: number } | undefined): void {
    const { events } = this.#parts;
    if (first === undefined) events.emit("lane_overloaded", { lane: lane.number, details: { utilization } });
    else events.emit("lane_overloaded", { lane: lane.number, sessionId: first.entry.id, details: { utilization, share: first.share } });
  }

  /** E2 */
  #partFrom(hog: SessionEntry, target: HostLane | undefined, watched: Watched): void {
    const { policy, table, registry } = this.#parts;
    if (this.#mayMove(hog) && (policy === "dedicate" || target !== undefined) && watched.waited++ < PATIENCE_ROUNDS) {
      this.#atBoundary(hog, () => {
        watched.pause = PAUSE_ROUNDS;
        watched.waited = 0;
        void (policy === "dedicate" ? this.#dedicate(hog, target) : this.#move(hog, target, "hog"));
      });
      return;
    }
    this.#want(hog, undefined);
    watched.waited = 0;
    if (target === undefined) return;
    const others = idleSessions(table, registry, hog.lane, BATCH).filter((entry) => this.#mayMove(entry));
    for (const entry of others) void this.#move(entry, target, "neighbour_of_hog");
    if (others.length > 0) watched.pause = PAUSE_ROUNDS;
  }

  async #dedicate(hog: SessionEntry, otherwise: HostLane | undefined): Promise<void> {
    const own = this.#parts.startDedicated();
    await this.#move(hog, own ?? otherwise, "hog");
    if (own?.sessionCount === 0) this.#parts.stop(own);
  }

  async #move(entry: SessionEntry, to: HostLane | undefined, reason: string): Promise<void> {
    if (to === undefined) return;
    this.#rest(entry);
    await this.#parts.move(entry, to, reason);
  }

  /** E3. @param surplus - share of the time that is to go */
  #spread(parts: readonly { entry: SessionEntry; share: number }[], surplus: number, target: HostLane, watched: Watched): void {
    let left = surplus;
    let going = 0;
    for (const { entry, share } of parts) {
      if (left <= 0 || going >= BATCH) break;
      if (!this.#mayMove(entry)) continue;
      this.#atBoundary(entry, () => void this.#move(entry, target, "lane_overloaded"));
      going++;
      left -= share;
    }
    if (going > 0) watched.pause = PAUSE_ROUNDS;
  }

  /** E4 */
  #mayMove(entry: SessionEntry): boolean {
    return entry.state === "live" && heldBy(entry) === undefined && !entry.isSuspect && !this.#moved.has(entry.id);
  }

  #rest({ id }: SessionEntry): void {
    this.#moved.delete(id);
    this.#moved.set(id, this.#parts.now());
  }

  /** Do it when no turn of the session runs: now, or when the one that runs has ended. */
  #atBoundary(entry: SessionEntry, act: () => void): void {
    if (!isMovable(this.#parts.table, entry)) {
      this.#want(entry, act);
      return;
    }
    this.#want(entry, undefined);
    act();
  }

  #want(entry: SessionEntry, act: (() => void) | undefined): void {
    if (act === undefined) this.#wanted.delete(entry);
    else this.#wanted.set(entry, act);
    this.#parts.onSettled(this.#wanted.size === 0 ? undefined : (settled) => this.#settled(settled));
  }

  #settled(entry: SessionEntry): void {
    const act = this.#wanted.get(entry);
    if (act === undefined) return;
    this.#want(entry, undefined);
    act();
  }
}

/** @returns the other shared lane with the most time to spare, if it has enough (E1) */
function spareLane(lane: HostLane, lanes: readonly HostLane[]): HostLane | undefined {
  let best: HostLane | undefined;
  let least = SPARE;
  for (const other of lanes) {
    if (other === lane || other.kind !== "shared" || other.state !== "ready" || !other.load.isFull || !isLively(other)) continue;
    const share = other.load.share ?? 1;
    if (share > least) continue;
    best = other;
    least = share;
  }
  return best;
}
