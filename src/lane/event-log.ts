/**
 * The events of one session that are not in the store's log yet. They go there with their turn; a turn that emits much sends some of them
 * ahead.
 *
 *   V1. An event stays here until the store has acknowledged it, so `from` and the log together have every event.
 *   V2. What waits here is bounded: beyond SPILL it is sent ahead, beyond WAIT whoever emits waits, beyond BOUND it is full, and emitting fails.
 */
import type { AgentEvent } from "../protocol/events.ts";
import { approximateBytes } from "../protocol/json.ts";
import type { StoredEvent } from "../protocol/stored-session.ts";

const SPILL = { events: 512, bytes: 256 * 1024 };
const WAIT_BYTES = 8 * 1024 * 1024;
const BOUND_BYTES = 32 * 1024 * 1024;

export class EventLog {
  readonly #spill: () => Promise<void>;
  #events: StoredEvent[] = [];
  #bytes = 0;
  #spilling: Promise<void> | undefined;

  /** @param spill - sends what is here to the store; never rejects */
  constructor(spill: () => Promise<void>) {
    this.#spill = spill;
  }

  /** An agent that does not await has emitted more than can be kept. */
  get isFull(): boolean {
    return this.#bytes > BOUND_BYTES;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  /**
   * @returns a promise when too much waits: it resolves when the store has taken some
   */
  add(seq: number, timestampMs: number, payload: AgentEvent): void | Promise<void> {
    this.#events.push({ seq, timestampMs, payload });
    this.#bytes += approximateBytes(payload) + 16;
    if (this.#events.length < SPILL.events && this.#bytes < SPILL.bytes) return undefined;
    this.#spilling ??= this.#spill().finally(() => (this.#spilling = undefined));
    return this.#bytes > WAIT_BYTES ? this.#spilling : undefined;
  }

  /** What is here, oldest first; it stays until `acknowledged`. */
  waiting(): readonly StoredEvent[] {
    return this.#events;
  }

  /** The store has all up to number `seq`. */
  acknowledged(seq: number): void {
    this.#events = this.#events.filter((event) => event.seq > seq);
    this.#bytes = this.#events.length === 0 ? 0 : approximateBytes(this.#events);
  }

  /** Events from number `seq` on. */
  from(seq: number): StoredEvent[] {
    return this.#events.filter((event) => event.seq >= seq);
  }
}
