/**
 * Staged system context in the store: main's own row of each session.
 *
 *   G1. Appends to one session go one after the other; each is in the store before anybody can see it, and one that could not be stored
 *       has changed nothing.
 *   G2. Of one session at most CONTEXT_KEYS_MAX appends wait.
 */
import type { StageOutcome, SystemContextLedger } from "../core/system-context.ts";
import { CONTEXT_KEYS_MAX } from "../core/system-context.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { AppendSystemContextRequest } from "../protocol/requests.ts";
import type { StoreClient } from "../transport/store-client.ts";

export class StagedContexts {
  readonly #store: StoreClient;
  /** By session: the write that is under way and all that wait behind it. */
  readonly #writes = new Map<SessionId, Promise<unknown>>();
  /** By session: how many those are. */
  readonly #counts = new Map<SessionId, number>();

  constructor(store: StoreClient) {
    this.#store = store;
  }

  /** Resolves when nothing is being written for the session; undefined when nothing is. */
  settled(id: SessionId): Promise<void> | undefined {
    return this.#writes.get(id)?.then(
      () => this.settled(id),
      () => this.settled(id),
    );
  }

  /** Resolves when nothing that waits now is being written. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#writes.values());
  }

  /**
   * Stage an append.
   *
   * @param ledgerOf - gives the session's ledger when it is this append's turn
   * @returns the ledger's answer; "staged" is stored and in the ledger. Rejects with StoreError, and whatever `ledgerOf` rejects with
   */
  stage(
    id: SessionId,
    request: AppendSystemContextRequest,
    nowMs: number,
    ledgerOf: () => Promise<SystemContextLedger>,
  ): Promise<StageOutcome> {
    const count = this.#counts.get(id) ?? 0;
    if (count >= CONTEXT_KEYS_MAX) return Promise.resolve({ status: "full" });
    this.#counts.set(id, count + 1);
    const before = this.#writes.get(id) ?? Promise.resolve();
    const write = before
      .catch(() => {})
      .then(async () => {
        const ledger = await ledgerOf();
        const outcome = ledger.check(request, nowMs);
        if (outcome.status !== "staged") return outcome;
        await this.#store.call("putContext", id, ledger.storedWith(outcome.append));
        ledger.add(outcome.append);
        return outcome;
      });
    this.#writes.set(id, write);
    const forget = (): void => {
      const left = (this.#counts.get(id) as number) - 1;
      if (left > 0) this.#counts.set(id, left);
      else this.#counts.delete(id);
      if (this.#writes.get(id) === write) this.#writes.delete(id);
    };
    write.then(forget, forget);
    return write;
  }
}
