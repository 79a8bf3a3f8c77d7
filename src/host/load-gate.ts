/**
 * Admission under load: refuses new work while main, or the lane it is for, is behind with what it was given.
 *
 *   G1. Nothing that was admitted is refused or dropped later, and nothing is changed by a refusal.
 *   G2. What releases something (credits, detaching, interrupts, goodbyes) and what serves what exists is never refused.
 *   G3. A lane that is behind refuses for its own sessions only.
 *   G4. Main refuses only what would be more than IN_FLIGHT_FREE turns and builds: so many are a bound by themselves, and callers who
 *       wait for answers are slowed by waiting, also on a machine that is slow.
 */
import type { SessionError } from "../protocol/errors.ts";
import { LAG_MAX_MS } from "../transport/intake.ts";
import type { Intake } from "../transport/intake.ts";
import type { HostLane } from "./host-lane.ts";
import { RECORDS_MAX } from "./lane-backlog.ts";
import { LoopProbe } from "./loop-probe.ts";
import { overloaded } from "./overloaded.ts";

/** Turns and builds that are let in however far main is behind. */
export const IN_FLIGHT_FREE = 8192;

export class LoadGate {
  readonly intake: Intake;
  readonly #loop = new LoopProbe();
  readonly #inFlight: () => number;

  /** @param intake - of the main thread; @param inFlight - turns and builds that were admitted and are not answered */
  constructor(intake: Intake, inFlight: () => number) {
    this.intake = intake;
    this.#inFlight = inFlight;
  }

  /** @throws SessionError HOST_OVERLOADED main_behind */
  enterMain(): void {
    const error = this.#mainRefusal();
    if (error !== undefined) throw error;
  }

  /** New work for a session of `lane`. @throws SessionError HOST_OVERLOADED main_behind, lane_behind */
  enter(lane: HostLane): void {
    const error = this.refusal(lane);
    if (error !== undefined) throw error;
  }

  /** New work for whichever shared lane takes it. @throws SessionError HOST_OVERLOADED main_behind, lane_behind when all are */
  enterSome(lanes: Iterable<HostLane>): void {
    this.enterMain();
    let behind: HostLane | undefined;
    for (const lane of lanes) {
      if (!lane.isOpen || lane.kind !== "shared") continue;
      if (!lane.backlog.isBehind) return;
      behind = lane;
    }
    if (behind !== undefined) this.enter(behind);
  }

  /** @returns why new work for a session of `lane` is refused; undefined: it is not */
  refusal({ backlog, number }: HostLane): SessionError | undefined {
    const error = this.#mainRefusal();
    if (error !== undefined || !backlog.isBehind) return error;
    return overloaded("lane_behind", `lane ${number} is behind with its work`, RECORDS_MAX, backlog.retryAfterMs);
  }

  #mainRefusal(): SessionError | undefined {
    if (this.#inFlight() < IN_FLIGHT_FREE) return undefined;
    const isLate = this.#loop.isLate; // asked each time: that is what keeps it looking
    if (!isLate && !this.intake.isBehind) return undefined;
    const lagMs = Math.ceil(Math.max(this.intake.lagMs(), this.#loop.lateMs, 1));
    return overloaded("main_behind", "the host is behind with its work", LAG_MAX_MS, lagMs);
  }
}
