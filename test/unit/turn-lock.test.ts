import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { LOCK, LOCK_HOUSEKEEPING } from "../../src/core/slot-layout.ts";
import { SlotTable } from "../../src/core/slot-table.ts";
import { ticketWord } from "../../src/core/tickets.ts";
import * as turnLock from "../../src/core/turn-lock.ts";

const SLOT = 3;
const A = ticketWord(1);
const B = ticketWord(2);

function newTable(): SlotTable {
  const table = new SlotTable();
  table.addSegment();
  return table;
}
function lockedBy(word: number): SlotTable {
  const table = newTable();
  expect(turnLock.tryLock(table, SLOT, word)).toBe(true);
  return table;
}

describe("turn lock", () => {
  test("L1: of two admissions one wins, and the other one only after the first has ended", () => {
    const table = lockedBy(A);
    expect(turnLock.tryLock(table, SLOT, B)).toBe(false);
    expect(turnLock.lockHolder(table, SLOT)).toBe(A);
    turnLock.unlock(table, SLOT, A);
    expect(turnLock.tryLock(table, SLOT, B)).toBe(true);
  });

  test("L1: a turn cannot take the lock a second time", () => {
    expect(turnLock.tryLock(lockedBy(A), SLOT, A)).toBe(false);
  });

  test("L1: housekeeping keeps turns out", () => {
    const table = newTable();
    table.words(SLOT)[table.base(SLOT) + LOCK] = LOCK_HOUSEKEEPING;
    expect(turnLock.tryLock(table, SLOT, A)).toBe(false);
    expect(turnLock.requestInterrupt(table, SLOT)).toBe("not_running");
    expect(turnLock.requestBoundaryCancel(table, SLOT)).toBe(false);
  });

  test("L2: another turn's unlock changes nothing", () => {
    const table = lockedBy(A);
    expect(turnLock.unlock(table, SLOT, B)).toBe(false);
    expect(turnLock.lockHolder(table, SLOT)).toBe(A);
    expect(turnLock.unlock(table, SLOT, A)).toBe(true);
    expect(turnLock.unlock(table, SLOT, A)).toBe(false);
  });

  test("L3: an interrupt before the seal is found by it; asking twice is asking once", () => {
    const table = lockedBy(A);
    expect(turnLock.requestInterrupt(table, SLOT)).toBe("asked");
    expect(turnLock.requestInterrupt(table, SLOT, A)).toBe("asked");
    expect(turnLock.isInterruptRequested(table, SLOT, A)).toBe(true);
    expect(turnLock.seal(table, SLOT, A)).toBe("interrupted");
  });

  test("L3: an interrupt after the seal is told that nothing runs", () => {
    const table = lockedBy(A);
    expect(turnLock.seal(table, SLOT, A)).toBe("sealed");
    expect(turnLock.requestInterrupt(table, SLOT)).toBe("not_running");
    expect(turnLock.isInterruptRequested(table, SLOT, A)).toBe(false);
  });

  test("L3: an interrupt when no turn, or another one, holds the lock is told so", () => {
    expect(turnLock.requestInterrupt(newTable(), SLOT)).toBe("not_running");
    expect(turnLock.requestInterrupt(lockedBy(A), SLOT, B)).toBe("not_running");
  });

  test("L4: the next turn does not see the interrupt of the one before", () => {
    const table = lockedBy(A);
    turnLock.requestInterrupt(table, SLOT);
    turnLock.unlock(table, SLOT, A);
    turnLock.tryLock(table, SLOT, B);
    expect(turnLock.isInterruptRequested(table, SLOT, B)).toBe(false);
    expect(turnLock.seal(table, SLOT, B)).toBe("sealed");
  });

  test("L4: the next turn does not see the boundary cancel of the one before", () => {
    const table = lockedBy(A);
    expect(turnLock.requestBoundaryCancel(table, SLOT)).toBe(true);
    expect(turnLock.isBoundaryCancelRequested(table, SLOT, A)).toBe(true);
    turnLock.unlock(table, SLOT, A);
    turnLock.tryLock(table, SLOT, B);
    expect(turnLock.isBoundaryCancelRequested(table, SLOT, B)).toBe(false);
  });

  test("a boundary cancel is refused when nothing runs and after the seal", () => {
    expect(turnLock.requestBoundaryCancel(newTable(), SLOT)).toBe(false);
    const table = lockedBy(A);
    turnLock.seal(table, SLOT, A);
    expect(turnLock.requestBoundaryCancel(table, SLOT)).toBe(false);
  });

  test("a boundary cancel does not count as an interrupt", () => {
    const table = lockedBy(A);
    turnLock.requestBoundaryCancel(table, SLOT);
    expect(turnLock.seal(table, SLOT, A)).toBe("sealed");
  });
});

