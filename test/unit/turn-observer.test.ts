import { describe, expect, test } from "vitest";

import type { SettledTurn, TurnTrace } from "../../src/host/turn-observer.ts";
import { TurnObservers } from "../../src/host/turn-observer.ts";
import { SessionError, agentFailure } from "../../src/protocol/errors.ts";

describe("who watches turns", () => {
  test("nobody: there is nothing to tell", () => {
    expect(new TurnObservers().watch("s", 1, undefined)).toBeUndefined();
  });

  test("W1: who left between admission and end is told of the end all the same, who came is not", () => {
    const observers = new TurnObservers();
    const told: string[] = [];
    const observer = (name: string) => ({
      onTurnAdmitted: () => void told.push(`${name}+`),
      onTurnSettled: () => void told.push(`${name}-`),
    });
    const end = observers.add(observer("a"));
    const turn = observers.watch("s", 1, undefined);
    end();
    observers.add(observer("b"));
    turn?.settled(0, undefined);
    expect(told).toEqual(["a+", "a-"]);
  });

  test.each([
    [undefined, "completed"],
    [agentFailure("cancelled", ""), "cancelled"],
    [agentFailure("lane_lost", ""), "lost"],
    [agentFailure("internal_error", ""), "failed"],
    [new SessionError("SESSION_STORE_ERROR", ""), "failed"],
  ])("what ended with %s %s", (error, outcome) => {
    const observers = new TurnObservers();
    const settled: SettledTurn[] = [];
    observers.add({ onTurnSettled: (turn) => void settled.push(turn) });
    observers.watch("s", 7, undefined)?.settled(3, error);
    expect(settled).toEqual([{ sessionId: "s", ticket: 7, lane: 3, outcome, error, durationMs: expect.any(Number) }]);
  });

  test("W2: a trace that throws is one that is not there", () => {
    const fails = (): never => {
      throw new Error("no");
    };
    const refusing: TurnTrace = { admitted: fails, settled: fails };
    const watched = new TurnObservers().watch("s", 1, refusing);
    expect(watched?.extras).toBeUndefined();
    expect(() => watched?.settled(0, undefined)).not.toThrow();
    const failing = new TurnObservers().watch("s", 1, { admitted: () => ({ traceparent: "t" }), settled: fails });
    expect(failing?.extras).toEqual({ traceparent: "t" });
    expect(() => failing?.settled(0, undefined)).not.toThrow();
  });
});
