/**
 * Numbers the events of one turn and puts them into the lane's outbox: text deltas in rows, any other event as it is.
 *
 *   X1. Numbers in the order of sending, without gaps but those of `skip`; a row holds consecutive numbers of one millisecond.
 */
import type { AgentEvent } from "../protocol/events.ts";
import { textDelta } from "../protocol/text-delta.ts";
import type { DeltasReport } from "../protocol/frames.ts";
import { REPORTS } from "../protocol/frames.ts";
import type { EventLog } from "./event-log.ts";
import type { LaneContext } from "./lane-context.ts";

/** Where events go, and who numbers them. */
export interface EventSource {
  readonly lane: LaneContext;
  readonly slot: number;
  readonly generation: number;
  /** Use up `count` event numbers. @returns the last of them */
  takeSeq(count: number): number;
  readonly keeper: { readonly events: EventLog | undefined } | undefined;
}

export class EventSender {
  readonly #source: EventSource;
  readonly #word: number;
  /** The text deltas that left last: one that follows at once joins their record. */
  #row: DeltasReport | undefined;

  /** @param word - of the turn's ticket */
  constructor(source: EventSource, word: number) {
    this.#source = source;
    this.#word = word;
  }

  /** @param bytes - rough size of the event. @returns a promise when the event log has too much that waits */
  send(event: AgentEvent, bytes: number): void | Promise<void> {
    const { lane, slot, generation } = this.#source;
    const seq = this.#source.takeSeq(1);
    const nowMs = lane.now();
    const delta = textDelta(event);
    if (delta === undefined) {
      lane.outbox.append([REPORTS.EVENT.op, slot, generation, this.#word, seq, nowMs, event], bytes);
    } else if (this.#row !== undefined && endsBefore(this.#row, seq, nowMs) && lane.outbox.isLast(this.#row)) {
      this.#row[6].push(delta);
      lane.outbox.grow(bytes);
    } else {
      this.#row = [REPORTS.DELTAS.op, slot, generation, this.#word, seq, nowMs, [delta]];
      lane.outbox.append(this.#row, bytes);
    }
    return this.#source.keeper?.events?.add(seq, nowMs, event);
  }

  /** Use up numbers for events that are lost. */
  skip(count: number): void {
    this.#source.takeSeq(count);
  }
}

/** The row is of that millisecond, and this is its next number: none was lost or went unheard between. */
function endsBefore([, , , , firstSeq, timestampMs, deltas]: DeltasReport, seq: number, nowMs: number): boolean {
  return timestampMs === nowMs && firstSeq + deltas.length === seq;
}
