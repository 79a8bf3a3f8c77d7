import { describe, expect, test } from "vitest";

import { HostEvents } from "../../src/host/host-events.ts";
import type { LaneLoss } from "../../src/host/quarantine.ts";
import { Quarantine } from "../../src/host/quarantine.ts";
import type { HostEvent } from "../../src/protocol/host-events.ts";

function newQuarantine() {
  const told: HostEvent[] = [];
  const quarantine = new Quarantine(new HostEvents({ onHostEvent: (event) => void told.push(event) }));
  const lose = (loss: Partial<LaneLoss>): void => quarantine.lost({ lane: 0, killedFor: undefined, inLoop: undefined, ran: [], ...loss });
  const struck = (): unknown[] => told.filter(({ type }) => type === "session_struck").map(({ sessionId }) => sessionId);
  return { quarantine, lose, struck, told };
}

describe("who is struck", () => {
  test("Q1: whose code stood in the loop, before whom the lane was killed for, before who alone ran", () => {
    const { lose, struck } = newQuarantine();
    lose({ killedFor: "b", inLoop: "a", ran: ["a", "b", "c"] });
    lose({ killedFor: "b", ran: ["b", "c"] });
    lose({ ran: ["c"] });
    expect(struck()).toEqual(["a", "b", "c"]);
  });

  test("Q1: nobody, when nobody ran", () => {
    const { lose, told } = newQuarantine();
    lose({});
    expect(told).toEqual([]);
  });

  test("Q1: of several that ran all are suspects; the one that runs among the innocent is struck, however often they die together", () => {
    const { quarantine, lose, struck, told } = newQuarantine();
    lose({ ran: ["a", "b", "c"] });
    lose({ ran: ["a", "b", "d"] });
    expect([struck(), told.map(({ type }) => type)]).toEqual([[], ["sessions_suspected", "sessions_suspected"]]);
    for (const id of ["b", "c", "d"]) quarantine.acquit(id);
    expect(["a", "b", "c", "d"].filter((id) => quarantine.isSuspect(id))).toEqual(["a"]);
    lose({ ran: ["a", "x", "y"] });
    expect(struck()).toEqual(["a"]);
    expect(["a", "x", "y"].some((id) => quarantine.isSuspect(id))).toBe(false);
  });
});

describe("quarantine", () => {
  test("Q2: one strike is not enough, the second is; released it begins anew", () => {
    const { quarantine, lose, told } = newQuarantine();
    lose({ ran: ["a"] });
    quarantine.assertFree("a");
    lose({ ran: ["a"] });
    expect(() => quarantine.assertFree("a")).toThrow(expect.objectContaining({ code: "SESSION_QUARANTINED", details: { strikes: 2 } }));
    expect(quarantine.ids).toEqual(["a"]);
    expect([quarantine.release("a"), quarantine.release("a")]).toEqual([true, false]);
    lose({ ran: ["a"] });
    quarantine.assertFree("a");
    expect(told.map(({ type }) => type)).toEqual([
      "session_struck",
      "session_struck",
      "session_quarantined",
      "session_released",
      "session_struck",
    ]);
  });

  test("Q2: a session that has ended for good leaves nothing behind", () => {
    const { quarantine, lose } = newQuarantine();
    lose({ ran: ["a"] });
    lose({ ran: ["a"] });
    quarantine.forget("a");
    quarantine.assertFree("a");
    expect([quarantine.ids, quarantine.hasSuspects]).toEqual([[], false]);
  });

  test("Q3: the oldest are forgotten", () => {
    const { quarantine, lose } = newQuarantine();
    for (let i = 0; i < 10_001; i++) for (let strike = 0; strike < 2; strike++) lose({ ran: [`s${i}`] });
    expect(quarantine.ids).toHaveLength(10_000);
    expect(quarantine.ids[0]).toBe("s1");
    lose({ ran: Array.from({ length: 10_002 }, (_, i) => `t${i}`) });
    expect(["t0", "t1", "t2"].map((id) => quarantine.isSuspect(id))).toEqual([false, false, true]);
  });
});
