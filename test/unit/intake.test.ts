/** Frames that arrive are processed in slices of the loop: F1–F4. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Intake, LAG_MAX_MS } from "../../src/transport/intake.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An intake with a clock of its own, which stands still but for what the items cost. */
class Bench {
  nowMs = 1000;
  readonly intake = new Intake(() => this.nowMs);
  readonly got: unknown[] = [];

  /** Something arrives that takes so many milliseconds to process. */
  arrive(item: unknown, costMs = 0): void {
    this.intake.take((taken) => {
      this.nowMs += costMs;
      this.got.push(taken);
    }, item);
  }

  async empty(): Promise<void> {
    while (this.intake.waiting > 0) await nextTurn();
  }
}

describe("intake", () => {
  test("what arrives while there is time is given out at once", () => {
    const bench = new Bench();
    for (let n = 0; n < 5; n++) bench.arrive(n, 1);
    expect([bench.got, bench.intake.waiting]).toEqual([[0, 1, 2, 3, 4], 0]);
  });

  test("F1: whatever arrives when, and whatever it costs, it comes out in order and once", async () => {
    const arrivals = fc.array(fc.record({ costMs: fc.nat(12), gap: fc.nat(3) }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(arrivals, async (list) => {
        const bench = new Bench();
        for (const [n, { costMs, gap }] of list.entries()) {
          bench.arrive(n, costMs);
          for (let turn = 0; turn < gap; turn++) await nextTurn();
        }
        await bench.empty();
        expect(bench.got).toEqual(list.map((_, n) => n));
      }),
      { numRuns: 60 },
    );
  });

  test("F2: what an item's listener started has run before the next item, and counts", async () => {
    const bench = new Bench();
    const log: string[] = [];
    const chained = (name: string): void =>
      bench.intake.take(() => {
        log.push(name);
        void Promise.resolve()
          .then(() => {})
          .then(() => {
            bench.nowMs += 5;
            log.push(`${name}, later`);
          });
      }, undefined);
    bench.arrive("slow", 100); // the slice is over: the others wait
    for (const name of ["a", "b", "c"]) chained(name);
    let turns = 0;
    for (; bench.intake.waiting > 0; turns++) await nextTurn();
    await nextTurn();
    expect(log).toEqual(["a", "a, later", "b", "b, later", "c", "c, later"]);
    expect(turns).toBeGreaterThan(1); // 5 ms each, 8 ms a slice
  });

  test("F3: a slice over its time lets the loop turn", async () => {
    const bench = new Bench();
    for (let n = 0; n < 10; n++) bench.arrive(n, 10);
    expect(bench.got).toEqual([0]);
    const seen: number[] = [];
    while (bench.intake.waiting > 0) {
      await nextTurn();
      seen.push(bench.got.length);
    }
    expect(bench.got).toHaveLength(10);
    expect(Math.max(...seen.map((count, n) => count - (seen[n - 1] ?? 1)))).toBe(1); // one of 10 ms a turn
  });

  test("F4: behind when something has waited too long, until little waits", async () => {
    const bench = new Bench();
    for (let n = 0; n < 8; n++) bench.arrive(n, 10);
    expect(bench.intake.isBehind).toBe(false);
    bench.nowMs += LAG_MAX_MS;
    bench.arrive("late", 0);
    expect([bench.intake.isBehind, bench.intake.lagMs() >= LAG_MAX_MS]).toEqual([true, true]);
    await bench.empty();
    expect([bench.intake.isBehind, bench.intake.lagMs(), bench.got.length]).toEqual([false, 0, 9]);
  });

  test("F4: a thread that stood still is not behind for it: what waited in the ports has only arrived now", async () => {
    const bench = new Bench();
    bench.arrive("a");
    bench.nowMs += 10 * LAG_MAX_MS;
    await nextTurn();
    for (let n = 0; n < 3; n++) bench.arrive(n, 10);
    expect(bench.intake.isBehind).toBe(false);
    await bench.empty();
  });

  test("an item that throws keeps nothing from the others", async () => {
    const bench = new Bench();
    bench.arrive("slow", 100);
    const uncaught: unknown[] = [];
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => uncaught.push(error));
    bench.intake.take(() => {
      throw new Error("mine");
    }, undefined);
    bench.arrive("after");
    await bench.empty();
    await nextTurn();
    for (const listener of others) process.on("uncaughtException", listener);
    expect([bench.got, String(uncaught[0])]).toEqual([["slow", "after"], "Error: mine"]);
  });
});
