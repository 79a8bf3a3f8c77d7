/**
 * What main still knows of sessions that have left their lanes: a wake-up of one of them begins without asking the store. What lanes
 * write does not change it; what main does to a sleeping session makes it forget.
 */
import type { SessionId } from "../protocol/ids.ts";
import type { SleepingSession } from "../protocol/stored-session.ts";

/** Of each a few hundred bytes. The oldest are forgotten. */
const REMEMBERED_MAX = 65_536;

export class RecentSessions {
  readonly #known = new Map<SessionId, SleepingSession>();

  remember(id: SessionId, sleeping: SleepingSession): void {
    this.#known.set(id, sleeping);
    if (this.#known.size > REMEMBERED_MAX) this.#known.delete(this.#known.keys().next().value as SessionId);
  }

  /** @returns what is known, once: if it does not lead to a live session, the store is asked the next time */
  take(id: SessionId): SleepingSession | undefined {
    const known = this.#known.get(id);
    this.#known.delete(id);
    return known;
  }

  forget(id: SessionId): void {
    this.#known.delete(id);
  }
}
