/**
 * A world in one thread: simulated processes, one clock, and a scheduler that chooses by a seed who runs next.
 *
 *   S1. The same seed runs the same macrotasks in the same order.
 *   S2. Between two macrotasks the microtask queue is empty. (A step is a callback of Node's own tick queue, which a microtask puts there:
 *       Node runs no tick before V8 has run every microtask, those that microtasks make included.)
 *   S3. A macrotask, its microtasks and its ticks belong to the process that made them: dead, it runs none; stalled, none until then.
 *   S4. Deliveries of one channel keep their order; channels, timers and immediates are not ordered with each other. No timer runs before its time.
 */
import type { Task } from "./process.ts";
import { Process } from "./process.ts";
import type { Random } from "./random.ts";
import type { Timer } from "./simulated-globals.ts";
import { install, microtask, restore } from "./simulated-globals.ts";

const nextTick = process.nextTick.bind(process);

/** Steps of one run, at most: one that needs more does not end. */
const STEPS_MAX = 400_000;
const START_MS = 1_700_000_000_000;

/** How the scheduler treats a run. */
export interface Temper {
  /** Milliseconds a step takes, at most. */
  readonly stepMs: number;
  /** Milliseconds between two looks at the clock in one macrotask, at most. */
  readonly lookMs: number;
  /** Probability that a step changes how likely each process is to be chosen. */
  readonly mood: number;
}

export class World {
  readonly random: Random;
  readonly temper: Temper;
  /** Epoch milliseconds. */
  nowMs = START_MS;
  readonly beganMs = START_MS;
  steps = 0;
  /** Whose code runs. */
  current: Process;
  /** What went wrong first. */
  violation: string | undefined;
  /** Lines of what happened; undefined: not kept. */
  readonly lines: string[] | undefined;
  readonly #nobody = new Process("nobody", (error) => this.violate(`uncaught outside: ${describe(error)}`));
  #processes: Process[] = [];
  readonly #timers: Timer[] = [];
  #timerCount = 0;
  #waiting: { isSo: () => boolean; untilMs: number; everySteps: number; resolve: (isSo: boolean) => void } | undefined;

  constructor(random: Random, temper: Temper, isTraced: boolean) {
    this.random = random;
    this.temper = temper;
    this.lines = isTraced ? [] : undefined;
    this.current = this.#nobody;
    install(this);
  }

