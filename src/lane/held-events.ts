/**
 * Events emitted while no turn runs: held, and stamped in the next turn.
 *
 *   H1. 256 are held for free; beyond that `emit` gives a promise that settles when the next turn takes them; beyond 1,024 it throws.
 */
import type { AgentEvent } from "../protocol/events.ts";
import { EVENT_WINDOW } from "../transport/credits.ts";
import { AgentError } from "./agent-errors.ts";
import { BACKLOG_EVENTS_MAX } from "./turn-events.ts";

export class HeldEvents {
  #events: AgentEvent[] = [];
  #taken: { promise: Promise<void>; resolve: () => void } | undefined;

  /** @throws AgentError event_flood */
  hold(event: AgentEvent): void | Promise<void> {
    if (this.#events.length >= BACKLOG_EVENTS_MAX) {
      throw new AgentError("event_flood", `more than ${BACKLOG_EVENTS_MAX} events were emitted while no turn ran`);
    }
    this.#events.push(event);
    if (this.#events.length <= EVENT_WINDOW) return undefined;
    if (this.#taken === undefined) {
      let resolve!: () => void;
      const promise = new Promise<void>((onResolve) => (resolve = onResolve));
      this.#taken = { promise, resolve };
    }
    return this.#taken.promise;
  }

  /** Oldest first; they stay. */
  get waiting(): readonly AgentEvent[] {
    return this.#events;
  }

  /** Take all, oldest first; whoever waited goes on. Also at the session's end, so that nobody waits for ever. */
  take(): AgentEvent[] {
    const events = this.#events;
    this.#events = [];
    this.#taken?.resolve();
    this.#taken = undefined;
    return events;
  }
}
