/**
 * Which sessions bring their lanes down: whoever did so repeatedly is not run any more until an operator releases it. Kept in memory, for
 * the life of the host.
 *
 *   Q1. A session is struck only where it is sure: its code stood in the loop, the lane was killed for its turn, it alone ran, or it alone
 *       of those that ran was under suspicion before. Otherwise all that ran are suspects, placed apart until a turn of theirs succeeds.
 *   Q2. With STRIKES_MAX strikes a session is in quarantine: it is made live by nothing but its release, which forgives its strikes.
 *   Q3. What is remembered is bounded, oldest out.
 */
import { SessionError } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { HostEvents } from "./host-events.ts";

const STRIKES_MAX = 2;
/** Sessions remembered of each kind. */
const REMEMBERED_MAX = 10_000;

/** What is known of a lane that was lost. */
export interface LaneLoss {
  readonly lane: number;
  /** The session whose code stood in its loop. */
  readonly inLoop: SessionId | undefined;
  /** The session for whose turn or build it was killed. */
  readonly killedFor: SessionId | undefined;
  /** Sessions with a turn, or being built. */
  readonly ran: readonly SessionId[];
}

export class Quarantine {
  readonly #events: HostEvents;
  readonly #strikes = new Map<SessionId, number>();
  readonly #suspects = new Set<SessionId>();
  readonly #quarantined = new Set<SessionId>();

  constructor(events: HostEvents) {
    this.#events = events;
  }

  /** Sessions in quarantine, those that came first first. */
  get ids(): SessionId[] {
    return [...this.#quarantined];
  }

  get hasSuspects(): boolean {
    return this.#suspects.size > 0;
  }

  /** A lane was lost (Q1). */
  lost(loss: LaneLoss): void {
    const { lane, ran } = loss;
    const culprit = this.#culprit(loss);
    if (culprit !== undefined) this.#strike(culprit, lane);
    else if (ran.length > 0) {
      for (const id of ran) remember(this.#suspects, id);
      this.#events.emit("sessions_suspected", { lane, details: { sessions: ran.length } });
    }
  }

  #culprit({ killedFor, inLoop, ran }: LaneLoss): SessionId | undefined {
    if (killedFor !== undefined || inLoop !== undefined) return inLoop ?? killedFor;
    if (ran.length === 1) return ran[0];
    const before = ran.filter((id) => this.#suspects.has(id));
    return before.length === 1 ? before[0] : undefined;
  }

  #strike(sessionId: SessionId, lane: number): void {
    const strikes = (this.#strikes.get(sessionId) ?? 0) + 1;
    this.#suspects.delete(sessionId);
    this.#strikes.delete(sessionId); // it becomes the youngest
    this.#strikes.set(sessionId, strikes);
    if (this.#strikes.size > REMEMBERED_MAX) this.#strikes.delete(this.#strikes.keys().next().value as SessionId);
    this.#events.emit("session_struck", { lane, sessionId, details: { strikes } });
    if (strikes < STRIKES_MAX || this.#quarantined.has(sessionId)) return;
    remember(this.#quarantined, sessionId);
    this.#events.emit("session_quarantined", { lane, sessionId, details: { strikes } });
  }

  /** It is to be placed away from other suspects. */
  isSuspect(id: SessionId): boolean {
    return this.#suspects.has(id);
  }

  /** A turn of it succeeded. */
  acquit(id: SessionId): void {
    this.#suspects.delete(id);
  }

  /** @throws SessionError SESSION_QUARANTINED (Q2) */
  assertFree(id: SessionId): void {
    if (!this.#quarantined.has(id)) return;
    throw new SessionError("SESSION_QUARANTINED", `session ${id} brought its lane down repeatedly and waits for its release`, {
      sessionId: id,
      details: { strikes: this.#strikes.get(id) ?? STRIKES_MAX },
    });
  }

  /** @returns whether it was in quarantine */
  release(sessionId: SessionId): boolean {
    const wasQuarantined = this.#quarantined.has(sessionId);
    this.forget(sessionId);
    if (wasQuarantined) this.#events.emit("session_released", { sessionId });
    return wasQuarantined;
  }

  /** The session has ended for good. */
  forget(id: SessionId): void {
    this.#strikes.delete(id);
    this.#suspects.delete(id);
    this.#quarantined.delete(id);
  }
}

/** Q3 */
function remember(ids: Set<SessionId>, id: SessionId): void {
  ids.add(id);
  if (ids.size > REMEMBERED_MAX) ids.delete(ids.values().next().value as SessionId);
}
