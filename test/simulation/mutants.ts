/**
 * Deliberate breakages, each of one promise: a simulation that does not catch them proves nothing. They change what stands around the
 * product (its store's rows, its ports, the end of its lanes), or a method of it for the time of a run.
 */
import { Permit } from "../../src/core/admission.ts";
import { SlotAllocator } from "../../src/core/slot-allocator.ts";
import { LostTurns } from "../../src/host/lost-turns.ts";
import { TurnTable } from "../../src/host/turn-table.ts";
import { SessionActor } from "../../src/lane/session-actor.ts";
import type { SessionWrite } from "../../src/protocol/stored-session.ts";
import type { MemoryStore } from "../../src/store/memory-store.ts";
import { StoreClient } from "../../src/transport/store-client.ts";
import type { Wiretap } from "./ports.ts";
import { STORE_METHODS } from "./store.ts";

export interface Mutant {
  readonly name: string;
  /** What stands in the place of the store's rows. */
  readonly rows?: (rows: MemoryStore) => MemoryStore;
  /** What arrives in the place of each frame that a lane sends. */
  readonly wiretap?: () => Wiretap;
  readonly tellsEndEarly?: boolean;
  /** Change the product for the time of a run. @returns what puts it back */
  readonly apply?: () => () => void;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "the store forgets a turn that it has acknowledged",
    rows: (rows) => {
      let count = 0;
      return changed(rows, { append: async (write) => (write.ticket !== undefined && ++count % 5 === 0 ? undefined : rows.append(write)) });
    },
  },
  {
    name: "the store takes a write of a lane that was fenced off",
    apply: drainingAtOnce(false), // or there is nothing left to come too late
    rows: (rows) => {
      const renewed = async (write: SessionWrite): Promise<SessionWrite> => {
        const head = await rows.head(write.id);
        return head === undefined ? write : { ...write, epoch: head.epoch, version: head.version };
      };
      return changed(rows, { append: async (write) => rows.append(await renewed(write)) });
    },
  },
  { name: "what a lost lane has sent to the store is not waited for", apply: drainingAtOnce(true) },
  { name: "the end of a lane is told before its last frames are", tellsEndEarly: true },
  { name: "a frame of a lane is lost", wiretap: every(20, () => []) },
  { name: "what a lane says it says twice", wiretap: every(3, (frame) => [frame, frame.slice()]) },
  { name: "a permit is not given back", apply: replacing(Permit.prototype, "release", everyNth(5)) },
  { name: "a slot is not given back", apply: replacing(SlotAllocator.prototype, "release", everyNth(5)) },
  {
    name: "an interrupt of a turn that has ended hits the one that runs",
    apply: () => {
      // oxlint-disable-next-line typescript/unbound-method -- called with their own `this`
      const { start, find } = TurnTable.prototype;
      const newest = new Map<string, number>();
      TurnTable.prototype.start = function (entry, ticket, ...rest) {
        newest.set(entry.id, ticket);
        return start.call(this, entry, ticket, ...rest);
      };
      TurnTable.prototype.find = function (id, ticket) {
        return find.call(this, id, ticket) ?? find.call(this, id, newest.get(id) ?? ticket);
      };
      return () => Object.assign(TurnTable.prototype, { start, find });
    },
  },
  {
    name: "two turns of a session are admitted, and run at once",
    apply: () => {
      const admits = replacing(
        TurnTable.prototype,
        "admit",
        () =>
          function (this: TurnTable) {
            return this.nextTicket();
          },
      )();
      const isIdle = Object.getOwnPropertyDescriptor(SessionActor.prototype, "isIdle") as PropertyDescriptor;
      Object.defineProperty(SessionActor.prototype, "isIdle", { configurable: true, get: () => true });
      return () => {
        admits();
        Object.defineProperty(SessionActor.prototype, "isIdle", isIdle);
      };
    },
  },
  {
    name: "a turn whose lane is lost is said not to be saved, whatever the store has",
    apply: replacing(
      LostTurns.prototype,
      "settle",
      () =>
        function (_lane, turns, why) {
          for (const turn of turns) turn.failWith(why(turn.entry.id));
        },
    ),
  },
];

/** @returns a change after which a lane's port to the store is said to be drained, or not, without a look */
function drainingAtOnce(isDrained: boolean): () => () => void {
  return replacing(
    StoreClient.prototype,
    "call",
    (call) =>
      function (this: StoreClient, method, ...args) {
        return method === "laneDrained" ? (Promise.resolve(isDrained) as never) : call.apply(this, [method, ...args] as never);
      } as StoreClient["call"],
  );
}

/** @returns a store over the same rows with some calls changed */
function changed(rows: MemoryStore, calls: Partial<MemoryStore>): MemoryStore {
  const store: Record<string, unknown> = { events: rows.events };
  for (const name of STORE_METHODS) store[name] = rows[name].bind(rows);
  return { ...store, ...calls } as unknown as MemoryStore;
}

function every(nth: number, instead: Wiretap): () => Wiretap {
  return () => {
    let count = 0;
    return (frame) => (++count % nth === 0 ? instead(frame) : [frame]);
  };
}

/** @returns a way to put something else in the place of a method, for as long as it takes */
function replacing<T extends object, M extends keyof T>(prototype: T, name: M, change: (method: T[M]) => T[M]): () => () => void {
  return () => {
    const method = prototype[name];
    prototype[name] = change(method);
    return () => {
      prototype[name] = method;
    };
  };
}

/** @returns a change after which a method does nothing every so often */
function everyNth<A extends unknown[]>(nth: number): (method: (...args: A) => void) => (...args: A) => void {
  return (method) => {
    let count = 0;
    return function (this: unknown, ...args: A) {
      if (++count % nth !== 0) method.apply(this, args);
    };
  };
}
