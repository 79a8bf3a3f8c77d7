import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { EventRing, RING_SIZE } from "../../src/host/event-ring.ts";
import { Subscription } from "../../src/host/session-event-stream.ts";
import type { EventEnvelope } from "../../src/protocol/events.ts";

const SOURCE = "session:s";
const envelope = (seq: number): EventEnvelope => ({ eventId: `e${seq}`, sourceId: SOURCE, seq, timestampMs: 1, payload: { type: "x" } });
/** An envelope as its number; a gap marker as what it says. */
const brief = (got: EventEnvelope | undefined): unknown =>
  got?.seq === 0 ? { dropped: (got.payload as unknown as { reason: { dropped: number } }).reason.dropped } : got?.seq;

/** A ring in plain words. */
class Model {
  readonly #size: number;
  readonly #kept: number[] = [];
  #dropped = 0;
  constructor(size: number) {
    this.#size = size;
  }
  get length(): number {
    return this.#kept.length;
  }
  push(seq: number): boolean {
    this.#kept.push(seq);
    if (this.#kept.length <= this.#size) return false;
    this.#kept.shift();
    this.#dropped++;
    return true;
  }
  shift(): unknown {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped > 0 ? { dropped } : this.#kept.shift();
  }
}
const steps = fc.array(fc.oneof(fc.record({ push: fc.nat(12) }), fc.record({ read: fc.nat(6) })), { maxLength: 60 });

describe("EventRing", () => {
  test("whatever is pushed and read, it gives what a model does: the newest, in order, behind an exact count of the lost", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), steps, (size, sequence) => {
        const ring = new EventRing(SOURCE, size);
        const model = new Model(size);
        let seq = 0;
        for (const step of sequence) {
          if ("push" in step) for (let i = 0; i < step.push; i++) expect(ring.push(envelope(++seq))).toBe(model.push(seq));
          else for (let i = 0; i < step.read; i++) expect(brief(ring.shift())).toEqual(model.shift());
          expect(ring.length).toBe(model.length);
        }
      }),
    );
  });

  test("a gap marker is an envelope of its source with seq 0, and every one has an id of its own", () => {
    const ring = new EventRing(SOURCE, 1);
    const markers = [1, 2].map((round) => {
      ring.push(envelope(round * 2));
      ring.push(envelope(round * 2 + 1));
      return ring.shift() as EventEnvelope;
    });
    expect(markers[0]).toMatchObject({
      sourceId: SOURCE,
      seq: 0,
      payload: { type: "stream_truncated", reason: { kind: "stream_lagged", dropped: 1 } },
    });
    expect(new Set(markers.map(({ eventId }) => eventId)).size).toBe(2);
  });

  test("kept envelopes are never lost, also beyond the size", () => {
    const ring = new EventRing(SOURCE, 2);
    for (let seq = 1; seq <= 5; seq++) ring.keep(envelope(seq));
    expect(Array.from({ length: 6 }, () => brief(ring.shift()))).toEqual([1, 2, 3, 4, 5, undefined]);
  });

  test("a ring holds RING_SIZE unless told otherwise", () => {
    const ring = new EventRing(SOURCE);
    for (let seq = 1; seq <= RING_SIZE; seq++) expect(ring.push(envelope(seq))).toBe(false);
    expect(ring.push(envelope(0))).toBe(true);
  });
});

describe("Subscription", () => {
  const newSubscription = (size = 4): { stream: Subscription; left: number[] } => {
    const left: number[] = [];
    return { stream: new Subscription(SOURCE, size, () => left.push(1)), left };
  };

  test("tryNext gives what is there and undefined when there is nothing", () => {
    const { stream } = newSubscription();
    expect(stream.tryNext()).toBeUndefined();
    for (let seq = 1; seq <= 6; seq++) stream.push(envelope(seq));
    expect(Array.from({ length: 6 }, () => brief(stream.tryNext()))).toEqual([{ dropped: 2 }, 3, 4, 5, 6, undefined]);
  });

  test("a reader that waits gets the next envelope, several readers one each, in order", async () => {
    const { stream } = newSubscription();
    const reads = [stream.next(), stream.next()];
    stream.push(envelope(1));
    stream.push(envelope(2));
    stream.push(envelope(3));
    expect((await Promise.all(reads)).map((step) => brief(step.value as EventEnvelope))).toEqual([1, 2]);
    expect(brief(stream.tryNext())).toBe(3);
  });

  test("when the session leaves, what the ring holds can still be read; then the stream ends", async () => {
    const { stream, left } = newSubscription();
    stream.push(envelope(1));
    stream.push(envelope(2));
    stream.close();
    expect(stream.closed).toBe(true);
    const read: unknown[] = [];
    for await (const got of stream) read.push(brief(got));
    expect(read).toEqual([1, 2]);
    expect(left).toEqual([]);
  });

  test("a reader that waits when the session leaves is told the end", async () => {
    const { stream } = newSubscription();
    const read = stream.next();
    stream.close();
    expect(await read).toEqual({ done: true, value: undefined });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("leaving the loop tells the hub, once, and drops what the ring holds", async () => {
    const { stream, left } = newSubscription();
    for (let seq = 1; seq <= 3; seq++) stream.push(envelope(seq));
    for await (const _ of stream) break;
    await stream.return();
    expect(left).toEqual([1]);
    expect(stream.closed).toBe(true);
    expect(stream.tryNext()).toBeUndefined();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("polling, waiting and pushing in any order give what a ring's model does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), steps, async (size, sequence) => {
        const { stream } = newSubscription(size);
        const model = new Model(size);
        const expected: unknown[] = [];
        const actual: Promise<unknown>[] = [];
        let waiting = 0;
        let seq = 0;
        for (const step of sequence) {
          if ("push" in step) {
            for (let i = 0; i < step.push; i++) {
              stream.push(envelope(++seq));
              if (waiting === 0) model.push(seq);
              else {
                waiting--;
                expected.push(seq);
              }
            }
            continue;
          }
          for (let i = 0; i < step.read; i++) {
            const next = waiting > 0 ? undefined : model.shift();
            actual.push(stream.next().then(({ value }) => brief(value)));
            if (next === undefined) waiting++;
            else expected.push(next);
          }
        }
        stream.close();
        expect(await Promise.all(actual)).toEqual([...expected, ...Array<undefined>(waiting).fill(undefined)]);
      }),
    );
  });
});
