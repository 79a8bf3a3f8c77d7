import { afterEach, describe, expect, test, vi } from "vitest";

import { Capacity } from "../../src/core/admission.ts";
import { LaneWords } from "../../src/core/lane-words.ts";
import { SlotTable } from "../../src/core/slot-table.ts";
import { lockHolder, tryLock } from "../../src/core/turn-lock.ts";
import { Hibernation } from "../../src/host/hibernation.ts";
import { KeptEntry } from "../../src/host/kept-entry.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import type { SessionRegistry } from "../../src/host/session-registry.ts";

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const TURN = 7;

/** A host with so many live sessions as it may have. */
class Host {
  readonly table = new SlotTable();
  readonly capacity: Capacity;
  readonly words = new LaneWords();
  readonly sessions: SessionEntry[] = [];
  readonly failed: string[] = [];
  readonly hibernation: Hibernation;
  /** How a lane answers; a session that falls asleep has left when this is settled. */
  save: (entry: SessionEntry) => Promise<unknown> = async () => null;
  readonly #gone = new Map<SessionEntry, Promise<void>>();

  constructor(count: number, afterMs?: number) {
    this.table.addSegment();
    this.capacity = new Capacity(count);
    this.words.beat(Date.now());
    const registry = {
      capacity: this.capacity,
      leaving: {
        [Symbol.iterator]: () => this.sessions.filter(({ state }) => state === "hibernating").values(),
      },
      hibernate: (entry: SessionEntry) => {
        entry.state = "hibernating";
        if (entry.kept !== undefined) this.hibernation.gone(entry.kept);
      },
    } as unknown as SessionRegistry;
    this.hibernation = new Hibernation({
      table: this.table,
      registry,
      afterMs,
      query: (entry) => {
        const saved = this.save(entry);
        const left = (): void => {
          entry.state = "gone";
          entry.permit.release();
        };
        this.#gone.set(entry, saved.then(left, left));
        return saved;
      },
      onFailed: ({ id }) => this.failed.push(id),
    });
    for (let slot = 0; slot < count; slot++) {
      this.table.claim(slot);
      const permit = this.capacity.tryTake();
      const entry = { id: `s${slot}`, slot, generation: 1, state: "live", queries: 0, permit, lane: { words: this.words } } as SessionEntry;
      entry.kept = new KeptEntry(entry, { epoch: 1, request: {} }, 0);
      this.hibernation.used(entry.kept, slot);
      this.sessions.push(entry);
    }
  }

  session(number: number): SessionEntry {
    return this.sessions[number] as SessionEntry;
  }

