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

const REPLACED = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "clearImmediate"] as const;

/**
 * Segments of slot tables are large, a run uses little of one, and nothing of a run that is over touches its own any more: so they are
 * used again. Making them anew took a tenth of all time.
 */
const RealSharedArrayBuffer = SharedArrayBuffer;
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

export class Simulated {
  readonly #world: World;
  readonly #real = new Map<string, unknown>();
  readonly #dateNow = Date.now;
  // oxlint-disable-next-line typescript/unbound-method -- put back as it was
  readonly #nextTick = process.nextTick;

  constructor(world: World) {
    this.#world = world;
  }

  install(): void {
    segmentsUsed = 0;
    const world = this.#world;
    const timer =
      (repeats: boolean) =>
      (task: (...args: unknown[]) => void, ms: number = 1, ...args: unknown[]): Timer =>
        new Timer(world, args.length === 0 ? task : () => task(...args), ms, repeats);
    const clear = (timer: unknown): void => {
      if (timer instanceof Timer) timer.clear();
    };
    const simulated: Record<(typeof REPLACED)[number], unknown> = {
      setTimeout: timer(false),
      setInterval: timer(true),
      clearTimeout: clear,
      clearInterval: clear,
      setImmediate: (task: (...args: unknown[]) => void, ...args: unknown[]) => {
        const run = (): void => {
          if (run.isActive) task(...args);
        };
        run.isActive = true;
        world.current.immediates.push(run);
        return run;
      },
      clearImmediate: (run: { isActive: boolean } | undefined) => {
        if (run !== undefined) run.isActive = false;
      },
    };
    for (const name of REPLACED) {
      this.#real.set(name, globalThis[name]);
      Object.assign(globalThis, { [name]: simulated[name] });
    }
    globalThis.SharedArrayBuffer = REUSING;
    const began = world.nowMs;
    Date.now = () => Math.floor(world.look());
    Object.defineProperty(performance, "now", { configurable: true, value: () => world.look() - began });
    process.nextTick = ((tick: (...args: unknown[]) => void, ...args: unknown[]) =>
      world.addTick(args.length === 0 ? (tick as Task) : () => tick(...args))) as typeof process.nextTick;
  }

  restore(): void {
    for (const [name, real] of this.#real) Object.assign(globalThis, { [name]: real });
    globalThis.SharedArrayBuffer = RealSharedArrayBuffer;
    Date.now = this.#dateNow;
    delete (performance as { now?: unknown }).now;
    process.nextTick = this.#nextTick;
  }
}
