/**
 * When lanes that were lost are started again: the budget of each, and the timers of those that are down. What starting is, the pool knows.
 *
 *   P1. A shared lane that ended unasked is replaced under its number, after its back-off. One that used up its restart budget stays down
 *       until the budget allows it again; meanwhile nothing is placed there, and the host is degraded.
 */
import { RestartBudget } from "../core/restart-budget.ts";
import type { HostOptions } from "../protocol/options.ts";
import type { LaneDown } from "../protocol/views.ts";
import type { HostEvents } from "./host-events.ts";

/** A shared lane that waits for its restart. */
interface DownLane {
  readonly timer: NodeJS.Timeout | undefined;
  /** Epoch milliseconds; Infinity: never. */
  readonly startsAtMs: number;
  readonly isOverBudget: boolean;
}

export class LaneRestarts {
  readonly #options: Pick<HostOptions["lanes"], "restartsMax" | "restartWindowMs">;
  readonly #events: HostEvents;
  readonly #start: (number: number) => void;
  /** By lane number. */
  readonly #budgets = new Map<number, RestartBudget>();
  readonly #down = new Map<number, DownLane>();
  #isClosed = false;

  /** @param start - starts the lane of a number; called at once when there is no back-off, and not after `close` */
  constructor(options: HostOptions["lanes"], events: HostEvents, start: (number: number) => void) {
    this.#options = options;
    this.#events = events;
    this.#start = start;
  }

  /** A shared lane was lost (P1). */
  lost(number: number): void {
    if (this.#isClosed) return;
    const nowMs = Date.now();
    const { delayMs, isOverBudget } = this.#budget(number).next(nowMs);
    this.#events.emit(isOverBudget ? "lane_refused" : "lane_restarting", { lane: number, details: { delayMs } });
    if (delayMs === 0) {
      this.#start(number);
      return;
    }
    const due = (): void => {
      this.#down.delete(number);
      this.#start(number);
    };
    const timer = Number.isFinite(delayMs) ? setTimeout(due, delayMs) : undefined;
    this.#down.set(number, { timer, startsAtMs: nowMs + delayMs, isOverBudget });
  }

  /** Those that wait for their restart. */
  down(): LaneDown[] {
    const nowMs = Date.now();
    return [...this.#down].map(([lane, { startsAtMs, isOverBudget }]) => ({
      lane,
      reason: isOverBudget ? "restart_budget" : "back_off",
      ...(Number.isFinite(startsAtMs) && { startsInMs: Math.max(0, startsAtMs - nowMs) }),
    }));
  }

  /** Milliseconds until the next restart that is due; undefined: none is. */
  get nextInMs(): number | undefined {
    const nextInMs = Math.min(...this.down().map(({ startsInMs = Infinity }) => startsInMs));
    return Number.isFinite(nextInMs) ? nextInMs : undefined;
  }

  /** No lane is started any more. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#down.values()) clearTimeout(timer);
    this.#down.clear();
  }

  #budget(number: number): RestartBudget {
    let budget = this.#budgets.get(number);
    if (budget === undefined) {
      const { restartsMax, restartWindowMs } = this.#options;
      this.#budgets.set(number, (budget = new RestartBudget(restartsMax, restartWindowMs)));
    }
    return budget;
  }
}
