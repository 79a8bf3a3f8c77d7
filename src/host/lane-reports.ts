/**
 * What lanes report, and to whom on main it goes.
 *
 *   G4. A report that cannot be taken brings down its lane, never the process: what the lane owed is settled like that of any lost lane.
 */
import { SessionError, fromWire } from "../protocol/errors.ts";
import type { GaveUpReport, LaneReport, ResultReport, SessionReport } from "../protocol/frames.ts";
import { REPORTS } from "../protocol/frames.ts";
import type { Builds } from "./builds.ts";
import type { HostComms } from "./comms/host-comms.ts";
import type { HostEvents } from "./host-events.ts";
import type { HostLane } from "./host-lane.ts";
import type { Quarantine } from "./quarantine.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionQueries } from "./session-queries.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { TurnTable } from "./turn-table.ts";

export interface LaneReportsParts {
  readonly registry: SessionRegistry;
  readonly turns: TurnTable;
  readonly builds: Builds;
  readonly queries: SessionQueries;
  readonly quarantine: Quarantine;
  readonly events: HostEvents;
  readonly comms: Pick<HostComms, "take">;
  /** Bring down a lane that says what it may not. */
  distrust(lane: HostLane): void;
}

export class LaneReports {
  readonly #parts: LaneReportsParts;

  constructor(parts: LaneReportsParts) {
    this.#parts = parts;
  }

  /** G4 */
  take(lane: HostLane, reports: readonly LaneReport[]): void {
    try {
      for (const report of reports) this.#take(lane, report);
    } catch (error) {
      this.stray(lane, `a report that cannot be taken: ${String(error)}`);
      this.#parts.distrust(lane);
    }
  }

  /** Something went wrong in a lane that is no turn's. */
  stray(lane: HostLane, description: string, count = 1): void {
    lane.strayErrors += count;
    this.#parts.events.emit("stray_error", { lane: lane.number, details: { error: description } });
  }

  #take(lane: HostLane, report: LaneReport): void {
    const { registry, turns, queries, quarantine } = this.#parts;
    if (report[0] === REPORTS.DELTAS.op) turns.deltas(report);
    else if (report[0] === REPORTS.EVENT.op) turns.event(report);
    else if (report[0] === REPORTS.RESULT.op) {
      lane.settledTurns++;
      if (quarantine.hasSuspects) this.#acquit(report);
      turns.result(report);
    } else if (report[0] === REPORTS.FAILED.op) {
      lane.settledTurns++;
      lane.failedTurns++;
      turns.failure(report);
    } else if (report[0] === REPORTS.GAVE_UP.op) this.#gaveUp(lane, report);
    else if (report[0] === REPORTS.REPLY.op) queries.replied(report);
    else if (report[0] === REPORTS.REPLY_ERROR.op) queries.failed(report);
    else if (report[0] === REPORTS.STRAY_ERROR.op) this.stray(lane, report[1], report[2]);
    else {
      const entry = registry.at(report[1], report[2]);
      // Filters what a slot's former owner left in the port (GENERATION).
      if (entry?.lane === lane) this.#takeOf(entry, report);
    }
  }

  #takeOf(entry: SessionEntry, report: SessionReport): void {
    const { registry, builds } = this.#parts;
    switch (report[0]) {
      case REPORTS.BUILT.op:
        builds.built(entry, report);
        return;
      case REPORTS.BUILD_FAILED.op:
        builds.failed(entry, fromWire(report[3]));
        return;
      case REPORTS.CONTEXT_TAKEN.op:
        entry.ledger?.taken(report[3]);
        return;
      case REPORTS.FORGOTTEN.op:
        // Also one that was about to leave: its lane dropped it before it was asked to, with a turn still on its way there.
        if (entry.state === "live" || entry.turn !== undefined) this.#dropped(entry);
        registry.forgotten(entry);
        return;
      case REPORTS.COMMS_CALL.op:
      case REPORTS.PEER_TAKEN.op:
      case REPORTS.COMMS_HELD.op:
        this.#parts.comms.take(entry, report);
        return;
      default:
        report satisfies never;
    }
  }

  /** The lane has dropped the session unasked: what it did could not be saved. */
  #dropped(entry: SessionEntry): void {
    const { registry, turns } = this.#parts;
    registry.dropped(entry);
    const details = { reason: "dropped" };
    const error = new SessionError("SESSION_STORE_ERROR", "store error: the session had to be dropped", { sessionId: entry.id, details });
    turns.sessionLost(entry, error);
  }

  #acquit([, slot, generation]: ResultReport): void {
    const entry = this.#parts.registry.at(slot, generation);
    if (entry === undefined) return;
    this.#parts.quarantine.acquit(entry.id);
    entry.isSuspect = false;
  }

  #gaveUp(lane: HostLane, report: GaveUpReport): void {
    const turn = this.#parts.turns.reported(report);
    if (turn === undefined) return;
    turn.entry.mustRenew = false; // it has a new agent already
    this.#parts.events.emit("run_abandoned", { lane: lane.number, sessionId: turn.entry.id, ticket: turn.ticket });
  }
}
