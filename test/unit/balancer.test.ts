/** What is done about overloaded lanes: E1–E4, with lanes that are nothing but their loads. */
import { beforeEach, describe, expect, test } from "vitest";

import { LaneWords } from "../../src/core/lane-words.ts";
import { SlotTable } from "../../src/core/slot-table.ts";
import type { BalancerParts } from "../../src/host/balancer.ts";
import { Balancer } from "../../src/host/balancer.ts";
import { HostEvents } from "../../src/host/host-events.ts";
import type { HostLane } from "../../src/host/host-lane.ts";
import { LaneLoad, ROUNDS } from "../../src/host/lane-load.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";

const ROUND_MS = 250;

class Host {
  readonly table = new SlotTable();
  readonly events = new HostEvents({});
  readonly lanes: HostLane[] = [];
  readonly sessions: SessionEntry[] = [];
  readonly moved: string[] = [];
  readonly balancer: Balancer;
  nowMs = 0;
  dedicated: HostLane | undefined;
  stopped: number[] = [];
  settled: ((entry: SessionEntry) => void) | undefined;
  readonly #busy = [0, 0, 0];

  constructor(policy: BalancerParts["policy"] = "move", lanes = 2) {
    this.table.addSegment();
    for (let number = 0; number < lanes; number++) this.lanes.push(this.newLane(number, "shared"));
    const { sessions } = this;
    this.balancer = new Balancer({
      table: this.table,
      registry: {
        *inLane(this: void, lane: HostLane) {
          for (const entry of sessions) if (entry.lane === lane) yield entry;
        },
      },
      events: this.events,
      policy,
      move: async (entry, to, reason) => {
        this.moved.push(`${entry.id} ${entry.lane.number}>${to.number} ${reason}`);
        entry.lane.sessionCount--;
        to.sessionCount++;
        entry.state = "leaving";
        const slot = this.sessions.length;
        this.table.claim(slot);
        this.sessions.push(Object.assign({}, entry, { slot, state: "live" as const, lane: to }) as SessionEntry);
        return true;
      },
      startDedicated: () => this.dedicated,
      stop: ({ number }) => this.stopped.push(number),
      onSettled: (listener) => (this.settled = listener),
      now: () => this.nowMs,
    });
  }

  newLane(number: number, kind: HostLane["kind"]): HostLane {
    return { number, kind, state: "ready", hasEnded: false, words: new LaneWords(), load: new LaneLoad(), sessionCount: 0 } as never;
  }

  lane(number: number): HostLane {
    return this.lanes[number] as HostLane;
  }

  add(lane: number, id: string): SessionEntry {
    const slot = this.sessions.length;
    this.table.claim(slot);
    const entry = {
      id,
      slot,
      state: "live",
      queries: 0,
      cpuMs: 0,
      lane: this.lane(lane),
      kept: { lastUsedMs: slot },
    } as unknown as SessionEntry;
    this.sessions.push(entry);
    entry.lane.sessionCount++;
    return entry;
  }

  /** The session as it is now, wherever. */
  now(id: string): SessionEntry {
    return this.sessions.findLast((entry) => entry.id === id) as SessionEntry;
  }

