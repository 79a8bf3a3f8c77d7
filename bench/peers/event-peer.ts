/**
 * A peer that runs turns which emit events. Every event must reach one consumer function on main as the object that was emitted, one call
 * per event: the tally is that consumer, and it checks that none is missing and none is short.
 */
import { closedLoop } from "../harness/load.ts";
import { pickFastest } from "./fastest.ts";
import type { EventJob, EventSink } from "./event-work.ts";

export interface EventLoad extends EventJob {
  /** Turns at once. */
  readonly inFlight: number;
}

export interface EventPeer {
  /** How it is set up. */
  readonly setup?: string;
  /** Run turns, `inFlight` at once, for a while; waits for the last. @returns how many */
  run(durationMs: number): Promise<number>;
  close(): Promise<void>;
}

export type OpenEventPeer = (load: EventLoad, tally: EventTally) => Promise<EventPeer>;

/** Milliseconds events may come after the last turn has ended. */
const DELIVERY_MAX_MS = 10_000;
/** Milliseconds of each trial, and of the warm-up before it. */
const TRIAL_MS = 80;

export class EventTally {
  readonly #bytes: number;
  #events = 0;
  #characters = 0;
  #expected = 0;
  #failure: unknown;
  #onComplete: (() => void) | undefined;

  /** @param bytes - of every event's text */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  readonly consume: EventSink = ({ delta }) => {
    this.#events++;
    this.#characters += delta.length;
    if (this.#events === this.#expected) this.#onComplete?.();
  };

  /** Something went wrong where nobody waits: the next who does is told. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#onComplete?.();
  }

  /**
   * So many more were emitted: wait until all are here.
   *
   * @throws Error when some do not come, or more came, or their text is not whole; or what `fail` was told
   */
  async expect(events: number): Promise<void> {
    this.#expected += events;
    if (this.#events < this.#expected && this.#failure === undefined) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#onComplete = resolve;
        timer = setTimeout(resolve, DELIVERY_MAX_MS);
      });
      clearTimeout(timer);
      this.#onComplete = undefined;
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#events !== this.#expected) throw new Error(`${this.#events} events came of ${this.#expected} emitted`);
    if (this.#characters !== this.#events * this.#bytes) {
      throw new Error(`${this.#events} events brought ${this.#characters} characters, not ${this.#bytes} each`);
    }
  }
}

/** Run a peer until its last event has been consumed. @returns events a second */
export async function eventsPerSecond(peer: EventPeer, { events }: EventJob, tally: EventTally, durationMs: number): Promise<number> {
  const startedAt = performance.now();
  const turns = await peer.run(durationMs);
  await tally.expect(turns * events);
  return (turns * events) / ((performance.now() - startedAt) / 1000);
}

/** A peer with more than one sensible configuration: tries each under the load it will get and keeps the fastest. */
export async function fastestEventPeer<C>(
  configurations: Readonly<Record<string, C>>,
  open: (configuration: C) => Promise<EventPeer>,
  load: EventLoad,
  tally: EventTally,
): Promise<EventPeer> {
  const { peer, setup } = await pickFastest(configurations, open, async (tried) => {
    await eventsPerSecond(tried, load, tally, TRIAL_MS); // warm-up
    return eventsPerSecond(tried, load, tally, TRIAL_MS);
  });
  return { setup, run: (durationMs) => peer.run(durationMs), close: () => peer.close() };
}

/** A peer whose turns are calls that settle. */
export function callingPeer(turn: (caller: number) => Promise<unknown>, inFlight: number, close: () => Promise<void>): EventPeer {
  return { run: async (durationMs) => (await closedLoop(turn, inFlight, durationMs)).calls, close };
}

/** A peer that only has messages: a closed loop of turns over its channels, without a promise for each turn. */
export class TurnLoop {
  readonly #start: (channel: number, turns: number) => void;
  readonly #shares: readonly number[];
  #turns = 0;
  #outstanding = 0;
  #isOver: () => boolean = () => true;
  #onIdle: (() => void) | undefined;

  /** @param start - starts so many turns on a channel */
  constructor(start: (channel: number, turns: number) => void, channels: number, inFlight: number) {
    this.#start = start;
    this.#shares = Array.from({ length: channels }, (_, channel) => Math.floor((inFlight + channel) / channels));
  }

  async run(durationMs: number): Promise<number> {
    const startedAt = performance.now();
    this.#turns = 0;
    this.#isOver = () => performance.now() - startedAt > durationMs;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      for (const [channel, share] of this.#shares.entries()) this.#send(channel, share);
    });
    return this.#turns;
  }

  /** So many turns of a channel have ended, and all their events were consumed. */
  ended(channel: number, turns: number): void {
    this.#turns += turns;
    this.#outstanding -= turns;
    if (!this.#isOver()) this.#send(channel, turns);
    else if (this.#outstanding === 0) this.#onIdle?.();
  }

  #send(channel: number, turns: number): void {
    this.#outstanding += turns;
    this.#start(channel, turns);
  }
}
