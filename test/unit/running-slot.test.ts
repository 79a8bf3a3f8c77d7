/** Whose code runs: the lane's RUNNING_SLOT, exact for everything that is synchronous. */
import { afterEach, expect, test } from "vitest";

import { COMMANDS, REPORTS } from "../../src/protocol/frames.ts";
import type { SessionAgentBuilder } from "../../src/protocol/agent.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import { OneLane } from "./support/one-lane.ts";

const lanes: OneLane[] = [];
afterEach(() => Promise.all(lanes.splice(0).map((lane) => lane.close())));

/** A lane whose agents write down, at each call, whom the words say it is. */
function watched(turn: (prompt: string) => string | Promise<string>): { lane: OneLane; seen: string[] } {
  const seen: string[] = [];
  const see = (what: string): void => void seen.push(`${what} ${String(lane.words.runningSlot())}`);
  const inner = defineAgent({
    turn: ({ prompt }) => {
      see("turn");
      return turn(prompt);
    },
    dispose: () => see("dispose"),
  });
  const builder: SessionAgentBuilder = {
    buildAgent: async (request, context) => {
      see("build");
      const agent = await inner.buildAgent(request, context);
      const snapshot = agent.snapshot.bind(agent);
      const sessionClone = agent.sessionClone.bind(agent);
      const setFlowToolOverlay = agent.setFlowToolOverlay.bind(agent);
      agent.snapshot = () => {
        see("snapshot");
        return snapshot();
      };
      agent.sessionClone = () => {
        see("clone");
        return sessionClone();
      };
      agent.setFlowToolOverlay = (overlay) => {
        see("overlay");
        setFlowToolOverlay(overlay);
      };
      return agent;
    },
  };
  const lane = new OneLane(builder);
  lanes.push(lane);
  return { lane, seen };
}

const create = (lane: OneLane, slot: number) =>
  [COMMANDS.CREATE.op, slot, lane.table.claim(slot), `s${slot}`, "a", { prompt: "" }] as const;

test("a build behind a turn in the same frame is not the turn's", async () => {
  const { lane, seen } = watched(() => "a");
  const slot = await lane.create();
  seen.length = 0;
  lane.send(lane.admit(slot).command, [...create(lane, 7)]);
  await lane.until(() => lane.reports.some((report) => report[0] === REPORTS.BUILT.op && report[1] === 7));
  expect(seen.filter((line) => !line.startsWith("snapshot"))).toEqual([`overlay ${slot}`, `turn ${slot}`, `overlay ${slot}`, "build 7"]);
  expect(lane.words.runningSlot()).toBeUndefined();
});

test("staging, run, what ends a turn, exports and disposal are the session's", async () => {
  const { lane, seen } = watched(async (prompt) => {
    await new Promise((resolve) => setImmediate(resolve));
    return prompt;
  });
  const [other, slot] = [await lane.create(), await lane.create()];
  seen.length = 0;
  expect(await lane.outcome(lane.start(slot, "late"))).toBe("late");
  lane.send([COMMANDS.EXPORT.op, slot, lane.generation(slot), 1], [COMMANDS.FORGET.op, slot, lane.generation(slot)]);
  await lane.until(() => seen.some((line) => line.startsWith("dispose")));
  expect(new Set(seen)).toEqual(new Set(["overlay", "turn", "snapshot", "clone", "dispose"].map((what) => `${what} ${slot}`)));
  expect(other).not.toBe(slot);
});

test("a session that waits is not running, and one that waits in the mailbox is when its turn comes", async () => {
  let finish: ((text: string) => void) | undefined;
  const { lane, seen } = watched(() => new Promise((resolve) => (finish = resolve)));
  const slot = await lane.create();
  seen.length = 0;
  const word = lane.start(slot);
  lane.send([COMMANDS.EXPORT.op, slot, lane.generation(slot), 2]);
  await lane.until(() => finish !== undefined);
  expect(lane.words.runningSlot()).toBeUndefined();
  finish?.("a");
  expect(await lane.outcome(word)).toBe("a");
  await lane.until(() => seen.some((line) => line.startsWith("clone")));
  expect(seen).toContain(`clone ${slot}`);
});

test("whatever an agent throws, nobody runs afterwards", async () => {
  const { lane } = watched(() => {
    throw new Error("no");
  });
  const slot = await lane.create();
  expect(await lane.outcome(lane.start(slot))).toBe("internal_error");
  expect(lane.words.runningSlot()).toBeUndefined();
});
