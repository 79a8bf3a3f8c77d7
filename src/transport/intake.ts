/**
 * Shares a thread's time between frames that arrive and everything else its loop has to do. Node hands over all messages that wait in a
 * port, a thousand and more, before the loop turns; each may be a frame of hundreds of records. Here they are taken cheaply, and
 * processed no longer than a slice in one turn of the loop. One intake a thread, shared by its ports.
 *
 *   F1. Frames, segments and closes come out in the order they arrived, over all ports; so the close of a port comes behind its frames.
 *   F2. Between two of them every microtask runs, as if each came from the loop: a slice counts what its listeners started.
 *   F3. A slice over its time lets the loop turn before the next one.
 *   F4. The thread is behind from the moment a frame has waited here for LAG_MAX_MS, until none waits longer than LAG_LOW_MS.
 */

/** Milliseconds of frames between two turns of the loop. */
const SLICE_MS = 8;
/** Milliseconds a frame may wait before the thread is taken for behind, and below which it is not any more. */
export const LAG_MAX_MS = 50;
const LAG_LOW_MS = 10;
/** Items given out before the queue is moved to the front of its array. */
const COMPACT_AT = 1024;

/** Takes what a port received. */
export type Sink = (item: unknown) => void;

interface Waiting {
  readonly sink: Sink;
  readonly item: unknown;
  readonly arrivedMs: number;
}

export class Intake {
  readonly #nowMs: () => number;
  #queue: (Waiting | undefined)[] = [];
  #head = 0;
  /** When the slice that is open ends; 0: none is. */
  #endsMs = 0;
  #isDraining = false;
  #isBehind = false;
  readonly #endSlice = (): void => {
    if (!this.#isDraining) this.#endsMs = 0;
  };
  readonly #drain = (): void => {
    const nowMs = this.#nowMs();
    this.#endsMs = nowMs + SLICE_MS;
    this.#next(nowMs);
  };
  readonly #checkpoint = (): void => {
    process.nextTick(this.#afterItem);
  };
  readonly #afterItem = (): void => {
    const nowMs = this.#nowMs();
    if (this.waiting === 0) {
      this.#isDraining = false;
      this.#endsMs = 0;
    } else if (nowMs < this.#endsMs) this.#next(nowMs);
    else setImmediate(this.#drain);
  };

  /** @param nowMs - a monotonic clock */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** What arrived and was not given out yet. */
  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  /** F4 */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Milliseconds the oldest has waited. @param nowMs - of the intake's clock */
  lagMs(nowMs: number = this.#nowMs()): number {
    const oldest = this.#queue[this.#head];
    return oldest === undefined ? 0 : nowMs - oldest.arrivedMs;
  }

  /** Something arrived: `sink` gets it, now or later. Call it from the loop, not from within a sink. */
  take(sink: Sink, item: unknown): void {
    const nowMs = this.#nowMs();
    if (this.#endsMs === 0 && !this.#isDraining) {
      this.#endsMs = nowMs + SLICE_MS;
      setImmediate(this.#endSlice); // runs behind the poll phase that hands the messages over
    }
    if (!this.#isDraining && nowMs < this.#endsMs) {
      sink(item);
      return;
    }
    this.#queue.push({ sink, item, arrivedMs: nowMs });
    this.#look(nowMs);
    if (this.#isDraining) return;
    this.#isDraining = true;
    setImmediate(this.#drain);
  }

  /** F4 */
  #look(nowMs: number): void {
    const lagMs = this.lagMs(nowMs);
    if (lagMs >= LAG_MAX_MS) this.#isBehind = true;
    else if (lagMs <= LAG_LOW_MS) this.#isBehind = false;
  }

  #next(nowMs: number): void {
    const { sink, item } = this.#queue[this.#head] as Waiting;
    this.#queue[this.#head++] = undefined;
    if (this.#head === this.#queue.length || this.#head >= COMPACT_AT) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.#look(nowMs);
    // From a microtask, nextTick runs once the microtask queue is empty (F2). Asked for first: a sink may throw.
    queueMicrotask(this.#checkpoint);
    sink(item);
  }
}
