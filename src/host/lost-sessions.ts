/** Remembers which sessions were lost with their lanes, so that whoever asks for one is told. The oldest are forgotten. */
import { SessionError, notFound } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";

const REMEMBERED_MAX = 10_000;

export class LostSessions {
  /** Lane by id. */
  readonly #lanes = new Map<SessionId, number>();

  add(id: SessionId, lane: number): void {
    this.#lanes.set(id, lane);
    if (this.#lanes.size > REMEMBERED_MAX) this.#lanes.delete(this.#lanes.keys().next().value as SessionId);
  }

  /** There is a session of that id again. */
  drop(id: SessionId): void {
    this.#lanes.delete(id);
  }

  /** @returns what to say of an id that is not in the index */
  notFound(sessionId: SessionId): SessionError {
    const lane = this.#lanes.get(sessionId);
    if (lane === undefined) return notFound(sessionId);
    return new SessionError("SESSION_NOT_FOUND", `session not found: ${sessionId} was lost with lane ${lane}`, {
      sessionId,
      details: { reason: "lane_lost", lane },
    });
  }
}
