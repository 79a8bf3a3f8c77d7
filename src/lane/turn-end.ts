/** The last steps of a turn, in the order that others may rely on: summary, state, lock, report. */
import { STATE_IDLE } from "../core/slot-layout.ts";
import { unlock } from "../core/turn-lock.ts";
import type { WireError } from "../protocol/errors.ts";
import type { FailedReport, LaneTimes } from "../protocol/frames.ts";
import { REPORTS } from "../protocol/frames.ts";
import type { SessionSnapshot } from "../protocol/session-model.ts";
import type { LaneContext } from "./lane-context.ts";
import type { Outcome } from "./turn-outcome.ts";
import { failedReport, resultReport } from "./turn-outcome.ts";

export type SnapshotOutcome = { ok: true; snapshot: SessionSnapshot } | { ok: false; error: WireError };

/** The session a turn ends in. */
export interface EndingSeat {
  readonly lane: LaneContext;
  readonly slot: number;
  readonly generation: number;
  takeSnapshot(): SnapshotOutcome;
  /** Publish a snapshot in shared memory. */
  publish(snapshot: SessionSnapshot): void;
}

/**
 * A success whose agent cannot say what its session is now is a failure.
 *
 * @param word - of the turn's ticket
 * @param saved - the snapshot that was saved with the turn: the agent is not asked again, whose failure would come too late
 * @param times - of a turn that wanted them
 */
export function endTurn(seat: EndingSeat, word: number, outcome: Outcome, saved?: SessionSnapshot, times?: LaneTimes): void {
  const { lane, slot, generation } = seat;
  const taken = saved === undefined ? seat.takeSnapshot() : { ok: true as const, snapshot: saved };
  if (taken.ok) seat.publish(taken.snapshot);
  const final: Outcome = taken.ok || !outcome.ok ? outcome : { ok: false, error: taken.error };
  const lastText = taken.ok ? taken.snapshot.lastAssistantText : undefined;
  lane.table.setState(slot, STATE_IDLE);
  unlock(lane.table, slot, word);
  const { report, bytes } = final.ok
    ? resultReport(slot, generation, word, final, lastText, times)
    : failedReport(slot, generation, word, final.error, taken.ok ? (lastText ?? "") : undefined, times);
  lane.outbox.append(report, bytes);
}

/** The turn could not be saved and its session leaves: the report says so, and main frees the lock. */
export function endUnsaved({ lane, slot, generation }: EndingSeat, word: number, error: WireError, times?: LaneTimes): void {
  lane.table.setState(slot, STATE_IDLE);
  const report: FailedReport = [REPORTS.FAILED.op, slot, generation, word, error, undefined, true];
  if (times !== undefined) report.push(times);
  lane.outbox.append(report);
}
