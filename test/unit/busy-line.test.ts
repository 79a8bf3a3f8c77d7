import { describe, expect, test } from "vitest";

import type { WaitingMode } from "../../src/host/busy-line.ts";
import { BusyLine } from "../../src/host/busy-line.ts";

/** A line of names, to which they come by "mode name". Those that begin with the same letter go together. */
function lineOf(...comers: string[]): { line: BusyLine<string>; lost: string[] } {
  const line = new BusyLine<string>();
  const lost: string[] = [];
  for (const comer of comers) {
    const [mode, name] = comer.split(" ") as [WaitingMode, string];
    lost.push(...line.put(mode, name, ([other]) => other?.[0] === name[0]).superseded);
  }
  return { line, lost };
}

/** @returns who runs, turn by turn */
function drain(line: BusyLine<string>): string[] {
  const turns: string[] = [];
  for (let place; (place = line.shift()) !== undefined;) turns.push(place.callers.join("+"));
  return turns;
}

describe("BusyLine", () => {
  test("Y1: turns run in the order they came, those that interrupt ahead of all that wait", () => {
    const { line } = lineOf("enqueue a", "enqueue b", "interrupt c", "enqueue d", "rollback e", "merge f");
    expect(line.size).toBe(6);
    expect(line.callers).toEqual(["e", "c", "a", "b", "d", "f"]);
    expect(drain(line)).toEqual(["e", "c", "a", "b", "d", "f"]);
    expect(line.size).toBe(0);
  });

  test("Y2: of those that want to be the latest one waits, in the place of the first of them", () => {
    const { line, lost } = lineOf("enqueue a", "latest b", "enqueue c", "latest d", "latest e");
    expect(lost).toEqual(["b", "d"]);
    expect(line.size).toBe(3);
    expect([line.grows("latest"), line.grows("enqueue")]).toEqual([false, true]);
    expect(drain(line)).toEqual(["a", "e", "c"]);
    expect(line.grows("latest")).toBe(true);
  });

  test("Y3: what is to be merged joins the last place only, and only what goes with it", () => {
    const { line } = lineOf(
      "merge a1",
      "merge a2",
      "merge b1",
      "merge a3",
      "enqueue a4",
      "merge a5",
      "merge a6",
      "interrupt a7",
      "merge a8",
    );
    expect(line.size).toBe(9);
    expect(drain(line)).toEqual(["a7", "a1+a2", "b1", "a3", "a4", "a5+a6+a8"]);
  });

  test("Y4: a place goes with the last who waits in it", () => {
    const line = new BusyLine<string>();
    const together = (): boolean => true;
    const { place } = line.put("merge", "a", together);
    expect(line.put("merge", "b", together).place).toBe(place);
    const { place: behind } = line.put("enqueue", "c", together);
    expect([line.position(place), line.position(behind)]).toEqual([1, 2]);
    expect(line.leave(place, "a")).toBe(true);
    expect(line.leave(place, "a")).toBe(false);
    expect(line.position(behind)).toBe(2);
    expect(line.leave(place, "b")).toBe(true);
    expect([line.position(place), line.position(behind), line.size]).toEqual([0, 1, 1]);
    expect(line.leave(place, "b")).toBe(false);
    expect(drain(line)).toEqual(["c"]);
    expect(line.shift()).toBeUndefined();
  });
});
