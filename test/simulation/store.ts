/**
 * The store of a simulated host: its rows outlive the process, what is on its way to them may not.
 *
 *   C1. Calls take effect in the order in which they were made, each at once and whole (B2, B5 of the store's contract).
 *   C2. A call that was answered without an error has had its effect. (What breaks B1, an effect that is answered with an error, is
 *       noted: such a turn's outcome is in doubt.)
 */
import type { StoreSeat } from "../../src/host/store-thread.ts";
import { StoreError } from "../../src/protocol/store-error.ts";
import type { SessionWrite } from "../../src/protocol/stored-session.ts";
import type { MemoryStore } from "../../src/store/memory-store.ts";
import { StoreServer } from "../../src/store/serve-store.ts";
import type { EventStore, KeyedTurnStore, SessionStore } from "../../src/store/session-store.ts";
import { PortTransport } from "../../src/transport/port-transport.ts";
import type { Faults } from "./faults.ts";
import type { SimulatedPort } from "./ports.ts";
import { portPair } from "./ports.ts";
import type { Process } from "./process.ts";
import { describe } from "./world.ts";
import type { World } from "./world.ts";
import type { Delay } from "./ports.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const WRITES = ["create", "append", "rewrite", "archive", "remove", "putContext", "open", "fence"] as const;
const READS = ["head", "messages", "list", "context"] as const;
export const STORE_METHODS = [...WRITES, ...READS] as const;

/** @returns the store as one thread has it: `rows` behind everything that can go wrong */
function faulty(rows: MemoryStore, world: World, faults: Faults): SessionStore {
  const { random } = world;
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let isClosed = false;

  const call = async (name: string, isWrite: boolean, ticket: number | undefined, effect: () => Promise<unknown>): Promise<unknown> => {
    if (isClosed) throw new StoreError("closed", "the store is closed");
    const { errorBefore, errorAfter, stall, slow } = faults.store;
    const fails = faults.happens(random, errorBefore);
    const stallMs = faults.happens(random, stall) ? random.pick([50, 400, 2000, 35_000]) : 0;
    const beforeMs = stallMs > 0 ? stallMs : faults.happens(random, slow) ? random.pick([1, 5, 30]) : 0;
    const afterMs = isWrite && faults.happens(random, slow) ? random.pick([0, 1, 5, 30]) : undefined;
    if (stallMs > 0) faults.saw(stallMs > 30_000 ? "fault: store stalls beyond the limit" : "fault: store stalls");
    let done: Promise<unknown>;
    if (waiting === 0 && beforeMs === 0) done = fails ? refuse(name) : effect();
    else {
      waiting++;
      done = last.then(async () => {
        if (beforeMs > 0 && !faults.isOver) await sleep(beforeMs); // one that has begun takes its time
        waiting--;
        return fails ? refuse(name) : effect();
      });
      last = done.catch(() => {});
    }
    const value = await done;
    if (afterMs !== undefined) await sleep(afterMs);
    if (isWrite && name !== "open" && faults.happens(random, errorAfter)) {
      faults.saw("fault: store errs after the write");
      if (ticket !== undefined) faults.doubtful.add(ticket);
      throw new StoreError("io", `${name}: simulated, after`);
    }
    return value;
  };
  const refuse = (name: string): Promise<never> => {
    faults.saw("fault: store errs before the write");
    return Promise.reject(new StoreError("io", `${name}: simulated, before`));
  };

  const store: Record<string, unknown> = {};
  for (const name of STORE_METHODS) {
    const isWrite = (WRITES as readonly string[]).includes(name);
    const method = rows[name].bind(rows) as (...args: unknown[]) => Promise<unknown>;
    const faultyMethod = (...args: unknown[]): Promise<unknown> =>
      call(name, isWrite, (args[0] as Partial<SessionWrite>).ticket, () => method(...args));
    store[name] = faultyMethod;
  }
  const { events, keyedTurns } = rows;
  const keyed: KeyedTurnStore = {
    find: (...args) => call("keyedTurn", false, undefined, () => keyedTurns.find(...args)) as ReturnType<KeyedTurnStore["find"]>,
    keys: (...args) => call("turnKeys", false, undefined, () => keyedTurns.keys(...args)) as ReturnType<KeyedTurnStore["keys"]>,
  };
  const logged: EventStore = {
    append: (write) => call("events", true, undefined, () => events.append(write)) as ReturnType<EventStore["append"]>,
    readFrom: (...args) => call("events", false, undefined, () => events.readFrom(...args)) as ReturnType<EventStore["readFrom"]>,
    last: (...args) => call("events", false, undefined, () => events.last(...args)) as ReturnType<EventStore["last"]>,
  };
  // The rows outlive the thread: closing it lets go of nothing.
  const close = async (): Promise<void> => {
    await last;
    isClosed = true;
  };
  return { ...(store as unknown as SessionStore), events: logged, keyedTurns: keyed, close };
}

/** The process that runs a store, and what main has of it. */
export class SimulatedStore {
  readonly process: Process;
  readonly seat: StoreSeat;

  constructor(world: World, main: Process, rows: MemoryStore, faults: Faults, delay: Delay) {
    const thread = world.spawn("store", (error) => world.violate(`uncaught in the store's thread: ${describe(error)}`));
    this.process = thread;
    let onEnded!: () => void;
    const ended = new Promise<void>((resolve) => (onEnded = resolve));
    const toMain = main.channel(world);
    const toThread = thread.channel(world);
    const ports: SimulatedPort[] = [];
    const onDeath = (): void => {
      for (const port of ports) port.died();
      toMain.post(onEnded, delay());
    };
    thread.onDeath = onDeath;
    const server = new StoreServer(faulty(rows, world, faults), () => world.kill(thread));
    const connect = (connection: number | undefined): SimulatedPort => {
      const [near, far] = portPair(world, main, thread, delay);
      ports.push(far);
      if (!thread.isAlive) far.died();
      toThread.post(() => server.serve(new PortTransport(far.asPort), connection), delay());
      return near;
    };
    this.seat = {
      has: { events: true, runtimes: false, keyedTurns: true, answers: false },
      ended,
      connect: (connection) => connect(connection).asPort,
    };
  }
}
