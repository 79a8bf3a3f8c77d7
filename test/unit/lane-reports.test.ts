import { describe, expect, test } from "vitest";

import { HostEvents } from "../../src/host/host-events.ts";
import type { HostLane } from "../../src/host/host-lane.ts";
import type { LaneReportsParts } from "../../src/host/lane-reports.ts";
import { LaneReports } from "../../src/host/lane-reports.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import type { LaneReport } from "../../src/protocol/frames.ts";
import { REPORTS } from "../../src/protocol/frames.ts";

/** A session in slot 0, and what is done to it. */
function reports(state: SessionEntry["state"], turn?: object): { take: (...reports: LaneReport[]) => void; told: string[] } {
  const told: string[] = [];
  const lane = { number: 0, strayErrors: 0 } as HostLane;
  const entry = { id: "s", lane, state, turn } as unknown as SessionEntry;
  const parts = {
    registry: { at: () => entry, dropped: () => told.push("dropped"), forgotten: () => told.push("forgotten") },
    turns: {
      sessionLost: (_: unknown, { code }: { code: string }) => told.push(`turns: ${code}`),
      result: () => {
        throw new Error("no such turn");
      },
    },
    quarantine: { hasSuspects: false },
    events: new HostEvents({ onHostEvent: ({ type }) => void told.push(type) }),
    distrust: () => told.push("distrusted"),
  } as unknown as LaneReportsParts;
  const taker = new LaneReports(parts);
  return { take: (...taken) => taker.take(lane, taken), told };
}

const FORGOTTEN: LaneReport = [REPORTS.FORGOTTEN.op, 0, 1];

describe("LaneReports", () => {
  test("a session that leaves as it was asked to is forgotten", () => {
    const { take, told } = reports("leaving");
    take(FORGOTTEN);
    expect(told).toEqual(["forgotten"]);
  });

  test.each([
    ["a live session", "live"],
    ["one that is about to leave", "leaving"],
    ["one that is about to sleep", "hibernating"],
  ] as const)("%s that its lane drops with a turn on its way: the turn is answered", (_, state) => {
    const { take, told } = reports(state, {});
    take(FORGOTTEN);
    expect(told).toEqual(["dropped", "turns: SESSION_STORE_ERROR", "forgotten"]);
  });

  test("G4: a report that cannot be taken brings down its lane, and what comes behind it is not taken", async () => {
    const { take, told } = reports("leaving");
    take([REPORTS.RESULT.op, 0, 1, 7, "text", 0] as unknown as LaneReport, FORGOTTEN);
    await Promise.resolve();
    expect(told).toContain("distrusted");
    expect(told).not.toContain("forgotten");
  });
});
