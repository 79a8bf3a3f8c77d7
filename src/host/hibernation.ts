/**
 * Puts idle sessions to sleep: when they are asked to, when they have been idle for long, and when room is needed.
 *
 *   I1. A session sleeps only between turns: its lock is taken for housekeeping first, and from then on no turn is admitted.
 *   I2. For room, the least recently used session that may sleep goes first. One with open handles, in host mode, with queries waiting,
 *       or in a lane whose loop stands still is passed over.
 */
import type { Permit } from "../core/admission.ts";
import { LruList } from "../core/lru-list.ts";
import type { SlotTable } from "../core/slot-table.ts";
import { lockHolder, tryHousekeeping } from "../core/turn-lock.ts";
import { SessionError, busy } from "../protocol/errors.ts";
import type { LaneCommand } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import { within } from "../transport/within.ts";
import type { KeptEntry } from "./kept-entry.ts";
import { heldBy, isLively } from "./movable.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** Sessions looked at for one that may sleep, before a create or a wake-up is refused. */
const LOOKED_AT_MAX = 4096;
/** Milliseconds between two rounds of putting idle sessions to sleep, at most; sooner for short idle times. */
const ROUND_MAX_MS = 1000;
/** Sessions put to sleep in one round: the rest waits for the next. */
const ROUND_SESSIONS = 1024;
/** Milliseconds a session may take to leave before another one is put to sleep in its stead. */
const LEAVE_MAX_MS = 5000;

export interface HibernationParts {
  readonly table: SlotTable;
  readonly registry: SessionRegistry;
  /** Idle milliseconds after which a session sleeps; undefined: only for room. */
  readonly afterMs: number | undefined;
  query(entry: SessionEntry, command: (request: number) => LaneCommand): Promise<unknown>;
  /** A session that nobody waits for could not be saved. */
  onFailed(entry: SessionEntry, error: unknown): void;
}

export class Hibernation {
  readonly #parts: HibernationParts;
  readonly #used = new LruList<KeptEntry>();
  readonly #round: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** Sessions put to sleep. */
  count = 0;

  constructor(parts: HibernationParts) {
    this.#parts = parts;
    const { afterMs } = parts;
    if (afterMs !== undefined) this.#round = setInterval(() => this.#sleepIdle(afterMs), Math.min(ROUND_MAX_MS, Math.ceil(afterMs / 2)));
  }

  /** Put nobody to sleep any more. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#round);
  }

  /** The session is used now. @param nowMs - epoch milliseconds */
  used(kept: KeptEntry, nowMs: number): void {
    kept.lastUsedMs = nowMs;
    this.#used.touch(kept);
  }

  /** The session is no longer live. */
  gone(kept: KeptEntry): void {
    this.#used.remove(kept);
  }

  /**
   * Save the session and have its lane forget it. The lock is taken before this returns; resolves when the session sleeps.
   *
   * @throws SessionError SESSION_BUSY when a turn runs or something holds it in memory; rejects with SESSION_STORE_ERROR when it could not
   * be saved: it left all the same
   */
  async hibernate(entry: SessionEntry): Promise<void> {
    const held = entry.hasWaiting ? "turns wait for it" : heldBy(entry);
    if (held !== undefined)
      throw new SessionError("SESSION_BUSY", `session ${entry.id} cannot sleep: ${held}`, {
        sessionId: entry.id,
        details: { reason: held },
      });
    const asleep = this.#leave(entry, false);
    this.count++;
    await asleep;
  }

  /**
   * Have the session's lane save and forget it, so that it can wake elsewhere. One whose agent cannot say what it is stays.
   *
   * @returns false: it stays, and is live again when the caller says so. Throws and rejects as `hibernate`
   */
  leave(entry: SessionEntry): Promise<boolean> {
    return this.#leave(entry, true).then((answer) => answer !== false);
  }

  /** @throws SessionError SESSION_BUSY */
  #leave(entry: SessionEntry, mayStay: boolean): Promise<unknown> {
    if (entry.state !== "live" || !tryHousekeeping(this.#parts.table, entry.slot)) throw busy(entry.id);
    // The command first: what is asked of the session from now on goes behind it, and finds nothing.
    const asleep = this.#parts.query(entry, (request) =>
      mayStay
        ? [COMMANDS.HIBERNATE.op, entry.slot, entry.generation, request, true]
        : [COMMANDS.HIBERNATE.op, entry.slot, entry.generation, request],
    );
    this.#parts.registry.hibernate(entry);
    return asleep;
  }

  /**
   * A permit for one more live session, made by putting one to sleep if need be, or by waiting for one that is falling asleep.
   *
   * @param left - settles when the session has left its lane
   * @returns undefined when none may sleep, or when no session is put to sleep any more
   */
  async makeRoom(left: (entry: SessionEntry) => Promise<void>): Promise<Permit | undefined> {
    const { capacity } = this.#parts.registry;
    const awaited = new Set<SessionEntry>();
    for (;;) {
      const permit = capacity.tryTake();
      if (permit !== undefined || this.#isClosed) return permit;
      const victim = this.#victim();
      if (victim !== undefined) this.hibernate(victim).catch((error: unknown) => this.#parts.onFailed(victim, error));
      const leaving = victim ?? this.#fallingAsleep(awaited);
      if (leaving === undefined) return undefined;
      awaited.add(leaving);
      await within(left(leaving), LEAVE_MAX_MS); // its lane may be blocked: then another one has to go
    }
  }

  /** @returns one that is on its way, for whatever reason, and has not been waited for */
  #fallingAsleep(awaited: ReadonlySet<SessionEntry>): SessionEntry | undefined {
    for (const entry of this.#parts.registry.leaving) {
      if (entry.state === "hibernating" && !awaited.has(entry) && isLively(entry.lane)) return entry;
    }
    return undefined;
  }

  #victim(): SessionEntry | undefined {
    let looked = 0;
    for (const { entry } of this.#used) {
      if (this.#maySleep(entry)) return entry;
      if (++looked >= LOOKED_AT_MAX) return undefined;
    }
    return undefined;
  }

  #maySleep(entry: SessionEntry): boolean {
    const isFree = entry.state === "live" && !entry.hasWaiting && lockHolder(this.#parts.table, entry.slot) === 0;
    return isFree && isLively(entry.lane) && heldBy(entry) === undefined;
  }

  #sleepIdle(afterMs: number): void {
    const untilMs = Date.now() - afterMs;
    let asleep = 0;
    for (const kept of this.#used) {
      if (kept.lastUsedMs > untilMs || asleep >= ROUND_SESSIONS) return; // those behind were used later
      if (!this.#maySleep(kept.entry)) continue;
      asleep++;
      this.hibernate(kept.entry).catch((error: unknown) => this.#parts.onFailed(kept.entry, error));
    }
  }
}
