/** Whose code runs after an await: B1–B2, in a lane of this thread. */
import { afterEach, expect, test } from "vitest";

import { Attribution } from "../../src/lane/attribution.ts";
import { LaneWords } from "../../src/core/lane-words.ts";
import { OneLane } from "./support/one-lane.ts";

const words = new LaneWords();
let attribution = new Attribution(words);
const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const turnOn = (isOn: boolean): void => {
  words.attribute(isOn);
  attribution.look();
};
afterEach(() => {
  attribution.close();
  attribution = new Attribution(words);
  words.setRunning(undefined);
});

/** Enter a session's code. */
function enter<T>(slot: number, code: () => T): T {
  words.setRunning(slot);
  const value = code();
  words.setRunning(undefined);
  return value;
}

/** Work with awaits of every kind. @returns whom the words named, after each */
async function work(steps = 3): Promise<(number | undefined)[]> {
  const seen: (number | undefined)[] = [];
  for (let i = 0; i < steps; i++) {
    await immediate();
    seen.push(words.runningSlot());
    await Promise.resolve();
    seen.push(words.runningSlot());
    await (async () => {
      await Promise.resolve();
      seen.push(words.runningSlot());
    })();
  }
  return seen;
}

test("B1: what goes on after an await is its session's, and nobody's in between", async () => {
  turnOn(true);
  const [a, b] = [enter(3, work), enter(5, work)];
  await immediate();
  expect(words.runningSlot()).toBeUndefined();
  expect(new Set(await a)).toEqual(new Set([3]));
  expect(new Set(await b)).toEqual(new Set([5]));
});

test("B1: code that was entered by nobody is nobody's", async () => {
  turnOn(true);
  expect(new Set(await work())).toEqual(new Set([undefined]));
});

test("off, nothing is marked, and it can be turned on and off again and again", async () => {
  for (let i = 0; i < 3; i++) {
    expect(new Set(await enter(3, work))).toEqual(new Set([undefined]));
    turnOn(true);
    turnOn(true);
    expect(new Set(await enter(3, work))).toEqual(new Set([3]));
    turnOn(false);
  }
});

test("B2: a turn that began before is found when it asks whether it is interrupted, until it lets go of the loop", async () => {
  const seen: (number | undefined)[] = [];
  const lane = new OneLane(async (turn) => {
    const see = (): void => void seen.push(lane.words.runningSlot());
    await immediate();
    see();
    lane.words.attribute(true);
    while (lane.lane.isMarking !== true) await immediate(); // until a heartbeat has looked
    see();
    turn.isInterrupted();
    see();
    await Promise.resolve();
    see();
    return "";
  });
  const slot = await lane.create();
  expect(await lane.outcome(lane.start(slot))).toBe("");
  expect(seen).toEqual([undefined, undefined, slot, slot]);
  await immediate();
  expect(lane.words.runningSlot()).toBeUndefined();
  await lane.close();
});