/** What the words of one slot should mean, in plain variables. */
interface Model {
  holder: number;
  interrupted: Set<number>;
  sealed: Set<number>;
  cancelled: Set<number>;
}
interface Real {
  readonly table: SlotTable;
}
type Step = fc.Command<Model, Real>;

/** Few tickets, so that steps of a turn that ended long ago meet the turn that runs now. */
const WORDS = [1, 2, 5, 2 ** 31 - 2].map(ticketWord);
const runs = (model: Model): boolean => model.holder !== 0 && !model.sealed.has(model.holder);

const step = (
  name: string,
  run: (model: Model, table: SlotTable) => void,
  check: (model: Readonly<Model>) => boolean = () => true,
): Step => ({
  check,
  run: (model, { table }) => run(model, table),
  toString: () => name,
});

/** Main may call these at any time; the lane of turn `word` keeps to admitted → seal → unlock. */
const steps = fc.constantFrom(...WORDS).chain((word) =>
  fc.constantFrom(
    step(
      `admit ${word}`,
      (model, table) => {
        expect(turnLock.tryLock(table, SLOT, word)).toBe(model.holder === 0);
        if (model.holder === 0) model.holder = word;
      },
      // A ticket is never used again.
      (model) => !model.interrupted.has(word) && !model.sealed.has(word) && !model.cancelled.has(word) && model.holder !== word,
    ),
    step(`interrupt ${word}`, (model, table) => {
      const isAsked = runs(model) && model.holder === word;
      expect(turnLock.requestInterrupt(table, SLOT, word)).toBe(isAsked ? "asked" : "not_running");
      if (isAsked) model.interrupted.add(word);
    }),
    step("interrupt whoever runs", (model, table) => {
      expect(turnLock.requestInterrupt(table, SLOT)).toBe(runs(model) ? "asked" : "not_running");
      if (runs(model)) model.interrupted.add(model.holder);
    }),
    step("cancel at the boundary", (model, table) => {
      expect(turnLock.requestBoundaryCancel(table, SLOT)).toBe(runs(model));
      if (runs(model)) model.cancelled.add(model.holder);
    }),
    step(
      "the turn seals",
      (model, table) => {
        const isInterrupted = model.interrupted.has(model.holder);
        expect(turnLock.seal(table, SLOT, model.holder)).toBe(isInterrupted ? "interrupted" : "sealed");
        if (!isInterrupted) model.sealed.add(model.holder);
      },
      runs,
    ),
    step(`unlock ${word}`, (model, table) => {
      expect(turnLock.unlock(table, SLOT, word)).toBe(model.holder === word);
      if (model.holder !== word) return;
      // Its ticket is used up, also when it ended without being sealed.
      model.sealed.add(word);
      model.holder = 0;
    }),
    step("look", (model, table) => {
      expect(turnLock.lockHolder(table, SLOT)).toBe(model.holder);
      if (model.holder === 0) return;
      expect(turnLock.isInterruptRequested(table, SLOT, model.holder)).toBe(model.interrupted.has(model.holder));
      expect(turnLock.isBoundaryCancelRequested(table, SLOT, model.holder)).toBe(model.cancelled.has(model.holder));
    }),
  ),
);

test("turn lock, L1–L4: over any interleaving the words say what plain variables would", () => {
  fc.assert(
    fc.property(fc.commands([steps], { maxCommands: 60 }), (sequence) => {
      fc.modelRun(
        () => ({
          model: { holder: 0, interrupted: new Set(), sealed: new Set(), cancelled: new Set() } as Model,
          real: { table: newTable() },
        }),
        sequence,
      );
    }),
    { numRuns: 300 },
  );
});
