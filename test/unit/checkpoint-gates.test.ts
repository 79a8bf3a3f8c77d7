import { setImmediate as nextTask } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { describe, expect, test } from "vitest";

import { CheckpointGates } from "../../src/store/checkpoint-gates.ts";

const written = async (): Promise<void> => {};

/** A write that ends when the test says so. */
function slow(): { write: () => Promise<void>; end: (error?: Error) => void } {
  let end!: (error?: Error) => void;
  const done = new Promise<void>((resolve, reject) => (end = (error) => (error === undefined ? resolve() : reject(error))));
  return { write: () => done, end };
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let isDone = false;
  const settle = (): void => void (isDone = true);
  promise.then(settle, settle);
  await nextTask();
  return isDone;
}

describe("CheckpointGates", () => {
  test("E1: an open gate, and none at all, let checkpoints pass", async () => {
    const gates = new CheckpointGates();
    gates.open("a", 1);
    expect(await gates.pass("a", written)).toBe(true);
    expect(await gates.pass("nobody", written)).toBe(true);
  });

  test("E3: a write that fails is its caller's to hear of, and closes nothing", async () => {
    const gates = new CheckpointGates();
    gates.open("a", 1);
    await expect(gates.pass("a", () => Promise.reject(new Error("disk")))).rejects.toThrow("disk");
    await gates.cancelAll();
    gates.rearmAll();
    expect(await gates.pass("a", written)).toBe(true);
  });

  test("E6, J1: cancelAll waits for every checkpoint on its way, also those that fail, and none is written afterwards", async () => {
    const gates = new CheckpointGates();
    gates.open("a", 1);
    gates.open("b", 1);
    const [first, second, third] = [slow(), slow(), slow()];
    const passing = [gates.pass("a", first.write), gates.pass("a", second.write), gates.pass("b", third.write)].map((pass) =>
      pass.catch((error: unknown) => String(error)),
    );
    const cancelling = gates.cancelAll();
    expect(await gates.pass("a", () => Promise.reject(new Error("written")))).toBe(false);
    third.end();
    second.end();
    expect(await isSettled(cancelling)).toBe(false);
    first.end(new Error("disk"));
    expect(await isSettled(cancelling)).toBe(true);
    expect(await Promise.all(passing)).toEqual(["Error: disk", true, true]);
    expect(await gates.pass("b", written)).toBe(false);
  });

  test("E7: rearmed gates let pass again", async () => {
    const gates = new CheckpointGates();
    gates.open("a", 1);
    await gates.cancelAll();
    gates.rearmAll();
    expect(await gates.pass("a", written)).toBe(true);
  });

  test("J2: a session made live after cancelAll has an open gate, an older one of its id is gone", async () => {
    const gates = new CheckpointGates();
    gates.open("a", 1);
    await gates.cancelAll();
    gates.open("a", 2);
    gates.open("b", 1);
    expect(await gates.pass("a", written)).toBe(true);
    expect(await gates.pass("b", written)).toBe(true);
  });

  test("a drop that comes late does not take the gate of a session that is live again", async () => {
    const gates = new CheckpointGates();
    gates.open("a", 2);
    await gates.cancelAll();
    gates.drop("a", 1);
    expect(await gates.pass("a", written)).toBe(false); // still there, still cancelled
    gates.drop("a", 2);
    expect(await gates.pass("a", written)).toBe(true);
    gates.open("a", 3);
    await gates.cancelAll();
    gates.drop("a");
    expect(await gates.pass("a", written)).toBe(true);
  });

  test("a gate keeps nothing of the checkpoints that were written through it", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const gates = new CheckpointGates();
    gates.open("a", 1);
    let first: WeakRef<object>;
    await (async () => {
      const answer = {};
      first = new WeakRef(answer);
      await gates.pass("a", () => Promise.resolve(answer) as never);
    })();
    for (let i = 0; i < 3; i++) await gates.pass("a", written);
    await nextTask();
    collect();
    expect(first!.deref()).toBeUndefined();
  });
});
