import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { TurnScheduler } from "../../src/cli/turn-scheduler.ts";

interface Job {
  readonly name: string;
  readonly finish: () => void;
}

/** A scheduler whose turns end when the test says so. */
function manual(lookAhead: { turns: number; bytes: number }): {
  scheduler: TurnScheduler<string>;
  started: string[];
  finish: (name: string) => Promise<void>;
} {
  const jobs: Job[] = [];
  const started: string[] = [];
  const scheduler = new TurnScheduler<string>(lookAhead, (name) => {
    started.push(name);
    return new Promise((resolve) => jobs.push({ name, finish: resolve }));
  });
  const finish = async (name: string): Promise<void> => {
    const at = jobs.findIndex((job) => job.name === name);
    expect(at, `${name} is running`).toBeGreaterThanOrEqual(0);
    jobs.splice(at, 1)[0]?.finish();
    await settled();
  };
  return { scheduler, started, finish };
}

/** Let everything that can happen now happen. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const isPending = async (promise: Promise<unknown>): Promise<boolean> => {
  const pending = Symbol("pending");
  await settled();
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
};

describe("turn scheduler", () => {
  test("Q1: one turn of a session at a time, in order; sessions at the same time", async () => {
    const { scheduler, started, finish } = manual({ turns: 10, bytes: 1000 });
    for (const name of ["a1", "a2", "b1", "a3", "b2"]) await scheduler.add(name.slice(0, 1), 1, name);
    expect({ started, running: scheduler.running, held: scheduler.held }).toEqual({ started: ["a1", "b1"], running: 2, held: 5 });
    await finish("b1");
    expect(started).toEqual(["a1", "b1", "b2"]);
    await finish("a1");
    expect(started).toEqual(["a1", "b1", "b2", "a2"]);
    await finish("a2");
    await finish("a3");
    const idle = scheduler.idle();
    expect(await isPending(idle)).toBe(true);
    await finish("b2");
    await idle;
    expect({ running: scheduler.running, held: scheduler.held }).toEqual({ running: 0, held: 0 });
  });

  test("Q1: an eager turn starts when those before it have, and the next ordinary one when all have settled", async () => {
    const { scheduler, started, finish } = manual({ turns: 10, bytes: 1000 });
    await scheduler.add("a", 1, "a1", true);
    await scheduler.add("a", 1, "a2", true);
    await scheduler.add("a", 1, "a3");
    await scheduler.add("a", 1, "a4", true);
    expect([started, scheduler.running]).toEqual([["a1", "a2"], 1]);
    await finish("a2");
    expect(started).toEqual(["a1", "a2"]);
    await finish("a1");
    expect(started).toEqual(["a1", "a2", "a3", "a4"]);
    await finish("a4");
    await finish("a3");
    await scheduler.idle();
    expect([scheduler.running, scheduler.held]).toEqual([0, 0]);
  });

  test("Q2: adding waits while as many turns are held as the look-ahead says", async () => {
    const { scheduler, started, finish } = manual({ turns: 2, bytes: 1000 });
    await scheduler.add("a", 1, "a1");
    await scheduler.add("b", 1, "b1");
    const third = scheduler.add("c", 1, "c1");
    expect(await isPending(third)).toBe(true);
    await finish("b1");
    expect([await third, started]).toEqual([true, ["a1", "b1", "c1"]]);
  });

  test("Q2: adding waits while there is no room for its bytes; a turn larger than everything goes alone", async () => {
    const { scheduler, started, finish } = manual({ turns: 10, bytes: 100 });
    await scheduler.add("a", 60, "a1");
    const huge = scheduler.add("b", 500, "b1");
    expect(await isPending(huge)).toBe(true);
    await finish("a1");
    expect(await huge).toBe(true);
    const next = scheduler.add("c", 1, "c1");
    expect([await isPending(next), started]).toEqual([true, ["a1", "b1"]]);
    await finish("b1");
    expect([await next, started]).toEqual([true, ["a1", "b1", "c1"]]);
  });

  test("Q3: one session that fills the look-ahead slows reading and does not stop it", async () => {
    const { scheduler, started, finish } = manual({ turns: 3, bytes: 1000 });
    const adding = (async () => {
      for (let turn = 1; turn <= 8; turn++) await scheduler.add("a", 1, `a${turn}`);
    })();
    for (let turn = 1; turn <= 8; turn++) {
      await settled();
      expect(scheduler.held).toBe(Math.min(3, 9 - turn));
      await finish(`a${turn}`);
    }
    await adding;
    await scheduler.idle();
    expect(started).toEqual(["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"]);
  });

  test("stop: running turns go on, queued ones are dropped, waiting and later adds are refused", async () => {
    const { scheduler, started, finish } = manual({ turns: 2, bytes: 1000 });
    await scheduler.add("a", 1, "a1");
    await scheduler.add("a", 1, "a2");
    const waiting = scheduler.add("b", 1, "b1");
    scheduler.stop();
    expect([await waiting, await scheduler.add("c", 1, "c1")]).toEqual([false, false]);
    const idle = scheduler.idle();
    expect([await isPending(idle), scheduler.held]).toEqual([true, 1]);
    await finish("a1");
    await idle;
    expect(started).toEqual(["a1"]);
  });

  test("what a turn throws stops everything, and idle says it when the rest has settled", async () => {
    let release!: () => void;
    const blocked = new Promise<void>((resolve) => (release = resolve));
    const scheduler = new TurnScheduler<string>({ turns: 10, bytes: 1000 }, async (name) => {
      if (name === "bad") throw new Error("a bug");
      await blocked;
    });
    await scheduler.add("a", 1, "fine");
    await scheduler.add("b", 1, "bad");
    await settled();
    expect(await scheduler.add("c", 1, "late")).toBe(false);
    const idle = scheduler.idle();
    expect(await isPending(idle)).toBe(true);
    release();
    await expect(idle).rejects.toThrow("a bug");
  });

  test("Q1, Q2, Q4: any turns in any order of ending", async () => {
    const turns = fc.array(
      fc.record({ session: fc.constantFrom("a", "b", "c", "d"), bytes: fc.integer({ min: 1, max: 60 }), steps: fc.nat(4) }),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(turns, fc.integer({ min: 1, max: 8 }), async (all, maxTurns) => {
        const running = new Set<string>();
        const done: number[] = [];
        let heldBytes = 0;
        let held = 0;
        const scheduler = new TurnScheduler<number>({ turns: maxTurns, bytes: 100 }, async (index) => {
          const { session, steps, bytes } = all[index] as (typeof all)[number];
          expect(running.has(session)).toBe(false);
          running.add(session);
          for (let step = 0; step < steps; step++) await Promise.resolve();
          running.delete(session);
          done.push(index);
          held--;
          heldBytes -= bytes;
        });
        for (const [index, { session, bytes }] of all.entries()) {
          held++;
          heldBytes += bytes;
          await scheduler.add(session, bytes, index);
          expect(scheduler.held).toBeLessThanOrEqual(maxTurns);
          expect(held).toBeLessThanOrEqual(maxTurns);
          expect(held === 1 || heldBytes <= 100).toBe(true);
        }
        await scheduler.idle();
        expect(done.toSorted((x, y) => x - y)).toEqual([...all.keys()]);
        for (const name of ["a", "b", "c", "d"]) {
          const mine = done.filter((index) => all[index]?.session === name);
          expect(mine).toEqual(mine.toSorted((x, y) => x - y));
        }
        expect(scheduler.running).toBe(0);
      }),
      { seed: 20_26, numRuns: 200 },
    );
  });
});