  /** Rounds in which lanes are busy for the given shares, and sessions use theirs of them. */
  rounds(count: number, shares: readonly number[], parts: Readonly<Record<string, number>> = {}): void {
    for (let i = 0; i < count; i++) {
      this.nowMs += ROUND_MS;
      for (const [number, share] of shares.entries()) {
        const { load, words } = this.lane(number);
        words.beat(Date.now());
        let rest = ROUND_MS;
        for (const [id, part] of Object.entries(parts)) {
          if (this.now(id).lane.number !== number) continue;
          load.sampled(this.now(id), part * ROUND_MS);
          rest -= part * ROUND_MS;
        }
        load.sampled(undefined, rest);
        this.#busy[number] = (this.#busy[number] ?? 0) + share * ROUND_MS;
        load.round({ activeMs: this.#busy[number], idleMs: this.nowMs - this.#busy[number] });
      }
      this.balancer.round(this.lanes);
    }
  }

  begin(id: string): void {
    Object.assign(this.now(id), { turn: {} });
  }
  end(id: string): void {
    const entry = this.now(id);
    entry.turn = undefined;
    this.settled?.(entry);
  }
}

let host: Host;
beforeEach(() => {
  host = new Host();
  for (const id of ["a", "b", "c"]) host.add(0, id);
});

describe("Balancer", () => {
  test("E1: nothing moves while no lane is overloaded, or no other has time to spare", () => {
    host.rounds(50, [0.85, 0], { a: 0.8 });
    host.rounds(ROUNDS, [0.5, 0.6]);
    host.rounds(50, [1, 0.6], { a: 0.9 });
    expect(host.moved).toEqual([]);
    expect(host.events.counts().lane_overloaded).toBe(1);
  });

  test("E1: not before two seconds have been seen", () => {
    host.rounds(ROUNDS, [1, 0], { a: 1 });
    expect(host.moved).toEqual([]);
    host.rounds(1, [1, 0], { a: 1 });
    expect(host.moved).toEqual(["a 0>1 hog"]);
  });

  test("E2: a hog that has a turn goes when that has ended", () => {
    host.begin("a");
    host.rounds(ROUNDS + 2, [1, 0], { a: 1 });
    expect(host.moved).toEqual([]);
    host.end("a");
    expect(host.moved).toEqual(["a 0>1 hog"]);
    expect(host.settled).toBeUndefined();
  });

  test("E2: when the host closes, a hog whose turn ends stays", () => {
    host.begin("a");
    host.rounds(ROUNDS + 2, [1, 0], { a: 1 });
    host.balancer.close();
    expect(host.settled).toBeUndefined();
    host.end("a");
    expect(host.moved).toEqual([]);
  });

  test("E2: while its turn does not end, its idle neighbours go", () => {
    host.begin("a");
    host.rounds(ROUNDS + 6, [1, 0], { a: 1 });
    expect(host.moved).toEqual(["b 0>1 neighbour_of_hog", "c 0>1 neighbour_of_hog"]);
    host.rounds(40, [1, 0], { a: 1 }); // alone: nobody is harmed
    expect(host.moved).toHaveLength(2);
  });

  test("E2: by policy it gets a lane of its own, or goes where there is room when there is none", () => {
    for (const isLeft of [true, false]) {
      host = new Host("dedicate");
      host.add(0, "a");
      host.add(0, "b");
      if (isLeft) host.dedicated = host.newLane(9, "dedicated");
      host.rounds(ROUNDS + 1, [1, 0], { a: 1 });
      expect(host.moved).toEqual([isLeft ? "a 0>9 hog" : "a 0>1 hog"]);
      expect(host.stopped).toEqual([]);
    }
  });

  test("E2: reported only, where that is the policy", () => {
    host = new Host("report");
    host.add(0, "a");
    host.add(0, "b");
    host.rounds(50, [1, 0], { a: 1 });
    expect(host.moved).toEqual([]);
    expect(host.events.counts().lane_overloaded).toBe(1);
    host.rounds(20, [0, 0]);
    host.rounds(20, [1, 0]);
    expect(host.events.counts().lane_overloaded).toBe(2);
  });

  test("E3: without a hog the busiest go, half of the difference", () => {
    host.rounds(ROUNDS + 1, [1, 0.2], { a: 0.3, b: 0.25, c: 0.2 });
    expect(host.moved).toEqual(["a 0>1 lane_overloaded", "b 0>1 lane_overloaded"]);
  });

  test("E3: while it is not known who uses the lane nobody goes", () => {
    host.rounds(ROUNDS + 4, [1, 0.2], { a: 0.2, b: 0.1 });
    expect(host.moved).toEqual([]);
  });

  test("E3: those with a turn go when it ends; when the lane has recovered they stay", () => {
    for (const id of ["a", "b", "c"]) host.begin(id);
    host.rounds(ROUNDS + 1, [1, 0.2], { a: 0.3, b: 0.25, c: 0.2 });
    host.end("a");
    expect(host.moved).toEqual(["a 0>1 lane_overloaded"]);
    host.rounds(ROUNDS, [0.1, 0.2]);
    host.end("b");
    expect(host.moved).toHaveLength(1);
    expect(host.settled).toBeUndefined();
  });

  test("E4: what has moved rests: a hog does not go to and fro, its neighbours leave it instead, once", () => {
    host.add(1, "d");
    host.rounds(ROUNDS + 1, [1, 0], { a: 1 });
    expect(host.moved).toEqual(["a 0>1 hog"]);
    host.rounds(30, [0, 1], { a: 1 });
    expect(host.moved.slice(1)).toEqual(["d 1>0 neighbour_of_hog"]);
    host.rounds(100, [0, 1], { a: 1 });
    expect(host.moved).toHaveLength(2);
  });

  test("E4: a minute later it may move again", () => {
    host.rounds(ROUNDS + 1, [1, 0], { a: 1 });
    host.rounds(60_000 / ROUND_MS, [0, 0.1]);
    host.add(1, "d");
    host.begin("d");
    host.rounds(ROUNDS + 1, [0, 1], { a: 1 });
    expect(host.moved).toEqual(["a 0>1 hog", "a 1>0 hog"]);
  });

  test("a session that is held is not moved", () => {
    Object.assign(host.now("a"), { queries: 1 });
    Object.assign(host.now("b"), { isHostMode: true });
    host.rounds(ROUNDS + 1, [1, 0], { a: 1 });
    expect(host.moved).toEqual(["c 0>1 neighbour_of_hog"]);
  });
});
