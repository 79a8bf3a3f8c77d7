/**
 * Calls of a store, gathered into groups: one transaction, and so one flush to disk, for all that were made while the last one ran.
 *
 *   G1. Calls run in the order they were made, reads among them, and settle after the commit of their group; but see G4.
 *   G2. A call that refuses before it wrote anything fails alone; the rest of its group goes on.
 *   G3. When a call fails after it wrote, or the commit fails, the group is taken back and its calls run again one by one, each in a
 *       transaction of its own: so a failed call leaves nothing behind and harms no other.
 *   G4. A read of one session does not wait for a commit that has nothing of it: it runs, and settles, ahead of its group. Of one session,
 *       and of calls that name none, the order stays.
 */
import type { StoreError } from "../protocol/store-error.ts";
import type { CommitCounts } from "./store-counts.ts";

/** What a group runs in. */
export interface Transactions {
  /** Run and commit; whatever it throws, or the commit throws, nothing of it was written. @param isFreeing - may use what a limit keeps back */
  transaction<T>(run: () => T, isFreeing?: boolean): T;
  /** Grows with every write: whether a call wrote. */
  readonly writes: number;
  /** Bytes written since the transaction began. */
  readonly pendingBytes: number;
  /** @returns the error as the store's caller gets it */
  describe(error: unknown): StoreError;
}

/** "freeing": a write that needs a little room to give back more. */
export type CallKind = "read" | "write" | "freeing";

interface Call {
  readonly kind: CallKind;
  /** The session it is about; undefined: perhaps several, or others. */
  readonly subject: string | undefined;
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
}
type Outcome = { readonly value: unknown } | { readonly error: StoreError };

/** A group that has written this much takes no further call: memory, and the time others wait for the commit. */
const GROUP_BYTES_MAX = 16 * 1024 * 1024;

export class GroupCommit {
  readonly #db: Transactions;
  readonly #begin: () => void;
  readonly #counts: CommitCounts | undefined;
  #calls: Call[] = [];
  #isScheduled = false;

  /**
   * @param begin - runs first in every transaction; what it throws fails all calls that write
   * @param counts - where commits are counted
   */
  constructor(db: Transactions, begin: () => void, counts?: CommitCounts) {
    this.#db = db;
    this.#begin = begin;
    this.#counts = counts;
  }

  /** Queue a call. @param run - synchronous, and looks before it writes; @param subject - the one session that it reads or writes */
  call<T>(kind: CallKind, run: () => T, subject?: string): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#calls.push({ kind, subject, run, resolve: resolve as (value: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Run what is queued now. Blocks until it is committed. */
  flush(): void {
    while (this.#calls.length > 0) this.#runGroup();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      // What settles ahead leaves before the transaction blocks the thread.
      if (this.#runAhead()) setImmediate(() => this.#runScheduled());
      else this.#runScheduled();
    });
  }

  #runScheduled(): void {
    this.#isScheduled = false;
    this.#runGroup();
    if (this.#calls.length > 0) this.#schedule();
  }

  /** G4. @returns whether there were any, and something is left that writes */
  #runAhead(): boolean {
    const ahead: Call[] = [];
    const rest: Call[] = [];
    const written = new Set<string>();
    let isOrdered = false;
    for (const call of this.#calls) {
      const { kind, subject } = call;
      const isFree = kind === "read" && !isOrdered && subject !== undefined && !written.has(subject);
      (isFree ? ahead : rest).push(call);
      if (kind === "read") continue;
      if (subject === undefined) isOrdered = true;
      else written.add(subject);
    }
    if (ahead.length === 0 || rest.length === 0) return false;
    this.#calls = rest;
    settle(
      ahead,
      ahead.map((call) => this.#try(call)),
    );
    return true;
  }

  #runGroup(): void {
    const calls = this.#calls;
    this.#calls = [];
    const outcomes = calls.some(({ kind }) => kind !== "read") ? this.#write(calls) : calls.map((call) => this.#try(call));
    this.#calls = [...calls.slice(outcomes.length), ...this.#calls];
    settle(calls, outcomes);
  }

  /** @returns the outcomes of as many calls as fitted */
  #write(calls: readonly Call[]): Outcome[] {
    const begunMs = performance.now();
    try {
      const done = this.#db.transaction(() => {
        this.#begin();
        const outcomes: Outcome[] = [];
        for (const call of calls) {
          if (this.#db.pendingBytes > GROUP_BYTES_MAX) break;
          const before = this.#db.writes;
          const outcome = this.#try(call);
          // G3: what it wrote can only be taken back with the whole group.
          if ("error" in outcome && this.#db.writes !== before) throw outcome.error;
          outcomes.push(outcome);
        }
        return outcomes;
      });
      this.#counts?.add((performance.now() - begunMs) / 1000, done.length);
      return done;
    } catch {
      // Each call finds its own error now.
      return calls.map((call) => (call.kind === "read" ? this.#try(call) : this.#alone(call)));
    }
  }

  #alone(call: Call): Outcome {
    const begunMs = performance.now();
    try {
      const value = this.#db.transaction(() => {
        this.#begin();
        return call.run();
      }, call.kind === "freeing");
      this.#counts?.add((performance.now() - begunMs) / 1000, 1);
      return { value };
    } catch (error) {
      return { error: this.#db.describe(error) };
    }
  }

  #try(call: Call): Outcome {
    try {
      return { value: call.run() };
    } catch (error) {
      return { error: this.#db.describe(error) };
    }
  }
}

/** @param outcomes - of the first ones, or of all */
function settle(calls: readonly Call[], outcomes: readonly Outcome[]): void {
  for (const [index, outcome] of outcomes.entries()) {
    const { resolve, reject } = calls[index] as Call;
    if ("error" in outcome) reject(outcome.error);
    else resolve(outcome.value);
  }
}
