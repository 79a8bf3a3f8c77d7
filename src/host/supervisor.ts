/**
 * Watches over lanes that do not answer. Two reasons to look: a turn was interrupted and nothing comes of it, and a lane's heart stands
 * still although nobody interrupts. What follows the end of a lane is in lane-ends.ts.
 *
 *   V1. A lane is killed for a turn only while that turn holds its lock and the lane's heart has stood still for the grace, since the
 *       interrupt or (for at least five beats) later.
 *       Or when it lives and has not ended the turn long after it should have given it up: the last rung, which nothing is known to need.
 *   V2. A lane without an interrupt is killed only where the operator asked for it (`laneStallPolicy: "kill"`); it is always reported.
 *   V4. A lane is killed for a build only when it is that session's builder which blocks it, beyond the time a build may take.
 *   V3. Nothing is killed for what was seen once, or by a look that came late: a stall of main's own clock looks like one of every lane.
 */
import type { SlotTable } from "../core/slot-table.ts";
import { lockHolder } from "../core/turn-lock.ts";
import type { HostOptions } from "../protocol/options.ts";
import type { HostEvents } from "./host-events.ts";
import type { HostLane } from "./host-lane.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { Turn } from "./turn.ts";

/** Milliseconds from the end of the grace to the first look at an interrupted turn, and between two looks: a kill comes 70 ms after the grace. */
const FIRST_LOOK_MS = 20;
const NEXT_LOOK_MS = 50;
/** Milliseconds from the end of the grace within which a lane that lives ends the turn: giving it up, an agent built anew (5 s), a store (30 s). */
const UNENDED_MS = 60_000;
/** Milliseconds without a heartbeat below which a lane is never taken for blocked: five beats, or two if there was none since the interrupt. */
const STALLED_MIN_MS = 500;
const INTERRUPTED_MIN_MS = 200;
/** Milliseconds between two looks at all lanes. */
const ROUND_MS = 250;
/** Milliseconds a look may come late by the wall clock: beyond it main has stood still itself, or the clock was set. */
const LATE_MS = 150;

/** Why a lane is killed. */
type KillReason =
  | "a turn ignored its interrupt and blocks it"
  | "an agent's builder blocks it"
  | "it did not end an interrupted turn"
  | "its event loop stands still"
  | "it reported what cannot be"
  | "its buffers outgrow lanes.externalMemoryMaxMb";
type SupervisorOptions = Pick<HostOptions, "interruptGraceMs" | "buildTimeoutMs" | "laneStallMs" | "laneStallPolicy">;

/** What the supervisor must know of sessions. */
export interface SupervisedSessions {
  /** The session in a slot, if it is that lane's. */
  inSlot(lane: HostLane, slot: number): SessionEntry | undefined;
  /** Sessions whose builds began before `sinceMs`, in epoch milliseconds. */
  buildingSince(sinceMs: number): Iterable<SessionEntry>;
}

export class Supervisor {
  readonly #table: SlotTable;
  readonly #options: SupervisorOptions;
  readonly #lanes: Iterable<HostLane>;
  readonly #events: HostEvents;
  readonly #sessions: SupervisedSessions;
  readonly #round: NodeJS.Timeout;
  #roundAtMs = Date.now();
  /** Lanes that stood still at the last round. */
  #stalled = new Set<HostLane>();
  /** Those of them that a builder blocked beyond its time. */
  #overdue = new Set<HostLane>();
  readonly #reported = new WeakSet<HostLane>();
  readonly #killed = new WeakSet<HostLane>();
  /** Called at every round, before anything else. */
  onRound: (() => void) | undefined;

  constructor(table: SlotTable, options: SupervisorOptions, lanes: Iterable<HostLane>, events: HostEvents, sessions: SupervisedSessions) {
    this.#table = table;
    this.#options = options;
    this.#lanes = lanes;
    this.#events = events;
    this.#sessions = sessions;
    this.#round = setInterval(() => this.#lookAtLanes(), ROUND_MS);
  }

