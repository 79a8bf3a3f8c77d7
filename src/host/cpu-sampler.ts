/**
 * Whose code the busy lanes run: looked at every few milliseconds, without asking them anything (RUNNING_SLOT), and only while one is busy.
 *
 *   X1. Idle lanes cost nothing: no timer runs.
 *   X2. What a session does after an await is not in RUNNING_SLOT; of a lane that is overloaded the lane is asked to mark that too, for
 *       WINDOW_MS, at most once in PAUSE_MS: it costs every promise there.
 */
import type { HostLane } from "./host-lane.ts";
import type { SessionEntry } from "./session-entry.ts";

const SAMPLE_MS = 10;
/** Milliseconds a sample stands for at most: a main that stands still sees nothing. */
const SAMPLE_MAX_MS = 200;
/** Share of a round from which on a lane is looked at. */
const BUSY = 0.5;
/** Share of the time that counts from which on a lane is overloaded. */
export const OVERLOADED = 0.9;
const WINDOW_MS = 1000;
const PAUSE_MS = 10_000;

export class CpuSampler {
  readonly #sessionAt: (lane: HostLane, slot: number) => SessionEntry | undefined;
  readonly #now: () => number;
  #busy: HostLane[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sampledAtMs = 0;
  /** When the window of a lane began that is marking, or marked last. */
  readonly #windows = new WeakMap<HostLane, number>();

  /** @param now - milliseconds of any clock that goes on */
  constructor(sessionAt: (lane: HostLane, slot: number) => SessionEntry | undefined, now: () => number = () => performance.now()) {
    this.#sessionAt = sessionAt;
    this.#now = now;
  }

  /** A round of the supervisor: takes the lanes' times, and looks at those that are busy until the next. */
  round(lanes: Iterable<HostLane>): void {
    this.#busy = [];
    for (const lane of lanes) {
      if (lane.hasEnded) continue;
      lane.load.round(lane.thread.loopTimes(), lane.words.isAttributing());
      if ((lane.load.lastShare ?? 0) >= BUSY) this.#busy.push(lane);
      this.#attribute(lane);
    }
    if (this.#busy.length === 0) this.close();
    else if (this.#timer === undefined) {
      this.#sampledAtMs = this.#now();
      this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
      this.#timer.unref();
    }
  }

  /** X2 */
  #attribute(lane: HostLane): void {
    const nowMs = this.#now();
    const sinceMs = nowMs - (this.#windows.get(lane) ?? -Infinity);
    if (sinceMs < WINDOW_MS) return;
    const begins = sinceMs >= PAUSE_MS && lane.load.isFull && (lane.load.share ?? 0) >= OVERLOADED;
    if (begins) this.#windows.set(lane, nowMs);
    lane.words.attribute(begins);
  }

  #sample(): void {
    const nowMs = this.#now();
    const ms = Math.min(nowMs - this.#sampledAtMs, SAMPLE_MAX_MS);
    this.#sampledAtMs = nowMs;
    for (const lane of this.#busy) {
      const slot = lane.words.runningSlot();
      const entry = slot === undefined ? undefined : this.#sessionAt(lane, slot);
      lane.load.sampled(entry, ms);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
