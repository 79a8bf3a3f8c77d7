import { expect, test } from "vitest";

import { Permit } from "../../src/core/admission.ts";
import { LaneWords } from "../../src/core/lane-words.ts";
import { SlotTable } from "../../src/core/slot-table.ts";
import type { HostLane } from "../../src/host/host-lane.ts";
import { KeptMoves } from "../../src/host/kept-moves.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";

function laneOf(number: number): HostLane {
  const words = new LaneWords();
  words.beat(Date.now());
  return { number, kind: "shared", isOpen: true, hasEnded: false, words } as HostLane;
}
const FROM = laneOf(0);
const TO = laneOf(1);

/** @param leave - how the session leaves its lane */
function moving(leave: () => Promise<boolean>): { moves: KeptMoves; entry: SessionEntry; told: string[] } {
  const table = new SlotTable();
  table.addSegment();
  table.claim(0);
  const told: string[] = [];
  const entry = {
    id: "s",
    slot: 0,
    generation: 1,
    state: "live",
    queries: 0,
    cpuMs: 5,
    lane: FROM,
    permit: Permit.none(),
    kept: {},
  } as SessionEntry;
  const moves = new KeptMoves({
    table,
    hibernation: {
      leave: (left) => {
        left.state = "hibernating";
        return leave().catch((error: unknown) => {
          left.state = "gone";
          throw error;
        });
      },
    },
    wakes: {
      wake: async (id) => {
        told.push(`woken ${id}`);
        return { id, lane: TO, cpuMs: 0 } as SessionEntry;
      },
    },
    onStays: ({ id }) => told.push(`${id} stays`),
    onUnsaved: ({ id }, error) => told.push(`${id} unsaved: ${String(error)}`),
    onEnded: () => {},
    onMoved: ({ lane, cpuMs }, from) => told.push(`moved ${from.number}>${lane.number} with ${cpuMs} ms`),
  });
  return { moves, entry, told };
}

test("J1: a session goes to sleep in the one lane and wakes in the other", async () => {
  const { moves, entry, told } = moving(async () => true);
  expect(await moves.move(entry, TO, "test")).toBe(true);
  expect(told).toEqual(["woken s", "moved 0>1 with 5 ms"]);
});

test("J1: a session whose agent cannot say what it is stays", async () => {
  const { moves, entry, told } = moving(async () => false);
  expect(await moves.move(entry, TO, "test")).toBe(false);
  expect(told).toEqual(["s stays"]);
});

test("J1: a session that could not be saved on its way is told of; it wakes as it was at its last boundary", async () => {
  const { moves, entry, told } = moving(() => Promise.reject(new Error("the disk is full")));
  expect(await moves.move(entry, TO, "test")).toBe(true);
  expect(told).toEqual(["s unsaved: Error: the disk is full", "woken s", "moved 0>1 with 5 ms"]);
});
