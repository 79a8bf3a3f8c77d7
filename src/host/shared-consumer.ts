/**
 * The consumers of one turn that several callers asked for together.
 *
 *   E1. Each gets every event, in order; the agent waits for the slowest of them.
 *   E2. One that is detached, or whose caller has left, is waited for no longer. The turn loses its consumer with the last one.
 */
import type { EventEnvelope } from "../protocol/events.ts";
import type { TurnConsumer, TurnFlow } from "./turn-consumer.ts";

interface Sharer {
  readonly consumer: TurnConsumer;
  /** Events it has taken. */
  taken: number;
  isActive: boolean;
}

export class SharedConsumer implements TurnConsumer {
  readonly #sharers: readonly Sharer[];
  #flow: TurnFlow | undefined;
  /** Events given to all, and of those how many are taken as far as the turn knows. */
  #pushed = 0;
  #credited = 0;

  constructor(consumers: readonly TurnConsumer[]) {
    this.#sharers = consumers.map((consumer) => ({ consumer, taken: 0, isActive: true }));
  }

  attach(flow: TurnFlow): void {
    this.#flow = flow;
    for (const sharer of this.#sharers) {
      sharer.consumer.attach({
        taken: () => {
          sharer.taken++;
          this.#credit();
        },
        detach: () => this.#detach(sharer),
      });
    }
  }

  push(envelope: EventEnvelope): void {
    this.#pushed++;
    for (const sharer of this.#sharers) if (sharer.isActive) sharer.consumer.push(envelope);
    this.#credit();
  }

  finish(error: unknown, isAbrupt: boolean): Promise<void> | undefined {
    const waits = this.#active().flatMap(({ consumer }) => consumer.finish(error, isAbrupt) ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {});
  }

  /** The caller of that consumer has left: it gets no more events. */
  leave(consumer: TurnConsumer, error: unknown): void {
    const sharer = this.#sharers.find((each) => each.consumer === consumer);
    if (sharer === undefined || !sharer.isActive) return;
    void consumer.finish(error, true);
    this.#detach(sharer);
  }

  #active(): Sharer[] {
    return this.#sharers.filter(({ isActive }) => isActive);
  }

  /** E2 */
  #detach(sharer: Sharer): void {
    if (!sharer.isActive) return;
    sharer.isActive = false;
    this.#credit();
    if (this.#active().length === 0) this.#flow?.detach();
  }

  /** E1. With nobody left events come for subscribers only, who are never waited for. */
  #credit(): void {
    let taken = this.#pushed;
    for (const sharer of this.#sharers) if (sharer.isActive) taken = Math.min(taken, sharer.taken);
    for (; this.#credited < taken; this.#credited++) this.#flow?.taken();
  }
}
