/**
 * A subscription that begins in the event log and goes on live, without gap or duplicate.
 *
 *   Q1. Events come in the order of their numbers, each once. What is missing between two of them was lost for good, and a marker says so.
 *   Q2. A reader that is too slow for the live ring goes back to the log: it loses nothing that is there.
 */
import type { EventEnvelope } from "../protocol/events.ts";
import type { EventHistory, Position } from "./event-history.ts";
import { gapEnvelope } from "./event-ring.ts";
import type { SessionEventStream, Subscription } from "./session-event-stream.ts";

type Step = IteratorResult<EventEnvelope, undefined>;

export class ResumedStream implements SessionEventStream {
  readonly #live: Subscription;
  readonly #history: EventHistory;
  readonly #sourceId: string;
  /** Number of the last event given; undefined until the cursor has been looked at. */
  #last: number | undefined;
  /** From the log, not yet given. */
  #page: EventEnvelope[] = [];
  /** From the live ring, ahead of what was given last. */
  #ahead: EventEnvelope | undefined;
  /** Something may be in the log that has not been read. */
  #isBehind = true;
  #failure: unknown;
  #reading: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #hasLeft = false;

  constructor(sourceId: string, live: Subscription, history: EventHistory) {
    this.#sourceId = sourceId;
    this.#live = live;
    this.#history = history;
  }

  get closed(): boolean {
    return this.#hasLeft || (this.#live.closed && !this.#isBehind);
  }

  tryNext(): EventEnvelope | undefined {
    const envelope = this.#take();
    if (envelope === undefined && this.#isBehind && this.#failure === undefined) this.#catchUp().catch(() => {}); // `next` tells
    return envelope;
  }

  next(): Promise<Step> {
    const step = this.#turn.then(() => this.#next());
    this.#turn = step.catch(() => {}); // its own reader is told
    return step;
  }

  async #next(): Promise<Step> {
    while (!this.#hasLeft) {
      const envelope = this.#take();
      if (envelope !== undefined) return { done: false, value: envelope };
      if (this.#failure !== undefined) throw await this.#fail();
      if (this.#isBehind) await this.#catchUp();
      else {
        const step = await this.#live.next();
        if (step.done === true) break;
        this.#consider(step.value);
      }
    }
    return { done: true, value: undefined };
  }

  async #fail(): Promise<unknown> {
    const error = this.#failure;
    await this.return();
    return error;
  }

  /** The next event that is at hand. */
  #take(): EventEnvelope | undefined {
    const fromLog = this.#page.shift();
    if (fromLog !== undefined) return this.#give(fromLog);
    while (!this.#isBehind) {
      const ahead = this.#ahead;
      if (ahead !== undefined) {
        this.#ahead = undefined;
        return this.#giveAcrossGap(ahead);
      }
      const live = this.#live.tryNext();
      if (live === undefined) return undefined;
      this.#consider(live);
    }
    return undefined;
  }

  /** A live event is the next one, or an old one, or tells that others are missing: then the log is asked first. */
  #consider(live: EventEnvelope): void {
    const last = this.#last ?? 0;
    if (live.seq === 0) this.#isBehind = true;
    else if (live.seq > last) {
      this.#ahead = live;
      this.#isBehind = live.seq > last + 1;
    }
  }

  #give(envelope: EventEnvelope): EventEnvelope {
    if (envelope.seq > 0) this.#last = envelope.seq;
    return envelope;
  }

  /** The log has been asked: what is still missing before `ahead` is nowhere. */
  #giveAcrossGap(ahead: EventEnvelope): EventEnvelope | undefined {
    const missing = ahead.seq - (this.#last ?? 0) - 1;
    if (missing < 0) return this.#take();
    if (missing === 0) return this.#give(ahead);
    this.#ahead = ahead;
    this.#last = ahead.seq - 1;
    return gapEnvelope(this.#sourceId, missing);
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
        if (position.rolledBack > 0) this.#page.push(gapEnvelope(this.#sourceId, position.rolledBack, "rolled_back"));
      }
      const page = await this.#history.read(this.#last + 1);
      this.#page.push(...page);
      if (page.length === 0) this.#isBehind = false;
    } catch (error) {
      this.#failure = error;
    }
  }

  async return(): Promise<Step> {
    this.#hasLeft = true;
    this.#page = [];
    this.#ahead = undefined;
    await this.#live.return();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
