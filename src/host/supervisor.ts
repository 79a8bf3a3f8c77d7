/**
 * Watches over lanes that do not answer. Two reasons to look: a turn was interrupted and nothing comes of it, and a lane's heart stands
 * still although nobody interrupts. What follows the end of a lane (typed errors, freed locks and capacity, replacement) is in the
 * host's `#laneEnded`.
 *
 *   V1. A lane is killed for a turn only while that turn holds its lock and the lane's heart has stood still for the grace, since the
 *       interrupt or (for at least five beats) later.
 *   V2. A lane without an interrupt is killed only where the operator asked for it (`laneStallPolicy: "kill"`); it is always reported.
 *   V3. Nothing is killed for what was seen once: a stall of main's own clock looks like one of every lane.
 */
import type { SlotTable } from "../core/slot-table.ts";
import { lockHolder } from "../core/turn-lock.ts";
import type { HostOptions } from "../protocol/options.ts";
import type { HostLane } from "./host-lane.ts";
import type { Turn } from "./turn.ts";

/** Milliseconds from the end of the grace to the first look at an interrupted turn, and between two looks: a kill comes 70 ms after the grace. */
const FIRST_LOOK_MS = 20;
const NEXT_LOOK_MS = 50;
/** Milliseconds without a heartbeat below which a lane is never taken for blocked: five beats, or two if there was none since the interrupt. */
const STALLED_MIN_MS = 500;
const INTERRUPTED_MIN_MS = 200;
/** Milliseconds between two looks at all lanes. */
const ROUND_MS = 250;

export class Supervisor {
  readonly #table: SlotTable;
  readonly #options: HostOptions;
  readonly #lanes: Iterable<HostLane>;
  readonly #round: NodeJS.Timeout;
  /** Lanes that stood still at the last round. */
  #stalled = new Set<HostLane>();
  readonly #reported = new WeakSet<HostLane>();
  readonly #killed = new WeakSet<HostLane>();

  constructor(table: SlotTable, options: HostOptions, lanes: Iterable<HostLane>) {
    this.#table = table;
    this.#options = options;
    this.#lanes = lanes;
    this.#round = setInterval(() => this.#lookAtLanes(), ROUND_MS);
  }

  /** Look no more at lanes; interrupted turns are watched to their end. */
  close(): void {
    clearInterval(this.#round);
  }

  /** An interrupt was asked of the turn: see that something comes of it (V1). */
  watch(turn: Turn): void {
    const graceMs = this.#options.interruptGraceMs;
    const { lane, slot } = turn.entry;
    const beatAtInterrupt = lane.words.lastBeat();
    const look = (seenStale: boolean): void => {
      if (lockHolder(this.#table, slot) !== turn.word || lane.hasEnded) return;
      const minMs = lane.words.lastBeat() === beatAtInterrupt ? INTERRUPTED_MIN_MS : STALLED_MIN_MS;
      const isStale = standsStill(lane, Math.max(graceMs, minMs));
      if (isStale && seenStale) this.#kill(lane, "blocked by an interrupted turn", { session: turn.entry.id, ticket: turn.ticket });
      else timer = setTimeout(() => look(isStale), NEXT_LOOK_MS);
    };
    let timer = setTimeout(() => look(false), graceMs + FIRST_LOOK_MS);
    turn.onSettled(() => clearTimeout(timer));
  }

  #lookAtLanes(): void {
    const { laneStallMs, laneStallPolicy, logger } = this.#options;
    const stalled = new Set<HostLane>();
    for (const lane of this.#lanes) {
      if (lane.state !== "ready" || !standsStill(lane, Math.max(laneStallMs, STALLED_MIN_MS))) {
        this.#reported.delete(lane);
        continue;
      }
      stalled.add(lane);
      if (!this.#stalled.has(lane)) continue; // V3
      if (laneStallPolicy === "kill") this.#kill(lane, "its event loop stands still", {});
      else if (!this.#reported.has(lane)) {
        this.#reported.add(lane);
        logger?.warn({ lane: lane.number, heartbeatAgeMs: lane.words.beatAge(Date.now()) }, "lane stalled: its event loop stands still");
      }
    }
    this.#stalled = stalled;
  }

  #kill(lane: HostLane, why: string, fields: Record<string, unknown>): void {
    if (this.#killed.has(lane)) return; // its end takes a moment
    this.#killed.add(lane);
    this.#options.logger?.error({ lane: lane.number, heartbeatAgeMs: lane.words.beatAge(Date.now()), ...fields }, `lane killed: ${why}`);
    lane.thread.kill();
  }
}

/** @param forMs - milliseconds the lane's heart must have stood still */
function standsStill(lane: HostLane, forMs: number): boolean {
  const ageMs = lane.words.beatAge(Date.now());
  return ageMs !== undefined && ageMs >= forMs;
}