  room(): Promise<unknown> {
    return this.hibernation.makeRoom(async (entry) => this.#gone.get(entry));
  }

  get states(): string[] {
    return this.sessions.map(({ state }) => state);
  }
}

afterEach(() => {
  vi.useRealTimers();
});

describe("Hibernation", () => {
  test("when the host closes nobody is put to sleep for room any more", async () => {
    const host = new Host(2);
    let fail!: (error: Error) => void;
    host.save = () => new Promise((_, reject) => (fail = reject));
    const room = host.room();
    expect(host.states).toEqual(["hibernating", "live"]);
    host.hibernation.close();
    host.capacity.tryTake = () => undefined; // whoever came first has what it leaves
    fail(new Error("its lane has ended"));
    expect(await room).toBeUndefined();
    expect(host.states).toEqual(["gone", "live"]);
  });

  test("I1: the lock is taken before the call returns, so no turn is admitted from then on", () => {
    const host = new Host(1);
    void host.hibernation.hibernate(host.session(0));
    expect(tryLock(host.table, 0, TURN)).toBe(false);
    expect(host.session(0).state).toBe("hibernating");
  });

  test("I1: a session whose turn runs, or that sleeps already, is busy, and nothing of it is touched", async () => {
    const host = new Host(2);
    tryLock(host.table, 0, TURN);
    await expect(host.hibernation.hibernate(host.session(0))).rejects.toMatchObject({ code: "SESSION_BUSY" });
    expect([host.session(0).state, lockHolder(host.table, 0)]).toEqual(["live", TURN]);
    await host.hibernation.hibernate(host.session(1));
    await expect(host.hibernation.hibernate(host.session(1))).rejects.toMatchObject({ code: "SESSION_BUSY" });
    expect(host.hibernation.count).toBe(1);
  });

  test("what could not be saved is told to who asked for the nap", async () => {
    const host = new Host(1);
    host.save = () => Promise.reject(new Error("disk"));
    await expect(host.hibernation.hibernate(host.session(0))).rejects.toThrow("disk");
    expect(host.failed).toEqual([]);
  });

  test("I2: the one used least recently makes room; what was used meanwhile stays", async () => {
    const host = new Host(3);
    host.hibernation.used(host.session(0).kept as KeptEntry, 10);
    expect(await host.room()).toBeDefined();
    expect(host.states).toEqual(["live", "gone", "live"]);
    expect(await host.room()).toBeDefined();
    expect(host.states).toEqual(["live", "gone", "gone"]);
  });

  test("I2: those that run, are asked something, have handles or are in host mode are passed over; with none left there is no room", async () => {
    const host = new Host(5);
    tryLock(host.table, 0, TURN);
    host.session(1).queries = 1;
    host.session(2).remotes = new Map([["eventInjector", {} as never]]);
    host.session(3).isHostMode = true;
    host.hibernation.gone(host.session(3).kept as KeptEntry);
    expect(await host.room()).toBeDefined();
    expect(host.states).toEqual(["live", "live", "live", "live", "gone"]);
    expect(await host.room()).toBeUndefined();
  });

  test("I2: sessions of a lane whose loop stands still are passed over", async () => {
    const host = new Host(1);
    host.words.beat(Date.now() - 5000);
    expect(await host.room()).toBeUndefined();
    host.words.beat(Date.now());
    expect(await host.room()).toBeDefined();
  });

  test("many who need room at once get a session each, none of which is asked twice", async () => {
    const host = new Host(4);
    let asked = 0;
    host.save = async () => {
      asked++;
      await soon();
      return null;
    };
    const rooms = await Promise.all(Array.from({ length: 6 }, () => host.room()));
    expect(rooms.filter((permit) => permit !== undefined)).toHaveLength(4);
    expect(asked).toBe(4);
  });

  test("I2: one that is falling asleep already makes room, too", async () => {
    const host = new Host(1);
    host.save = soon;
    const asleep = host.hibernation.hibernate(host.session(0));
    expect(await host.room()).toBeDefined();
    await asleep;
    expect(await host.room()).toBeUndefined();
  });

  test("one that could not be saved as it made room is told of, and makes room all the same", async () => {
    const host = new Host(1);
    host.save = () => Promise.reject(new Error("disk"));
    expect(await host.room()).toBeDefined();
    expect(host.failed).toEqual(["s0"]);
  });

  test("one that does not leave is given up, and another one goes", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const host = new Host(2);
    host.save = ({ id }) => (id === "s0" ? new Promise(() => {}) : Promise.resolve(null));
    const room = host.room();
    await soon();
    expect(host.states).toEqual(["hibernating", "live"]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(await room).toBeDefined();
    expect(host.states).toEqual(["hibernating", "gone"]);
  });

  test("sessions that are idle for long sleep, others do not, and none does when the host has closed", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
    const host = new Host(3, 100);
    const now = Date.now();
    host.words.beat(now);
    for (const [i, { kept }] of host.sessions.entries()) host.hibernation.used(kept as KeptEntry, now + i * 60);
    vi.advanceTimersByTime(150);
    host.words.beat(Date.now());
    await soon();
    expect(host.states.slice(1)).toEqual(["live", "live"]);
    expect(host.session(0).state).not.toBe("live");
    vi.advanceTimersByTime(50);
    expect(host.session(1).state).not.toBe("live");
    host.hibernation.close();
    vi.advanceTimersByTime(1000);
    expect(host.session(2).state).toBe("live");
  });
});
