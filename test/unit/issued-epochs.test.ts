import { describe, expect, test } from "vitest";

import type { SessionId } from "../../src/protocol/ids.ts";
import { IssuedEpochs, RUNS_MAX } from "../../src/store/issued-epochs.ts";

const [A, B] = ["a", "b"] as SessionId[] as [SessionId, SessionId];

describe("epochs that are issued from memory", () => {
  test("E1: a run begins above whatever the one before could issue, and not below what is written", () => {
    const first = new IssuedEpochs(0);
    expect([first.of(A, 0), first.of(A, 7)]).toEqual([0, 7]);
    const second = new IssuedEpochs(1);
    expect(second.of(A, 7)).toBe(2 ** 26);
    expect(second.of(A, 2 ** 26 + 3)).toBe(2 ** 26 + 3);
  });

  test("E2: an epoch is remembered until a write with it is committed, and not longer", () => {
    const epochs = new IssuedEpochs(0);
    epochs.issue(A, 2);
    expect([epochs.of(A, 1), epochs.of(B, 1), epochs.remembered(A), [...epochs.sessions()]]).toEqual([2, 1, 2, [A]]);
    epochs.issue(A, 3);
    epochs.committed(A, 2);
    expect(epochs.of(A, 2)).toBe(3);
    epochs.committed(A, 3);
    epochs.committed(B, 3);
    expect([epochs.of(A, 3), epochs.remembered(A)]).toEqual([3, undefined]);
  });

  test("E3: at its bound, and after the last run, epochs are to be written", () => {
    const epochs = new IssuedEpochs(0, 1);
    expect(epochs.isSpent).toBe(false);
    epochs.issue(A, 2);
    expect(epochs.isSpent).toBe(true);
    epochs.committed(A, 2);
    expect(epochs.isSpent).toBe(false);
    expect([new IssuedEpochs(RUNS_MAX - 1).isSpent, new IssuedEpochs(RUNS_MAX).isSpent, new IssuedEpochs().isSpent]).toEqual([
      false,
      true,
      true,
    ]);
    expect(String(new IssuedEpochs(RUNS_MAX).of(A, 0) + 2 ** 26).length).toBeLessThanOrEqual(15);
  });
});
