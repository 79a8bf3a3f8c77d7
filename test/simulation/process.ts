/**
 * What stands for a thread in a simulated world: macrotasks in queues of their own. A process that is stalled runs none of them, one that
 * is dead never will.
 */
import type { Timer } from "./simulated-globals.ts";
import type { World } from "./world.ts";

export type Task = () => void;

/** Deliveries to one process, in order: what a port is. Channels are not ordered with each other. */
export class Channel {
  /** At its receiving end. */
  owner: Process;
  readonly #world: World;
  readonly #items: { readonly readyAt: number; readonly run: Task }[] = [];
  /** Nothing is delivered before somebody listens. */
  isOpen: boolean;
  #lastReadyAt = 0;

  constructor(world: World, owner: Process, isOpen = true) {
    this.#world = world;
    this.owner = owner;
    this.isOpen = isOpen;
  }

  /** @param delayMs - milliseconds until it may be delivered, at least */
  post(run: Task, delayMs = 0): void {
    if (!this.owner.isAlive) return;
    if (this.#items.length === 0) this.owner.filled.push(this);
    // FIFO: nothing overtakes.
    this.#lastReadyAt = Math.max(this.#lastReadyAt, this.#world.nowMs + delayMs);
    this.#items.push({ readyAt: this.#lastReadyAt, run });
  }

  /** When its next delivery may be made; infinite when there is none. */
  get readyAt(): number {
    return this.isOpen ? (this.#items[0]?.readyAt ?? Infinity) : Infinity;
  }

  take(): Task {
    const { run } = this.#items.shift() as { run: Task };
    if (this.#items.length === 0) this.#emptied();
    return run;
  }

  clear(): void {
    if (this.#items.length > 0) this.#emptied();
    this.#items.length = 0;
  }

  /** Another process listens to it from now on. */
  moveTo(owner: Process): void {
    if (this.#items.length > 0) {
      this.#emptied();
      owner.filled.push(this);
    }
    this.owner = owner;
  }

  #emptied(): void {
    const { filled } = this.owner;
    filled.splice(filled.indexOf(this), 1);
  }
}

export class Process {
  readonly name: string;
  isAlive = true;
  /** Until then it runs nothing. */
  stalledUntil = 0;
  /** How likely the scheduler is to choose it, against others. */
  weight = 1;
  /** Timers whose time has come. */
  readonly due: Timer[] = [];
  readonly immediates: Task[] = [];
  /** Channels with something to deliver to it. */
  readonly filled: Channel[] = [];
  /** What `process.nextTick` was given: runs before anything else of it. */
  ticks: Task[] = [];
  /** It dies where it stands as soon as it has sent so many more frames. */
  sendsLeft = Infinity;
  /** It dies before the ticks of the macrotask that runs, or runs next. */
  diesBeforeTicks = false;
  /** Told when it is dead, whyever. */
  onDeath: (() => void) | undefined;
  /** An error that nothing caught. */
  onUncaught: (error: unknown) => void;

  constructor(name: string, onUncaught: (error: unknown) => void) {
    this.name = name;
    this.onUncaught = onUncaught;
  }

  /** A frame leaves it. @returns whether it still does */
  sends(): boolean {
    if (this.sendsLeft <= 0) return false;
    this.sendsLeft--;
    return true;
  }

  get isDying(): boolean {
    return this.diesBeforeTicks || this.sendsLeft <= 0;
  }

  channel(world: World, isOpen = true): Channel {
    return new Channel(world, this, isOpen);
  }

  dropTasks(): void {
    this.due.length = 0;
    this.immediates.length = 0;
    this.ticks = [];
    this.filled.length = 0;
  }
}
