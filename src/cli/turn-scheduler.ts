/**
 * Runs turns of many sessions: those of one session one after the other, different sessions at the same time, and never more of them
 * in memory than the look-ahead allows.
 *
 *   Q1. Turns of a session start in the order they were added, each when the one before has settled.
 *   Q2. Turns added and not settled stay within the look-ahead, in number and in bytes; a turn larger than all of it goes alone.
 *   Q3. What is held always contains a running turn, so whoever waits for room gets it: one session that fills the whole look-ahead
 *       slows the reading down, it does not stop it.
 *   Q4. A session that has nothing left is forgotten.
 */

/** How much may be held, running and queued. */
export interface LookAhead {
  readonly turns: number;
  /** Of input. */
  readonly bytes: number;
}

interface Held<T> {
  readonly turn: T;
  readonly bytes: number;
}

export class TurnScheduler<T> {
  readonly #lookAhead: LookAhead;
  readonly #run: (turn: T) => Promise<void>;
  /** By session with a running turn: what waits behind it. */
  readonly #queues = new Map<string, Held<T>[]>();
  #held = 0;
  #heldBytes = 0;
  #isStopped = false;
  #failure: { readonly error: unknown } | undefined;
  #waiting: (() => void)[] = [];

  /** @param run - runs one turn. What it throws is a bug: the scheduler stops, and `idle` rejects with it */
  constructor(lookAhead: LookAhead, run: (turn: T) => Promise<void>) {
    this.#lookAhead = lookAhead;
    this.#run = run;
  }

  /** Turns running now. */
  get running(): number {
    return this.#queues.size;
  }

  /** Turns running or queued. */
  get held(): number {
    return this.#held;
  }

  /**
   * Add a turn. Waits while the look-ahead is full.
   *
   * @param bytes - how much of the look-ahead it takes
   * @returns false when the scheduler was stopped, before or while it waited: the turn will not run
   */
  async add(session: string, bytes: number, turn: T): Promise<boolean> {
    while (!this.#isStopped && !this.#hasRoom(bytes)) await this.#change();
    if (this.#isStopped) return false;
    this.#held++;
    this.#heldBytes += bytes;
    const queue = this.#queues.get(session);
    if (queue === undefined) void this.#drive(session, { turn, bytes });
    else queue.push({ turn, bytes });
    return true;
  }

  /** Start nothing more. Running turns go on; queued ones are dropped. */
  stop(): void {
    this.#isStopped = true;
    for (const queue of this.#queues.values()) for (const { bytes } of queue.splice(0)) this.#release(bytes);
    this.#changed();
  }

  /** Resolves when nothing is held. */
  async idle(): Promise<void> {
    while (this.#held > 0) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #hasRoom(bytes: number): boolean {
    return this.#held === 0 || (this.#held < this.#lookAhead.turns && this.#heldBytes + bytes <= this.#lookAhead.bytes);
  }

  /** The session's turns from `first` on, until none is left. */
  async #drive(session: string, first: Held<T>): Promise<void> {
    const queue: Held<T>[] = [];
    this.#queues.set(session, queue);
    for (let next: Held<T> | undefined = first; next !== undefined; next = queue.shift()) {
      try {
        await this.#run(next.turn);
      } catch (error) {
        this.#failure ??= { error };
        this.stop();
      }
      this.#release(next.bytes);
      this.#changed();
    }
    this.#queues.delete(session);
  }

  #release(bytes: number): void {
    this.#held--;
    this.#heldBytes -= bytes;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
