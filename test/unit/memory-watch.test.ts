/** Lanes whose memory runs out: O1–O3, with lanes that are nothing but their words. */
import { beforeEach, describe, expect, test } from "vitest";

import { LaneWords } from "../../src/core/lane-words.ts";
import { SlotTable } from "../../src/core/slot-table.ts";
import { HostEvents } from "../../src/host/host-events.ts";
import type { HostLane } from "../../src/host/host-lane.ts";
import { MemoryWatch } from "../../src/host/memory-watch.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";

const MIB = 1024 * 1024;
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Host {
  readonly table = new SlotTable();
  readonly events = new HostEvents({});
  readonly lanes: HostLane[] = [];
  readonly sessions: SessionEntry[] = [];
  readonly left: string[] = [];
  readonly killed: [lane: number, session: string | undefined][] = [];
  rss = 100 * MIB;
  #rounds = 0;
  /** What a session's leaving comes to. */
  leave = async (_entry: SessionEntry, _room: HostLane | undefined): Promise<boolean> => true;
  readonly watch: MemoryWatch;

  constructor(lanes: number, externalMaxMb?: number) {
    this.table.addSegment();
    for (let number = 0; number < lanes; number++) {
      this.lanes.push({ number, kind: "shared", state: "ready", words: new LaneWords() } as HostLane);
    }
    this.watch = new MemoryWatch({
      table: this.table,
      registry: {
        *inLane(this: void, lane: HostLane) {
          for (const entry of sessions) if (entry.lane === lane) yield entry;
        },
        inSlot: (lane, slot) => sessions.find((entry) => entry.lane === lane && entry.slot === slot),
      },
      events: this.events,
      externalMaxMb,
      leave: (entry, room) => {
        this.left.push(entry.id);
        return this.leave(entry, room);
      },
      kill: ({ number }, entry) => this.killed.push([number, entry?.id]),
      rss: () => this.rss,
    });
    for (const lane of this.lanes) this.watch.loaded(lane);
    const { sessions } = this;
  }

  lane(number: number): HostLane {
    return this.lanes[number] as HostLane;
  }

  add(lane: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const slot = this.sessions.length;
      this.table.claim(slot);
      this.sessions.push({
        id: `s${slot}`,
        slot,
        state: "live",
        queries: 0,
        lane: this.lane(lane),
        kept: { lastUsedMs: 1000 - slot },
      } as never);
    }
  }

  /** A round with the given share of the heap in each lane. */
  async round(shares: readonly number[], external: readonly number[] = []): Promise<void> {
    for (const [number, share] of shares.entries()) {
      const { words } = this.lane(number);
      words.beat(Date.now() + (this.#rounds++ % 50)); // no two alike
      words.setMemory({ heapUsed: share * 100 * MIB, heapLimit: 100 * MIB, external: (external[number] ?? 0) * MIB });
    }
    this.watch.round(this.lanes);
    await soon();
  }
  async rounds(count: number, shares: readonly number[], external?: readonly number[]): Promise<void> {
    for (let i = 0; i < count; i++) await this.round(shares, external);
  }
}

let host: Host;
beforeEach(() => {
  host = new Host(2);
});

describe("MemoryWatch", () => {
  test("O1: a heap that is full between two collections is not full", async () => {
    host.add(0, 5);
    for (let i = 0; i < 20; i++) await host.round([i % 3 === 0 ? 0.5 : 0.95, 0.1]);
    expect(host.left).toEqual([]);
    expect(host.events.counts().memory_pressure).toBe(0);
  });

  test("O2: idle sessions leave, the least recently used first, in batches, until it is below", async () => {
    host.add(0, 100);
    await host.rounds(4, [0.9, 0.1]);
    expect(host.left).toEqual(Array.from({ length: 32 }, (_, i) => `s${99 - i}`));
    expect(host.events.counts().memory_pressure).toBe(1);
    for (const id of host.left)
      host.sessions.splice(
        host.sessions.findIndex((entry) => entry.id === id),
        1,
      );
    await host.rounds(5, [0.8, 0.1]);
    expect(host.left).toHaveLength(64);
    await host.rounds(30, [0.6, 0.1]);
    expect(host.left).toHaveLength(64);
    await host.rounds(30, [0.8, 0.1]); // not yet pressed again
    expect(host.left).toHaveLength(64);
    expect(host.events.counts().memory_pressure).toBe(1);
  });

  test("O2: a batch that has not ended is the only one", async () => {
    host.add(0, 100);
    let end: (() => void) | undefined;
    host.leave = () => new Promise((resolve) => (end = () => resolve(true)));
    await host.rounds(40, [0.9, 0.1]);
    expect(host.left).toHaveLength(32);
    end?.();
  });

  test("O2: they go to the lane that is furthest from its limits, and has room", async () => {
    host = new Host(4);
    host.add(0, 1);
    const rooms: (number | undefined)[] = [];
    host.leave = async (_entry, room) => {
      rooms.push(room?.number);
      return false;
    };
    await host.rounds(4, [0.9, 0.6, 0.3, 0.4]);
    await host.rounds(10, [0.9, 0.8, 0.75, 0.9]);
    expect(rooms).toEqual([2, undefined, undefined]);
  });

  test("sessions that are held, or run, do not leave", async () => {
    host.add(0, 3);
    Object.assign(host.sessions[0] as object, { queries: 1 });
    Object.assign(host.sessions[1] as object, { turn: {} });
    await host.rounds(4, [0.9, 0.1]);
    expect(host.left).toEqual(["s2"]);
  });

  test("O3: buffers count where they have a limit; beyond it the lane is killed, and whose code runs is named", async () => {
    host.add(0, 2);
    await host.rounds(10, [0.1, 0.1], [5000]);
    expect([host.left, host.killed]).toEqual([[], []]); // no limit
    host = new Host(2, 100);
    host.add(0, 2);
    await host.rounds(4, [0.1, 0.1], [90]);
    expect(host.left).toEqual(["s1", "s0"]);
    host.lane(0).words.setRunning(1);
    await host.rounds(2, [0.1, 0.1], [150]);
    expect(host.killed).toEqual([]);
    await host.round([0.1, 0.1], [150]);
    expect(host.killed).toEqual([[0, "s1"]]);
  });

  test("O3: a lane that stands still while the process grows by more than it may hold is killed, if it alone stands still", async () => {
    for (const alone of [true, false]) {
      host = new Host(2, 100);
      host.add(0, 1);
      await host.rounds(3, [0.1, 0.1]);
      host.lane(0).words.setRunning(0);
      const longAgo = Date.now() - 5000;
      host.lane(0).words.beat(longAgo);
      if (!alone) host.lane(1).words.beat(longAgo);
      host.rss += 90 * MIB;
      host.watch.round(host.lanes);
      expect(host.killed).toEqual([]);
      host.rss += 20 * MIB;
      host.watch.round(host.lanes);
      expect(host.killed).toEqual(alone ? [[0, "s0"]] : []);
    }
  });

  test("O3: also a lane that stood still before any round saw it move", () => {
    for (const [grownMb, killed] of [
      [90, []],
      [110, [[0, "s0"]]],
    ] as const) {
      host = new Host(2, 100);
      host.add(0, 1);
      host.lane(0).words.setRunning(0);
      host.lane(0).words.beat(Date.now() - 5000);
      host.lane(1).words.beat(Date.now());
      host.rss += grownMb * MIB;
      host.watch.round(host.lanes);
      expect(host.killed).toEqual(killed);
    }
  });

  test("O3: what the process grows by before a lane's agents are loaded is not the lane's", () => {
    host = new Host(2, 100);
    host.watch.round(host.lanes.slice(1));
    host.rss += 500 * MIB; // other lanes, and its own modules
    host.watch.loaded(host.lane(0));
    host.lane(1).words.beat(Date.now());
    host.lane(0).words.beat(Date.now());
    host.watch.round(host.lanes);
    host.lane(0).words.beat(Date.now() - 5000);
    host.rss += 90 * MIB;
    host.watch.round(host.lanes);
    expect(host.killed).toEqual([]);
  });
});