  /** Look no more at lanes; interrupted turns are watched to their end. */
  close(): void {
    clearInterval(this.#round);
  }

  /** An interrupt was asked of the turn: see that something comes of it (V1). */
  watch(turn: Turn): void {
    const graceMs = this.#options.interruptGraceMs;
    const { lane, slot, id } = turn.entry;
    this.#events.emit("interrupt_asked", {
      lane: lane.number,
      sessionId: id,
      ticket: turn.ticket,
      details: { reason: turn.cancelReason },
    });
    const beatAtInterrupt = lane.words.lastBeat();
    const askedMs = performance.now();
    let timer: NodeJS.Timeout;
    const lookIn = (ms: number, seenStale: boolean): void => {
      const dueMs = Date.now() + ms;
      timer = setTimeout(() => look(seenStale, Date.now() - dueMs), ms);
    };
    const look = (seenStale: boolean, lateMs: number): void => {
      if (lockHolder(this.#table, slot) !== turn.word || lane.hasEnded) return;
      const minMs = lane.words.lastBeat() === beatAtInterrupt ? INTERRUPTED_MIN_MS : STALLED_MIN_MS;
      const isStale = lateMs <= LATE_MS && standsStill(lane, Math.max(graceMs, minMs));
      const isUnended = performance.now() - askedMs > graceMs + UNENDED_MS && this.#table.isRunning(slot);
      if (isStale && seenStale) this.#kill(lane, "a turn ignored its interrupt and blocks it", turn.entry, turn.ticket);
      else if (isUnended) this.#kill(lane, "it did not end an interrupted turn", turn.entry, turn.ticket);
      else lookIn(NEXT_LOOK_MS, isStale);
    };
    lookIn(graceMs + FIRST_LOOK_MS, false);
    turn.onSettled(() => clearTimeout(timer));
  }

  /** The lane said what cannot be: nothing it says is believed any more. */
  distrust(lane: HostLane): void {
    if (!lane.hasEnded) this.#kill(lane, "it reported what cannot be");
  }

  /** What the lane holds outside its heap is more than it may be. @param entry - whose code it runs, if that is known */
  outgrown(lane: HostLane, entry: SessionEntry | undefined): void {
    if (!lane.hasEnded) this.#kill(lane, "its buffers outgrow lanes.externalMemoryMaxMb", entry);
  }

  #lookAtLanes(): void {
    this.onRound?.();
    const { laneStallMs, laneStallPolicy } = this.#options;
    const nowMs = Date.now();
    const isLate = nowMs - this.#roundAtMs > ROUND_MS + LATE_MS;
    this.#roundAtMs = nowMs;
    if (isLate) {
      this.#stalled.clear(); // V3
      this.#overdue.clear();
      return;
    }
    const stalled = new Set<HostLane>();
    for (const lane of this.#lanes) {
      if (lane.state !== "ready" || !standsStill(lane, Math.max(laneStallMs, STALLED_MIN_MS))) {
        if (this.#reported.delete(lane) && lane.state === "ready") this.#events.emit("lane_recovered", { lane: lane.number });
        continue;
      }
      stalled.add(lane);
      if (!this.#stalled.has(lane)) continue; // V3
      this.#report(lane);
      if (laneStallPolicy === "kill") this.#kill(lane, "its event loop stands still");
    }
    this.#stalled = stalled;
    this.#lookAtBuilds(nowMs);
  }

  /** V4. A builder that does not block its lane is ended there. */
  #lookAtBuilds(nowMs: number): void {
    const { buildTimeoutMs, interruptGraceMs } = this.#options;
    const overdue = new Set<HostLane>();
    for (const entry of this.#sessions.buildingSince(nowMs - buildTimeoutMs)) {
      const { lane, slot } = entry;
      if (lane.words.runningSlot() !== slot || !standsStill(lane, Math.max(interruptGraceMs, STALLED_MIN_MS))) continue;
      overdue.add(lane);
      if (this.#overdue.has(lane)) this.#kill(lane, "an agent's builder blocks it", entry);
    }
    this.#overdue = overdue;
  }

  #report(lane: HostLane): void {
    if (this.#reported.has(lane)) return;
    this.#reported.add(lane);
    const slot = lane.words.runningSlot();
    const sessionId = slot === undefined ? undefined : this.#sessions.inSlot(lane, slot)?.id;
    const details = { heartbeatAgeMs: lane.words.beatAge(Date.now()) };
    this.#events.emit("lane_stalled", { lane: lane.number, ...(sessionId !== undefined && { sessionId }), details });
  }

  #kill(lane: HostLane, reason: KillReason, entry?: SessionEntry, ticket?: number): void {
    if (this.#killed.has(lane)) return; // its end takes a moment
    this.#killed.add(lane);
    lane.killedFor = entry;
    lane.killedBecause = reason;
    this.#events.emit("lane_killed", {
      lane: lane.number,
      ...(entry && { sessionId: entry.id }),
      ...(ticket !== undefined && { ticket }),
      details: { reason, heartbeatAgeMs: lane.words.beatAge(Date.now()) },
    });
    lane.thread.kill();
  }
}

/** @param forMs - milliseconds the lane's heart must have stood still */
function standsStill(lane: HostLane, forMs: number): boolean {
  const ageMs = lane.words.beatAge(Date.now());
  return ageMs !== undefined && ageMs >= forMs;
}
