/**
 * Runs turns of many sessions: those of one session one after the other, different sessions at the same time, and never more of them
 * in memory than the look-ahead allows.
 *
 *   Q1. Turns of a session start in the order they were added, each when those before it have settled; an eager one when they have
 *       started.
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
  readonly isEager: boolean;
}

/** A session with a running turn. */
interface Busy<T> {
  running: number;
  /** What waits behind. */
  readonly queue: Held<T>[];
}

export class TurnScheduler<T> {
  readonly #lookAhead: LookAhead;
  readonly #run: (turn: T) => Promise<void>;
  readonly #busy = new Map<string, Busy<T>>();
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

  /** Sessions with a turn running now. */
  get running(): number {
    return this.#busy.size;
  }

  /** Turns running or queued. */
  get held(): number {
    return this.#held;
  }

  /**
   * Add a turn. Waits while the look-ahead is full.
   *
   * @param bytes - how much of the look-ahead it takes
   * @param isEager - it does not wait for those before it to settle (Q1)
   * @returns false when the scheduler was stopped, before or while it waited: the turn will not run
   */
  async add(session: string, bytes: number, turn: T, isEager = false): Promise<boolean> {
    while (!this.#isStopped && !this.#hasRoom(bytes)) await this.#change();
    if (this.#isStopped) return false;
    this.#held++;
    this.#heldBytes += bytes;
    const busy = this.#busy.get(session) ?? { running: 0, queue: [] };
    this.#busy.set(session, busy);
    busy.queue.push({ turn, bytes, isEager });
    this.#start(session, busy);
    return true;
  }

  /** Start nothing more. Running turns go on; queued ones are dropped. */
  stop(): void {
    this.#isStopped = true;
    for (const { queue } of this.#busy.values()) for (const { bytes } of queue.splice(0)) this.#release(bytes);
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

  /** Start what may start of the session's turns (Q1); with none left it is forgotten (Q4). */
  #start(session: string, busy: Busy<T>): void {
    const { queue } = busy;
    for (let next = queue[0]; next !== undefined && (busy.running === 0 || next.isEager); next = queue[0]) {
      queue.shift();
      busy.running++;
      void this.#settle(next).then(() => {
        busy.running--;
        this.#start(session, busy);
      });
    }
    if (busy.running === 0) this.#busy.delete(session);
  }

  async #settle({ turn, bytes }: Held<T>): Promise<void> {
    try {
      await this.#run(turn);
    } catch (error) {
      this.#failure ??= { error };
      this.stop();
    }
    this.#release(bytes);
    this.#changed();
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
