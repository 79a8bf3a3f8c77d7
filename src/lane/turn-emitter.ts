/**
 * What a run emits: checked, numbered, sent to whoever listens, and kept for the event log.
 *
 *   Y1. Whatever is wrong with an emit spoils the turn, even if the agent swallows the exception.
 */
import type { WireError } from "../protocol/errors.ts";
import type { AgentEvent } from "../protocol/events.ts";
import { parseEvent } from "../protocol/events.ts";
import { AgentError, turnFailure } from "./agent-errors.ts";
import type { EventSource } from "./event-sender.ts";
import { EventSender } from "./event-sender.ts";
import { TurnEvents } from "./turn-events.ts";

export class TurnEmitter {
  readonly #source: EventSource;
  readonly #word: number;
  #hasConsumer: boolean;
  #events: TurnEvents | undefined;
  #spoiled: WireError | undefined;

  /** @param word - of the turn's ticket */
  constructor(source: EventSource, word: number, hasConsumer: boolean) {
    this.#source = source;
    this.#word = word;
    this.#hasConsumer = hasConsumer;
  }

  /** What the agent did wrong while it ran. */
  get spoiled(): WireError | undefined {
    return this.#spoiled;
  }

  /** @returns a promise when the agent should wait. @throws AgentError */
  emit(event: AgentEvent): void | Promise<void> {
    const { lane, slot, keeper } = this.#source;
    const parsed = parseEvent(event);
    if (!parsed.ok) throw this.spoil(new AgentError("invalid_event", parsed.problem));
    if (keeper?.events?.isFull === true)
      throw this.spoil(new AgentError("event_flood", "more events were emitted without awaiting than the event log takes"));
    if (!this.#hasConsumer && !lane.table.hasSubscribers(slot)) {
      const seq = this.#source.takeSeq(1); // nobody listens: numbered, never sent
      return keeper?.events?.add(seq, lane.now(), parsed.event);
    }
    this.#events ??= new TurnEvents(new EventSender(this.#source, this.#word));
    try {
      return this.#events.push(parsed.event, !this.#hasConsumer);
    } catch (flood) {
      throw this.spoil(flood);
    }
  }

  /** @returns what was thrown */
  spoil(thrown: unknown): unknown {
    this.#spoiled ??= turnFailure(thrown);
    return thrown;
  }

  /** The consumer took events of this turn. */
  credit(count: number): void {
    this.#events?.credit(count);
  }

  /** The consumer is gone. */
  detach(): void {
    this.#hasConsumer = false;
    this.#events?.detach();
  }

  /** Interrupted: what has not left is dropped. */
  abandon(): void {
    this.#events?.abandon();
  }

  /** @returns undefined when nothing waits */
  drained(): Promise<void> | undefined {
    return this.#events?.drained();
  }
}
