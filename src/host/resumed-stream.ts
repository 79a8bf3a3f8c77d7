/**
 * A subscription that begins in the event log and goes on live, without gap or duplicate.
 *
 *   Q1. Events come in the order of their numbers, each once. What is missing between two of them is neither in the log nor in the ring, and
 *       a marker says so.
 *   Q2. A reader that is too slow for the live ring goes back to the log: it loses nothing that is there.
 */
import type { EventEnvelope } from "../protocol/events.ts";
import type { EventHistory, Position } from "./event-history.ts";
import { gapEnvelope } from "./event-ring.ts";
import type { SessionEventStream, Subscription } from "./session-event-stream.ts";
import { READS_MAX, tooManyReads } from "./session-event-stream.ts";

type Step = IteratorResult<EventEnvelope, undefined>;

export class ResumedStream implements SessionEventStream {
  readonly #live: Subscription;
  readonly #history: EventHistory;
  readonly #sourceId: string;
  /** Number of the last event given; undefined until the cursor has been looked at. */
  #last: number | undefined;
  /** Numbers up to this one were undone, and that has been told: that they are missing is not told again. */
  #undoneTo = 0;
  /** From the log, not yet given. */
  #page: EventEnvelope[] = [];
  /** From the live ring, ahead of what was given last. */
  #ahead: EventEnvelope | undefined;
  /** Something may be in the log that has not been read. */
  #isBehind = true;
  #failure: unknown;
  #reading: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** Reads that wait. */
  #waiting = 0;
  #hasLeft = false;

  constructor(sourceId: string, live: Subscription, history: EventHistory) {
    this.#sourceId = sourceId;
    this.#live = live;
    this.#history = history;
  }

  get closed(): boolean {
    return this.#hasLeft || this.#failure !== undefined || (this.#live.closed && !this.#isBehind);
  }

  async begin(): Promise<void> {
    if (this.#last === undefined) await this.#catchUp();
    if (this.#failure !== undefined) throw this.#failure;
  }

  tryNext(): EventEnvelope | undefined {
    if (this.#hasLeft || this.#waiting > 0) return undefined; // whatever comes is theirs who wait
    const envelope = this.#take();
    if (envelope === undefined && this.#isBehind && this.#failure === undefined) this.#catchUp().catch(() => {}); // `next` tells
    return envelope;
  }

  next(): Promise<Step> {
    if (this.#waiting >= READS_MAX) return Promise.reject(tooManyReads());
    this.#waiting++;
    const step = this.#turn.then(() => this.#next()).finally(() => this.#waiting--);
    this.#turn = step.catch(() => {}); // its own reader is told
    return step;
  }

  async #next(): Promise<Step> {
    while (!this.#hasLeft) {
      const envelope = this.#take();
      if (envelope !== undefined) return { done: false, value: envelope };
      if (this.#failure !== undefined) throw this.#leaveFor(this.#failure);
      if (this.#isBehind) await this.#catchUp();
      else {
        const step = await this.#live.next();
        if (step.done === true) break;
        this.#consider(step.value);
      }
    }
    return { done: true, value: undefined };
  }

  /** The failure is told once. */
  #leaveFor(failure: unknown): unknown {
    this.#leave();
    return failure;
  }

  /** The next event that is at hand. */
  #take(): EventEnvelope | undefined {
    const fromLog = this.#page[0];
    if (fromLog !== undefined) {
      const live = this.#isAfterGap(fromLog) ? this.#lookAhead() : undefined;
      if (live !== undefined && live.seq < fromLog.seq) return this.#giveAhead(live); // it never came into the log
      const given = this.#giveAcrossGap(fromLog);
      if (given === fromLog) this.#page.shift();
      return given;
    }
    const live = this.#isBehind ? undefined : this.#lookAhead();
    return live === undefined || this.#isBehind ? undefined : this.#giveAhead(live);
  }

  /** The oldest event in the ring that has not been given; it stays where it is. */
  #lookAhead(): EventEnvelope | undefined {
    if (this.#ahead !== undefined && this.#ahead.seq > (this.#last ?? 0)) return this.#ahead;
    this.#ahead = undefined;
    for (let live; this.#ahead === undefined && (live = this.#live.tryNext()) !== undefined;) this.#consider(live);
    return this.#ahead;
  }

  #giveAhead(live: EventEnvelope): EventEnvelope {
    const given = this.#giveAcrossGap(live);
    if (given === live) this.#ahead = undefined;
    return given;
  }

  /** A live event is the next one, or an old one, or tells that others are missing: then the log is asked first. */
  #consider(live: EventEnvelope): void {
    const last = this.#last ?? 0;
    if (live.seq === 0) this.#isBehind = true;
    else if (live.seq > last) {
      this.#ahead = live;
      if (live.seq > last + 1) this.#isBehind = true;
    }
  }

  #isAfterGap({ seq }: EventEnvelope): boolean {
    return seq > (this.#last ?? 0) + 1;
  }

  /** @returns the event, or a marker of those before it that are nowhere: the log has been asked */
  #giveAcrossGap(envelope: EventEnvelope): EventEnvelope {
    const { seq } = envelope;
    if (seq === 0) return envelope;
    const last = this.#last ?? 0;
    const from = seq > this.#undoneTo ? Math.max(last, this.#undoneTo) : last;
    const missing = seq - from - 1;
    this.#last = missing > 0 ? seq - 1 : seq;
    return missing > 0 ? gapEnvelope(this.#sourceId, missing) : envelope;
  }

  #catchUp(): Promise<void> {
    return (this.#reading ??= this.#read().finally(() => (this.#reading = undefined)));
  }

  /** Read on in the log. Nothing more there: the live ring is next. */
  async #read(): Promise<void> {
    try {
      if (this.#last === undefined) {
        const position: Position = await this.#history.position();
        this.#last = position.after;
        this.#undoneTo = position.after + position.rolledBack;
        if (position.rolledBack > 0) this.#page.push(gapEnvelope(this.#sourceId, position.rolledBack, "rolled_back"));
      }
      const page = await this.#history.read(this.#last + 1);
      this.#page.push(...page);
      if (page.length === 0) this.#isBehind = false;
    } catch (error) {
      this.#failure = error;
      void this.#live.return();
    }
  }

  #leave(): void {
    this.#hasLeft = true;
    this.#page = [];
    this.#ahead = undefined;
    void this.#live.return();
  }

  async return(): Promise<Step> {
    this.#leave();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