  /** Give the globals back. Nothing of this world runs any more. */
  end(): void {
    restore();
    for (const one of this.#processes) one.dropTasks();
    this.#timers.length = 0;
  }

  trace(what: string): void {
    this.lines?.push(`${(this.nowMs - START_MS).toFixed(3)} ${this.current.name}: ${what}`);
  }

  /** An invariant does not hold: the run ends. */
  violate(what: string): void {
    this.trace(`VIOLATION ${what}`);
    this.violation ??= what;
  }

  // ── processes ──

  spawn(name: string, onUncaught: (error: unknown) => void): Process {
    const made = new Process(name, onUncaught);
    this.#processes.push(made);
    return made;
  }

  /** End a process where it stands. */
  kill(victim: Process): void {
    if (!victim.isAlive) return;
    this.trace(`${victim.name} dies`);
    victim.isAlive = false;
    victim.sendsLeft = 0;
    victim.dropTasks();
    this.#processes = this.#processes.filter((one) => one !== victim);
    for (const timer of this.#timers) if (timer.process === victim) timer.isActive = false;
    victim.onDeath?.();
  }

  stall(victim: Process, forMs: number): void {
    victim.stalledUntil = Math.max(victim.stalledUntil, this.nowMs + forMs);
    this.trace(`${victim.name} stalls for ${forMs}`);
  }

  /** What runs until the next step runs as this process, as a macrotask of it would. */
  enter(as: Process): void {
    this.current = as;
  }

  /** @returns timers and immediates a process has, for a look at what it left behind */
  leftOf(one: Process): string[] {
    const timers = [...one.due, ...this.#timers].filter((timer) => timer.process === one && timer.isActive && timer.isReferenced);
    return [
      ...timers.map((timer) => `timer of ${timer.ms} ms${timer.repeats ? ", repeating" : ""}`),
      ...one.immediates.map(() => "immediate"),
    ];
  }

  // ── time and tasks ──

  /** A look at the clock: time may pass between two. */
  look(): number {
    const { lookMs } = this.temper;
    if (lookMs > 0 && this.random.chance(0.2)) this.nowMs += lookMs * this.random.fraction();
    return this.nowMs;
  }

  addTimer(timer: Timer): void {
    timer.at = this.nowMs + timer.ms;
    timer.order = ++this.#timerCount;
    let at = this.#timers.length;
    while (at > 0 && (this.#timers[at - 1] as Timer).at > timer.at) at--;
    this.#timers.splice(at, 0, timer);
  }

  dropTimer(timer: Timer): void {
    const at = this.#timers.indexOf(timer);
    if (at >= 0) this.#timers.splice(at, 1);
  }

  addTick(tick: Task): void {
    this.current.ticks.push(tick);
  }

  /**
   * Let the world go on until the condition holds.
   *
   * @param maxMs - simulated milliseconds
   * @param everySteps - how often it is looked at: for what is dear to look at
   * @returns whether it holds; false: time is over, or an invariant is broken
   */
  until(isSo: () => boolean, maxMs: number, everySteps = 1): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting = { isSo, untilMs: this.nowMs + maxMs, everySteps, resolve };
      this.#next();
    });
  }

  /** S2 */
  readonly #next = (): void => {
    nextTick(this.#step);
  };

  readonly #step = (): void => {
    const { current } = this;
    if (!this.#runTicks(current)) {
      const waiting = this.#waiting;
      if (waiting === undefined) return;
      const isOver = this.violation !== undefined || this.nowMs > waiting.untilMs || this.steps > STEPS_MAX;
      if (isOver || (this.steps % waiting.everySteps === 0 && waiting.isSo())) {
        if (this.steps > STEPS_MAX) this.violate(`more than ${STEPS_MAX} steps`);
        this.#waiting = undefined;
        waiting.resolve(this.violation === undefined && waiting.isSo());
        return;
      }
      this.#runOne(waiting.untilMs);
    }
    microtask(this.#next);
  };

  /** @returns whether there were any */
  #runTicks(one: Process): boolean {
    if (!one.isAlive) one.ticks = []; // what it did after it died has no effect
    if (one.ticks.length === 0) {
      if (one.isAlive && one.sendsLeft <= 0 && one !== this.#nobody) this.kill(one);
      return false;
    }
    if (one.isDying) {
      this.trace("dies before its ticks");
      this.kill(one);
      return true;
    }
    if (one.stalledUntil > this.nowMs) {
      this.current = this.#nobody; // they wait with everything else of it
      return false;
    }
    for (let tick; (tick = one.ticks.shift()) !== undefined;) this.#run(one, tick);
    return true;
  }

  #run(one: Process, task: Task): void {
    try {
      task();
    } catch (error) {
      one.onUncaught(error);
    }
  }

  #runOne(untilMs: number): void {
    this.steps++;
    const { random, temper } = this;
    if (temper.stepMs > 0) this.nowMs += temper.stepMs * random.fraction();
    if (temper.mood > 0 && random.chance(temper.mood)) {
      for (const one of this.#processes) one.weight = random.pick([1, 1, 1, 0.2, 0.02]);
    }
    this.#ring();
    let chosen = this.#choose();
    if (chosen === undefined) {
      this.nowMs = Math.min(this.#nextMs(), untilMs + 1);
      this.#ring();
      chosen = this.#choose();
      if (chosen === undefined) return;
    }
    this.current = chosen;
    if (chosen.ticks.length > 0) return; // of a stall that is over: they come first
    const task = this.#take(chosen);
    this.#run(chosen, task);
  }

  /** Timers whose time has come are due. */
  #ring(): void {
    const timers = this.#timers;
    let count = 0;
    while (count < timers.length && (timers[count] as Timer).at <= this.nowMs) count++;
    if (count === 0) return;
    for (const timer of timers.splice(0, count)) if (timer.isActive) timer.process.due.push(timer);
  }

  #choose(): Process | undefined {
    let sum = 0;
    let only: Process | undefined;
    let count = 0;
    for (const one of this.#processes) {
      if (!this.#isReady(one)) continue;
      sum += one.weight;
      only = one;
      count++;
    }
    if (count <= 1) return only;
    let at = this.random.fraction() * sum;
    for (const one of this.#processes) {
      if (!this.#isReady(one)) continue;
      at -= one.weight;
      if (at < 0) return one;
    }
    return only;
  }

  #isReady(one: Process): boolean {
    if (one.stalledUntil > this.nowMs) return false;
    if (one.due.length > 0 || one.immediates.length > 0 || one.ticks.length > 0) return true;
    for (const channel of one.filled) if (channel.readyAt <= this.nowMs) return true;
    return false;
  }

  #take(one: Process): Task {
    let count = (one.due.length > 0 ? 1 : 0) + (one.immediates.length > 0 ? 1 : 0);
    for (const channel of one.filled) if (channel.readyAt <= this.nowMs) count++;
    let at = count === 1 ? 0 : this.random.below(count);
    if (one.due.length > 0 && at-- === 0) return (one.due.shift() as Timer).fire;
    if (one.immediates.length > 0 && at-- === 0) return one.immediates.shift() as Task;
    for (const channel of one.filled) if (channel.readyAt <= this.nowMs && at-- === 0) return channel.take();
    throw new Error("nothing to take");
  }

  /** When something can run next. */
  #nextMs(): number {
    let nextMs = Infinity;
    const [first] = this.#timers;
    if (first !== undefined) nextMs = first.at;
    for (const one of this.#processes) {
      const { stalledUntil } = one;
      let readyAt = one.due.length > 0 || one.immediates.length > 0 || one.ticks.length > 0 ? 0 : Infinity;
      for (const channel of one.filled) readyAt = Math.min(readyAt, channel.readyAt);
      if (readyAt < Infinity) nextMs = Math.min(nextMs, Math.max(readyAt, stalledUntil));
    }
    return Math.max(nextMs, this.nowMs);
  }
}

export function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
