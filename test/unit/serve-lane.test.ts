/** A lane of this thread at work: W1–W4. */
import { afterEach, describe, expect, test } from "vitest";

import { STATE, STATE_RUNNING } from "../../src/core/slot-layout.ts";
import { requestInterrupt } from "../../src/core/turn-lock.ts";
import type { LaneSeat } from "../../src/lane/serve-lane.ts";
import type { SimpleAgentDefinition, TurnFunction } from "../../src/protocol/agent.ts";
import type { LaneCommand } from "../../src/protocol/frames.ts";
import { COMMANDS, REPORTS } from "../../src/protocol/frames.ts";
import { OneLane } from "./support/one-lane.ts";

const lanes: OneLane[] = [];
function newLane(agent: SimpleAgentDefinition | TurnFunction, seat?: Partial<LaneSeat>): OneLane {
  const lane = new OneLane(agent, undefined, undefined, seat);
  lanes.push(lane);
  return lane;
}
afterEach(() => Promise.all(lanes.splice(0).map((lane) => lane.close())));

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const stateOf = ({ table }: OneLane, slot: number): number => Atomics.load(table.words(slot), table.base(slot) + STATE);

describe("serve-lane", () => {
  test("W1: a long frame of commands does not keep the event loop waiting", async () => {
    const turns = 40;
    let ran = 0;
    let ranWhenTheLoopTurned: number | undefined;
    const lane = newLane(() => {
      if (ran++ === 0) setImmediate(() => (ranWhenTheLoopTurned = ran));
      const until = performance.now() + 1;
      while (performance.now() <= until); // a millisecond of synchronous work
      return "";
    });
    const slots: number[] = [];
    for (let i = 0; i < turns; i++) slots.push(await lane.create());
    const admitted = slots.map((slot) => lane.admit(slot));
    lane.send(...admitted.map(({ command }) => command));
    for (const { word } of admitted) await lane.outcome(word);
    expect(ran).toBe(turns);
    expect(ranWhenTheLoopTurned).toBeLessThan(turns / 2);
  });

  test("W4: what an agent has changed is seen before the next frame, told, and ends the lane", async () => {
    let isChanged = false;
    let ends = 0;
    const changed = (): string | undefined => (isChanged ? "Array.prototype.push" : undefined);
    const lane = newLane(() => "fine", { guard: { isSound: () => !isChanged, changed }, endThread: () => ends++ });
    expect(await lane.outcome(lane.start(await lane.create()))).toBe("fine");
    expect(ends).toBe(0);
    isChanged = true;
    lane.send([COMMANDS.WAKE.op]);
    await lane.until(() => ends > 0);
    const told = (): string[] => lane.reports.filter(([op]) => op === REPORTS.STRAY_ERROR.op).map((report) => String(report[1]));
    await lane.until(() => told().length > 0);
    expect(told()[0]).toContain("Array.prototype.push");
  });

  test("W2: a bell that rings during one command is heard before the next", async () => {
    const log: string[] = [];
    const lane = newLane((turn) => {
      if (turn.prompt === "waits") {
        return new Promise((resolve) => turn.signal.addEventListener("abort", () => (log.push("heard"), resolve("")), { once: true }));
      }
      log.push(turn.prompt);
      if (turn.prompt === "rings") {
        requestInterrupt(lane.table, waiting);
        lane.words.ring();
      }
      return "";
    });
    const [waiting, ringing, last] = [await lane.create(), await lane.create(), await lane.create()];
    const word = lane.start(waiting, "waits");
    await lane.until(() => stateOf(lane, waiting) === STATE_RUNNING);
    lane.send(lane.admit(ringing, "rings").command, lane.admit(last, "last").command);
    expect(await lane.outcome(word)).toBe("cancelled");
    expect(log).toEqual(["rings", "heard", "last"]);
  });

  test("W3: every frame is counted once, when it is done with: also one that cannot be read, and those that waited behind slow work", async () => {
    const seen: number[] = [];
    const lane = newLane((turn) => {
      seen.push(lane.words.taken());
      const until = performance.now() + 1;
      while (performance.now() <= until);
      return turn.prompt;
    });
    const slots: number[] = [];
    for (let i = 0; i < 6; i++) slots.push(await lane.create());
    const before = lane.words.taken();
    expect(before).toBe(6);
    const admitted = slots.map((slot) => lane.admit(slot));
    const commands: LaneCommand[] = admitted.map(({ command }) => command);
    lane.send(...commands.slice(0, 2));
    lane.send([99] as never);
    lane.send(...commands.slice(2, 3));
    lane.send();
    lane.send(...commands.slice(3));
    for (const { word } of admitted) await lane.outcome(word);
    expect(seen.map((taken) => taken - before)).toEqual([0, 0, 2, 4, 4, 4]);
    await lane.until(() => lane.words.taken() === before + 5);
  });

  test("a frame that is none is reported, and the lane goes on", async () => {
    const lane = newLane(() => "a");
    const slot = await lane.create();
    lane.send([99] as never);
    await lane.until(() => lane.reports.some(([op]) => op === REPORTS.STRAY_ERROR.op));
    expect(await lane.outcome(lane.start(slot))).toBe("a");
  });

  test("a command for a session that is not there answers its caller", async () => {
    const lane = newLane(() => "a");
    const { word, command } = lane.admit(9);
    lane.send(command, [COMMANDS.EXPORT.op, 9, 1, 5]);
    expect(await lane.outcome(word)).toBe("SESSION_NOT_FOUND");
    await lane.until(() => lane.reports.some(([op]) => op === REPORTS.REPLY_ERROR.op));
    expect(lane.reports.at(-1)).toMatchObject([REPORTS.REPLY_ERROR.op, 5, { code: "SESSION_NOT_FOUND" }]);
  });

  test("a session is forgotten behind the turn that runs", async () => {
    const disposed: string[] = [];
    let finish: ((text: string) => void) | undefined;
    const lane = newLane({ turn: () => new Promise((resolve) => (finish = resolve)), dispose: () => void disposed.push("disposed") });
    const slot = await lane.create();
    const word = lane.start(slot);
    lane.send([COMMANDS.FORGET.op, slot, 1]);
    await lane.until(() => finish !== undefined);
    await nextTurn();
    expect(disposed).toEqual([]);
    finish?.("a");
    expect(await lane.outcome(word)).toBe("a");
    await lane.until(() => lane.reports.some(([op]) => op === REPORTS.FORGOTTEN.op));
    expect(disposed).toEqual(["disposed"]);
  });
});
