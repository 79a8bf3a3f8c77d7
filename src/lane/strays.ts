/**
 * Errors of a lane that nobody awaits: main is told, and no session is harmed.
 *
 *   W5. They are described STRAYS_MAX times from one heartbeat to the next; of the others main learns how many they were.
 */
import { REPORTS } from "../protocol/frames.ts";
import { describeError } from "./agent-errors.ts";
import type { LaneContext } from "./lane-context.ts";

/** Descriptions between two heartbeats. */
const STRAYS_MAX = 64;
/** Characters of a description. */
const TEXT_MAX = 16_384;

export class Strays {
  readonly #outbox: LaneContext["outbox"];
  #count = 0;
  /** Since the last heartbeat. */
  #recent = 0;

  constructor(outbox: LaneContext["outbox"]) {
    this.#outbox = outbox;
  }

  /** So far. */
  get count(): number {
    return this.#count;
  }

  report(thrown: unknown): void {
    this.#count++;
    if (this.#recent++ < STRAYS_MAX) this.#outbox.append([REPORTS.STRAY_ERROR.op, describeError(thrown).slice(0, TEXT_MAX)]);
  }

  /** A heartbeat, or the end: say how many were not described. */
  beat(): void {
    const untold = this.#recent - STRAYS_MAX;
    this.#recent = 0;
    if (untold > 0) this.#outbox.append([REPORTS.STRAY_ERROR.op, `${untold} more`, untold]);
  }
}
