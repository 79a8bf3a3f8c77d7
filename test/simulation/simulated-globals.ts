/** Timers, immediates, ticks and clocks of a simulated world, in the place of Node's for as long as it lasts. */
import { SEGMENT_BYTES, SLOT_INTS } from "../../src/core/slot-layout.ts";
import type { Process, Task } from "./process.ts";
import type { World } from "./world.ts";

/** What `setTimeout` and `setInterval` give. */
export class Timer {
  readonly process: Process;
  readonly ms: number;
  readonly repeats: boolean;
  readonly #world: World;
  readonly #task: Task;
  at = 0;
  order = 0;
  isActive = true;
  isReferenced = true;

  constructor(world: World, task: Task, ms: number, repeats: boolean) {
    this.#world = world;
    this.process = world.current;
    this.#task = task;
    this.ms = ms >= 1 ? Math.min(ms, 2_147_483_647) : 1;
    this.repeats = repeats;
    world.addTimer(this);
  }

  readonly fire = (): void => {
    if (!this.isActive) return;
    if (this.repeats) this.#world.addTimer(this);
    else this.isActive = false;
    this.#task();
  };

  clear(): void {
    if (!this.isActive) return;
    this.isActive = false;
    this.#world.dropTimer(this);
  }

  refresh(): this {
    this.#world.dropTimer(this);
    this.isActive = true;
    this.#world.addTimer(this);
    return this;
  }

  ref(): this {
    this.isReferenced = true;
    return this;
  }

  unref(): this {
    this.isReferenced = false;
    return this;
  }
}

/**
 * Segments of slot tables are large, a run uses little of one, and nothing of a run that is over touches its own any more: so they are
 * used again. Making them anew took a tenth of all time.
 */
const segments: SharedArrayBuffer[] = [];
let segmentsUsed = 0;
const REUSING = new Proxy(SharedArrayBuffer, {
  construct(real, [bytes]: [number]) {
    if (bytes !== SEGMENT_BYTES) return new real(bytes);
    const segment = (segments[segmentsUsed++] ??= new real(bytes));
    new Uint8Array(segment, 0, CLEARED_BYTES).fill(0);
    return segment;
  },
});
/** Of more slots than a run ever has. */
const CLEARED_BYTES = 256 * SLOT_INTS * Int32Array.BYTES_PER_ELEMENT;

/**
 * The world that runs: what replaces the globals asks it, and is the same for every run. V8 makes a function that is written to the right
 * of an assignment to a property, `a.b = () => c`, in its old generation: what it sees outlives every collection of young objects. One such
 * function kept a whole run, so there is none in what runs for each seed: it is named before it is assigned.
 */
let active!: World;

const run = (task: (...args: unknown[]) => void, args: unknown[]): Task => (args.length === 0 ? task : () => task(...args));
const clear = (timer: unknown): void => {
  if (timer instanceof Timer) timer.clear();
};

/** An immediate that may be cleared. */
interface Immediate {
  (): void;
  isActive: boolean;
}

const now = Promise.resolve();
/** As `queueMicrotask`, without the async resource that Node makes for each. What throws is a rejection that nobody handles. */
export const microtask = (task: Task): void => void now.then(task);

const SIMULATED = {
  setTimeout: (task: Task, ms: number = 1, ...args: unknown[]) => new Timer(active, run(task, args), ms, false),
  setInterval: (task: Task, ms: number = 1, ...args: unknown[]) => new Timer(active, run(task, args), ms, true),
  clearTimeout: clear,
  clearInterval: clear,
  setImmediate: (task: Task, ...args: unknown[]): Immediate => {
    const runs = run(task, args);
    const immediate: Immediate = () => {
      if (immediate.isActive) runs();
    };
    immediate.isActive = true;
    active.current.immediates.push(immediate);
    return immediate;
  },
  clearImmediate: (immediate: Immediate | undefined) => {
    if (immediate !== undefined) immediate.isActive = false;
  },
  queueMicrotask: microtask,
  SharedArrayBuffer: REUSING,
};
const REAL = Object.fromEntries(Object.keys(SIMULATED).map((name) => [name, globalThis[name as keyof typeof SIMULATED]]));
const dateNow = (): number => Math.floor(active.look());
const performanceNow = (): number => active.look() - active.beganMs;
const nextTick = (tick: (...args: unknown[]) => void, ...args: unknown[]): void => active.addTick(run(tick, args));
const realDateNow = Date.now;
// oxlint-disable-next-line typescript/unbound-method -- put back as it was
const realNextTick = process.nextTick;

/** From now on the globals are those of a world. */
export function install(world: World): void {
  active = world;
  segmentsUsed = 0;
  Object.assign(globalThis, SIMULATED);
  Date.now = dateNow;
  Object.defineProperty(performance, "now", { configurable: true, value: performanceNow });
  process.nextTick = nextTick as typeof process.nextTick;
}

export function restore(): void {
  Object.assign(globalThis, REAL);
  Date.now = realDateNow;
  delete (performance as { now?: unknown }).now;
  process.nextTick = realNextTick;
}
