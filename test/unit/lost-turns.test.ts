import { expect, test } from "vitest";

import type { HostLane } from "../../src/host/host-lane.ts";
import type { LostTurnsParts } from "../../src/host/lost-turns.ts";
import { LostTurns } from "../../src/host/lost-turns.ts";
import type { Turn } from "../../src/host/turn.ts";
import { SessionError } from "../../src/protocol/errors.ts";

const LANE = { storeConnection: 3 } as HostLane;
const why = (sessionId: string): SessionError => new SessionError("AGENT_ERROR", "lane lost", { sessionId });

function lost(answer: (method: string) => Promise<unknown>): {
  turns: LostTurns;
  told: string[];
  turn: (id: string, ticket: number) => Turn;
} {
  const told: string[] = [];
  const parts = {
    client: { call: answer },
    fail: ({ entry }: Turn, error: SessionError) => told.push(`${entry.id} failed ${error.details?.["outcome"] as string | undefined}`),
    onUnknown: (id: string) => told.push(`${id} unknown`),
  };
  const turn = (id: string, ticket: number): Turn =>
    ({ entry: { id }, ticket, completeFrom: ({ text }: { text: string }) => told.push(`${id} ${text}`) }) as unknown as Turn;
  return { turns: new LostTurns(parts as unknown as LostTurnsParts), told, turn };
}

test("LT1: a turn is answered as the store has it, and its session is settled when all of its lane are", async () => {
  const { turns, told, turn } = lost(async (method) =>
    method === "laneDrained"
      ? true
      : [{ ticket: 1, result: { text: "saved" } }, { ticket: 1, result: { text: "older" } }, null, "unreadable"],
  );
  turns.settle(LANE, [turn("a", 1), turn("b", 2), turn("c", 3), turn("d", 4)], why);
  expect(told).toEqual([]);
  const settled = turns.settled("a");
  expect(settled).toBeDefined();
  expect(turns.settled("x")).toBeUndefined();
  await settled;
  expect(told).toEqual(["a saved", "b failed undefined", "c failed undefined", "d failed unknown"]);
  await turns.idle();
  expect(turns.settled("a")).toBeUndefined();
});

test("LT1: a host that closes waits until they are answered", async () => {
  let drain!: (isDrained: boolean) => void;
  const { turns, told, turn } = lost((method) =>
    method === "laneDrained" ? new Promise((resolve) => (drain = resolve)) : Promise.resolve([{ ticket: 1, result: { text: "saved" } }]),
  );
  turns.settle(LANE, [turn("a", 1)], why);
  let isIdle = false;
  const idle = turns.idle().then(() => (isIdle = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isIdle).toBe(false);
  drain(true);
  await idle;
  expect(told).toEqual(["a saved"]);
});

test("LT1: a lane whose port cannot be drained is fenced off first; a store that fails leaves the outcome unknown", async () => {
  const calls: string[] = [];
  const fenced = lost(async (method) => {
    calls.push(method);
    return method === "laneDrained" ? false : { lastTurn: { ticket: 1, result: { text: "saved" } } };
  });
  fenced.turns.settle(LANE, [fenced.turn("a", 1)], why);
  await fenced.turns.idle();
  expect(calls).toEqual(["laneDrained", "fence"]);
  expect(fenced.told).toEqual(["a saved"]);

  const failing = lost(() => Promise.reject(new Error("the disk is gone")));
  failing.turns.settle(LANE, [failing.turn("a", 1)], why);
  await failing.turns.idle();
  expect(failing.told).toEqual(["a unknown", "a failed unknown"]);
});
