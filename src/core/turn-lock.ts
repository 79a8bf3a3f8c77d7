/**
 * The turn lock of a session, in shared memory: admission, interrupt and seal, each one compare-and-swap.
 *
 * Invariants
 *   L1. At most one ticket holds LOCK; of racing admissions exactly one wins.
 *   L2. Only the ticket that holds LOCK frees it.
 *   L3. An interrupt that answered "asked" for ticket t is found by t's seal; one that comes after the seal answers "not_running".
 *       So of "interrupted" and "completed" exactly one is true of a turn, and both sides agree on which.
 *   L4. An interrupt, or a boundary cancel, of ticket t is never seen by another turn.
 *
 * All functions take ticket words (see tickets.ts), never wait, and may be called from any thread.
 */
import { BOUNDARY_CANCEL, LOCK, LOCK_FREE, LOCK_HOUSEKEEPING, VERDICT } from "./slot-layout.ts";
import type { SlotTable } from "./slot-table.ts";

/** @returns whether `word` holds the lock now; false: some other turn does, or housekeeping (L1) */
export function tryLock(table: SlotTable, slot: number, word: number): boolean {
  return Atomics.compareExchange(table.words(slot), table.base(slot) + LOCK, LOCK_FREE, word) === LOCK_FREE;
}

/** Take the lock for housekeeping: no turn is admitted until it is freed. @returns false when a turn holds it (L1) */
export function tryHousekeeping(table: SlotTable, slot: number): boolean {
  return tryLock(table, slot, LOCK_HOUSEKEEPING);
}

/** Free the lock if `word` holds it (L2). @returns whether it did */
export function unlock(table: SlotTable, slot: number, word: number): boolean {
  return Atomics.compareExchange(table.words(slot), table.base(slot) + LOCK, word, LOCK_FREE) === word;
}

/** @returns the ticket word that holds the lock, 0 when it is free, -1 for housekeeping */
export function lockHolder(table: SlotTable, slot: number): number {
  return Atomics.load(table.words(slot), table.base(slot) + LOCK);
}

/**
 * Ask for the interrupt of the turn that holds the lock (L3). Asking twice is asking once.
 *
 * @param word - only this turn; undefined: whichever holds the lock
 */
export function requestInterrupt(table: SlotTable, slot: number, word?: number): "asked" | "not_running" {
  const words = table.words(slot);
  const base = table.base(slot);
  for (;;) {
    const verdict = Atomics.load(words, base + VERDICT);
    const holder = Atomics.load(words, base + LOCK);
    if (holder <= 0 || (word !== undefined && holder !== word) || verdict === -holder) return "not_running";
    if (verdict === holder || Atomics.compareExchange(words, base + VERDICT, verdict, holder) === verdict) return "asked";
  }
}

/** @returns whether an interrupt was asked for turn `word` */
export function isInterruptRequested(table: SlotTable, slot: number, word: number): boolean {
  return Atomics.load(table.words(slot), table.base(slot) + VERDICT) === word;
}

/** The point of no return of turn `word` (L3). @returns "interrupted" when an interrupt came first */
export function seal(table: SlotTable, slot: number, word: number): "sealed" | "interrupted" {
  const words = table.words(slot);
  const at = table.base(slot) + VERDICT;
  for (;;) {
    const verdict = Atomics.load(words, at);
    if (verdict === word) return "interrupted";
    if (Atomics.compareExchange(words, at, verdict, -word) === verdict) return "sealed";
  }
}

/** Ask the running turn to stop at its next boundary (L4). @returns whether one is running */
export function requestBoundaryCancel(table: SlotTable, slot: number): boolean {
  const words = table.words(slot);
  const base = table.base(slot);
  const holder = Atomics.load(words, base + LOCK);
  if (holder <= 0 || Atomics.load(words, base + VERDICT) === -holder) return false;
  Atomics.store(words, base + BOUNDARY_CANCEL, holder);
  return true;
}

/** @returns whether turn `word` was asked to stop at its next boundary */
export function isBoundaryCancelRequested(table: SlotTable, slot: number, word: number): boolean {
  return Atomics.load(table.words(slot), table.base(slot) + BOUNDARY_CANCEL) === word;
}
