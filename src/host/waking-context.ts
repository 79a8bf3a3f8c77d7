/**
 * System context of a session that is waking: what is staged until it is live goes into the ledger it will have, and is fed to its lane
 * then.
 */
import { SystemContextLedger } from "../core/system-context.ts";
import type { PendingSystemContextAppend } from "../protocol/session-model.ts";
import type { SleepingSession } from "../protocol/stored-session.ts";
import type { SessionEntry } from "./session-entry.ts";

export class WakingContext {
  readonly #stored: Promise<SleepingSession>;
  readonly #feed: (entry: SessionEntry, append: PendingSystemContextAppend) => void;
  #ledger: SystemContextLedger | undefined;
  #entry: SessionEntry | undefined;
  #missed: PendingSystemContextAppend[] = [];

  /** @param stored - what the lane is given; rejects when there is no such session */
  constructor(stored: Promise<SleepingSession>, feed: (entry: SessionEntry, append: PendingSystemContextAppend) => void) {
    this.#stored = stored;
    this.#feed = feed;
  }

  /** Rejects when there is no such session. */
  async ledger(): Promise<SystemContextLedger> {
    return this.#ledgerOf(await this.#stored);
  }

  #ledgerOf({ head, context }: SleepingSession): SystemContextLedger {
    return (this.#ledger ??= context === undefined ? new SystemContextLedger() : SystemContextLedger.from(context, head.contextTaken));
  }

  /** An append is in the ledger and in the store. */
  staged(append: PendingSystemContextAppend): void {
    if (this.#entry === undefined) this.#missed.push(append);
    else if (mayTake(this.#entry)) this.#feed(this.#entry, append); // else it finds it in the store when it wakes
  }

  /** The session is live. */
  live(entry: SessionEntry, stored: SleepingSession): void {
    this.#entry = entry;
    if (stored.context !== undefined || this.#ledger !== undefined) entry.ledger = this.#ledgerOf(stored);
    for (const append of this.#missed.splice(0)) this.#feed(entry, append);
  }
}

/** One that is about to sleep or move may stay. */
export function mayTake({ state }: SessionEntry): boolean {
  return state === "live" || state === "hibernating";
}
