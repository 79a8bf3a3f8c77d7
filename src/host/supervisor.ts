/**
 * Watches over lanes that do not answer: an interrupted turn whose lane is blocked brings the lane down. What follows the end of a
 * lane (typed errors, freed locks and capacity, replacement) is in the host's `laneEnded`.
 *
 *   V1. A lane is killed for a turn only while that turn holds its lock and the lane's heart has stood still since the interrupt,
 *       seen twice, so that a stall of main's own clock is not taken for one of the lane.
 */
import type { SlotTable } from "../core/slot-table.ts";
import { lockHolder } from "../core/turn-lock.ts";
import type { Logger } from "../protocol/options.ts";
import type { Turn } from "./turn.ts";

/** Added to the grace before the first look, and the pause before the second. */
const LOOK_DELAY_MS = 50;
/** Milliseconds without a heartbeat below which a lane is never taken for blocked: five beats. */
const STALE_MIN_MS = 500;

export class Supervisor {
  readonly #table: SlotTable;
  readonly #graceMs: number;
  readonly #logger: Logger | undefined;

  constructor(table: SlotTable, interruptGraceMs: number, logger: Logger | undefined) {
    this.#table = table;
    this.#graceMs = interruptGraceMs;
    this.#logger = logger;
  }

  /** An interrupt was asked of the turn: see that something comes of it. */
  watch(turn: Turn): void {
    let timer = setTimeout(() => look(0), this.#graceMs + LOOK_DELAY_MS);
    turn.onSettled(() => clearTimeout(timer));
    const look = (seenStale: number): void => {
      const { lane, slot } = turn.entry;
      if (lockHolder(this.#table, slot) !== turn.word || lane.hasEnded) return;
      const ageMs = lane.words.beatAge(Date.now());
      const isStale = ageMs !== undefined && ageMs >= Math.max(this.#graceMs, STALE_MIN_MS);
      if (isStale && seenStale > 0) {
        this.#logger?.error(
          { lane: lane.number, session: turn.entry.id, ticket: turn.ticket, heartbeatAgeMs: ageMs },
          "lane killed: blocked by an interrupted turn",
        );
        lane.thread.kill();
        return;
      }
      timer = setTimeout(() => look(isStale ? seenStale + 1 : 0), LOOK_DELAY_MS);
    };
  }
}
