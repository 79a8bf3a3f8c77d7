/**
 * Which lanes may poll, with `latency: "low"`: those that were sent to last, one fewer than there are cores, for main polls too. More
 * loops than cores that poll would wait for each other's time slices: a thousand microseconds a turn instead of ten.
 */
import type { LaneWords } from "../core/lane-words.ts";

export class PollRights {
  readonly #max: number;
  /** Oldest first. */
  readonly #holders: LaneWords[] = [];

  /** @param cores - of the machine, at least 1 */
  constructor(cores: number) {
    this.#max = cores - 1;
  }

  /** The lane is sent something. Takes the right from the lane that was sent to longest ago, so that the core is free when this one wakes. */
  grant(lane: LaneWords): void {
    if (this.#max === 0 || this.#holders.at(-1) === lane) return;
    const held = this.#holders.indexOf(lane);
    if (held >= 0) this.#holders.splice(held, 1);
    else if (this.#holders.length === this.#max) this.#holders.shift()?.allowPolling(false);
    this.#holders.push(lane);
    lane.allowPolling(true);
  }

  /** The lane has ended: its core is another's. */
  drop(lane: LaneWords): void {
    const held = this.#holders.indexOf(lane);
    if (held >= 0) this.#holders.splice(held, 1);
  }
}
