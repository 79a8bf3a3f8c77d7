/**
 * Events of one turn on their way to main, under the turn's credit window.
 *
 *   E1. At most EVENT_WINDOW events are on their way or wait for their consumer; the rest waits here, and the agent that awaits `emit`
 *       waits with it.
 *   E2. Events are numbered when they leave, so numbers have no gaps, whatever an interrupt drops.
 *   E3. What waits here is bounded. Beyond that a turn with a consumer fails; one that only subscribers hear loses events, for a
 *       subscriber never harms a turn. Lost events keep their numbers, so main sees the gap and tells.
 */
import type { AgentEvent } from "../protocol/events.ts";
import { approximateBytes } from "../protocol/json.ts";
import { CreditWindow } from "../transport/credits.ts";
import { AgentError, TurnInterrupted } from "./agent-errors.ts";
import type { EventSender } from "./event-sender.ts";

/** Unawaited emits beyond either bound fail the turn. */
export const BACKLOG_EVENTS_MAX = 1024;
export const BACKLOG_BYTES_MAX = 8 * 1024 * 1024;

export class TurnEvents {
  readonly #sender: Pick<EventSender, "send" | "skip">;
  readonly #window = new CreditWindow();
  #backlog: { event: AgentEvent; bytes: number; lostAfter: number }[] = [];
  #backlogBytes = 0;
  #drain: { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } | undefined;

  constructor(sender: Pick<EventSender, "send" | "skip">) {
    this.#sender = sender;
  }

  /**
   * @param isLossy - only subscribers listen
   * @returns undefined when the event left or was lost, else a promise that resolves once everything emitted so far has left
   * @throws AgentError event_flood (E3)
   */
  push(event: AgentEvent, isLossy: boolean): void | Promise<void> {
    const bytes = approximateBytes(event);
    if (this.#backlog.length === 0 && this.#window.take()) return this.#sender.send(event, bytes);
    if (this.#backlog.length >= BACKLOG_EVENTS_MAX || this.#backlogBytes + bytes > BACKLOG_BYTES_MAX) {
      const last = this.#backlog.at(-1);
      if (isLossy && last !== undefined) {
        last.lostAfter++;
        return undefined;
      }
      throw new AgentError(
        "event_flood",
        `more than ${BACKLOG_EVENTS_MAX} events or ${BACKLOG_BYTES_MAX} bytes were emitted without awaiting`,
      );
    }
    this.#backlog.push({ event, bytes, lostAfter: 0 });
    this.#backlogBytes += bytes;
    return this.drained();
  }

  /** The consumer took `count` events. */
  credit(count: number): void {
    this.#window.give(count);
    this.#pump();
  }

  /** There is no consumer any more, and so nobody to wait for. */
  detach(): void {
    this.#window.refill();
    this.#pump();
  }

  /** @returns undefined when nothing waits, else a promise for that moment; it rejects when the turn is interrupted */
  drained(): Promise<void> | undefined {
    if (this.#backlog.length === 0) return undefined;
    if (this.#drain === undefined) {
      let resolve!: () => void;
      let reject!: (error: unknown) => void;
      const promise = new Promise<void>((onResolve, onReject) => {
        resolve = onResolve;
        reject = onReject;
      });
      promise.catch(() => {}); // an agent need not await every emit
      this.#drain = { promise, resolve, reject };
    }
    return this.#drain.promise;
  }

  /** Interrupted: what has not left is dropped, and whoever waits for it is told. */
  abandon(): void {
    this.#backlog = [];
    this.#backlogBytes = 0;
    this.#drain?.reject(new TurnInterrupted());
    this.#drain = undefined;
  }

  #pump(): void {
    let sent = 0;
    for (const { event, bytes, lostAfter } of this.#backlog) {
      if (!this.#window.take()) break;
      this.#backlogBytes -= bytes;
      void this.#sender.send(event, bytes); // whoever emits next learns that the log has too much
      this.#sender.skip(lostAfter);
      sent++;
    }
    if (sent > 0) this.#backlog = this.#backlog.slice(sent);
    if (this.#backlog.length > 0) return;
    this.#drain?.resolve();
    this.#drain = undefined;
  }
}
