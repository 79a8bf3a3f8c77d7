import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { EventHistory, Position } from "../../src/host/event-history.ts";
import { ResumedStream } from "../../src/host/resumed-stream.ts";
import { SessionChannel } from "../../src/host/session-channel.ts";
import type { EventEnvelope } from "../../src/protocol/events.ts";
import { isGapMarker } from "../../src/protocol/events.ts";

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A session whose past can be read: what it emits is there at once, unless the test loses it. */
class Past {
  readonly channel = new SessionChannel("s");
  readonly events: EventEnvelope[] = [];
  /** Reads take as long as the test lets them. */
  wait: () => Promise<void> = () => Promise.resolve();
  begin: Position = { after: 0, rolledBack: 0 };
  failure: Error | undefined;
  pageSize = 3;
  reads = 0;

  emit(count = 1): void {
    for (let i = 0; i < count; i++) {
      const envelope = this.channel.envelope(this.events.length + 1, 1, { type: "text_delta", delta: String(this.events.length + 1) });
      this.events.push(envelope);
      this.channel.publish(envelope);
    }
  }

  /** Emitted, numbered, and nowhere any more. */
  lose(count = 1): void {
    for (let i = 0; i < count; i++) this.events.push(undefined as never);
  }

  /** Those that were heard never come into the log. */
  unlog(from: number, to: number): void {
    for (let seq = from; seq <= to; seq++) this.events[seq - 1] = undefined as never;
  }

  stream(bufferSize?: number): ResumedStream {
    const history = {
      position: async (): Promise<Position> => {
        await this.wait();
        if (this.failure !== undefined) throw this.failure;
        return this.begin;
      },
      read: async (from: number): Promise<EventEnvelope[]> => {
        this.reads++;
        await this.wait();
        if (this.failure !== undefined) throw this.failure;
        const page = this.events.slice(from - 1).filter((event) => event !== undefined);
        await this.wait();
        return page.slice(0, this.pageSize);
      },
    };
    return new ResumedStream("session:s", this.channel.subscribe(bufferSize), history as unknown as EventHistory);
  }
}

/** What a reader has got: numbers, and gaps as how many are missing and why. */
function told(envelopes: readonly EventEnvelope[]): (number | string)[] {
  return envelopes.map(({ seq, payload }) => (isGapMarker(payload) ? `${payload.reason.kind} ${payload.reason.dropped}` : seq));
}

async function take(stream: ResumedStream, count: number): Promise<(number | string)[]> {
  const taken: EventEnvelope[] = [];
  while (taken.length < count) taken.push((await stream.next()).value as EventEnvelope);
  return told(taken);
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("ResumedStream", () => {
  test("Q1: it gives what is behind the cursor, then what comes live, in order and once", async () => {
    const past = new Past();
    past.emit(10);
    past.begin = { after: 4, rolledBack: 0 };
    const stream = past.stream();
    past.emit(2);
    expect(await take(stream, 8)).toEqual(numbers(5, 12));
    const next = stream.next();
    past.emit();
    expect((await next).value?.seq).toBe(13);
  });

  test("Q1, Q2: whenever events come while the past is read, and however small the ring, none is missing and none comes twice", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.nat(6),
        fc.nat(8),
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 10 }),
        fc.integer({ min: 1, max: 5 }),
        async (scheduler, before, after, bursts, bufferSize) => {
          const past = new Past();
          past.wait = () => scheduler.schedule(Promise.resolve());
          past.emit(before);
          past.begin = { after: Math.min(after, before), rolledBack: 0 };
          const stream = past.stream(bufferSize);
          for (const burst of bursts) void scheduler.schedule(Promise.resolve(), "emit").then(() => past.emit(burst));
          const total = before + bursts.reduce((sum, burst) => sum + burst, 0);
          const reading = take(stream, total - past.begin.after);
          await scheduler.waitFor(reading);
          expect(await reading).toEqual(numbers(past.begin.after + 1, total));
          await stream.return();
          expect(past.channel.subscribers).toBe(0);
        },
      ),
    );
  });

  test("Q1: what is nowhere any more has a marker in its place, before what comes behind it", async () => {
    const past = new Past();
    past.emit(2);
    const stream = past.stream();
    expect(await take(stream, 2)).toEqual([1, 2]);
    past.lose(3);
    past.emit(2);
    expect(await take(stream, 3)).toEqual(["stream_lagged 3", 6, 7]);
    expect(await take(past.stream(), 5)).toEqual([1, 2, "stream_lagged 3", 6, 7]); // the same for one that reads the log alone
  });

  test("Q1: what is in the ring and not in the log is given in its place", async () => {
    const past = new Past();
    past.emit(1);
    const stream = past.stream();
    past.emit(3);
    past.unlog(2, 4); // their lane was lost
    past.lose(1);
    past.emit(2);
    expect(await take(stream, 7)).toEqual([1, 2, 3, 4, "stream_lagged 1", 6, 7]);
    past.emit(1);
    expect(await take(stream, 1)).toEqual([8]);
  });

  test("events that a crash undid are told first", async () => {
    const past = new Past();
    past.emit(4);
    past.begin = { after: 2, rolledBack: 5 };
    expect(await take(past.stream(), 3)).toEqual(["rolled_back 5", 3, 4]);
  });

  test("numbers that a crash undid and that were not used again are missing once, not twice", async () => {
    const past = new Past();
    past.emit(2);
    past.lose(3);
    past.emit(1);
    past.lose(1);
    past.emit(1);
    past.begin = { after: 2, rolledBack: 3 };
    expect(await take(past.stream(), 4)).toEqual(["rolled_back 3", 6, "stream_lagged 1", 8]);
  });

  test("Q2: a reader that is too slow for the ring goes back to the log", async () => {
    const past = new Past();
    const stream = past.stream(2);
    past.emit();
    expect(await take(stream, 1)).toEqual([1]);
    past.emit(20);
    expect(await take(stream, 20)).toEqual(numbers(2, 21));
  });

  test("begin waits until the cursor has been looked at, and rejects as the first read does then", async () => {
    const past = new Past();
    past.emit(2);
    const stream = past.stream();
    await stream.begin();
    expect(stream.tryNext()?.seq).toBe(1);
    await stream.begin();
    expect(await take(stream, 1)).toEqual([2]);
    past.failure = new Error("from the future");
    const refused = past.stream();
    await expect(refused.begin()).rejects.toBe(past.failure);
    await expect(refused.next()).rejects.toBe(past.failure);
    expect(past.channel.subscribers).toBe(1);
  });

  test("tryNext polls: undefined while the log is read, then what is there", async () => {
    const past = new Past();
    past.emit(4);
    const stream = past.stream();
    const polled: (number | undefined)[] = [];
    expect(stream.tryNext()).toBeUndefined();
    for (let i = 0; i < 20; i++) {
      await soon();
      for (let envelope; (envelope = stream.tryNext()) !== undefined;) polled.push(envelope.seq);
    }
    past.emit(1);
    polled.push(stream.tryNext()?.seq);
    expect(polled).toEqual([1, 2, 3, 4, 5]);
  });

  test("tryNext takes nothing from under a read that waits", async () => {
    const past = new Past();
    const stream = past.stream();
    const waiting = stream.next();
    await soon();
    past.emit(2);
    expect(stream.tryNext()).toBeUndefined();
    expect((await waiting).value?.seq).toBe(1);
    expect(stream.tryNext()?.seq).toBe(2);
    expect(stream.tryNext()).toBeUndefined();
    past.emit(1);
    expect((await stream.next()).value?.seq).toBe(3);
  });

  test("reads that wait side by side are answered in their order", async () => {
    const past = new Past();
    past.emit(3);
    const stream = past.stream();
    const reads = Promise.all(numbers(1, 6).map(() => stream.next()));
    await soon();
    past.emit(3);
    expect((await reads).map(({ value }) => value?.seq)).toEqual(numbers(1, 6));
  });

  test("a past that cannot be read is told once; then the stream is over, and nobody is subscribed any more", async () => {
    const past = new Past();
    past.failure = new Error("the store is gone");
    const stream = past.stream();
    await expect(stream.next()).rejects.toThrow("the store is gone");
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(stream.closed).toBe(true);
    expect(past.channel.subscribers).toBe(0);
  });

  test("whoever polls sees the end of a stream whose past cannot be read", async () => {
    const past = new Past();
    past.failure = new Error("the store is gone");
    const stream = past.stream();
    expect(stream.tryNext()).toBeUndefined();
    await soon();
    expect(stream.closed).toBe(true);
    expect(past.channel.subscribers).toBe(0);
    await expect(stream.next()).rejects.toThrow("the store is gone");
  });

  test("the session ends: what is in the log and in the ring is still given, then it is over", async () => {
    const past = new Past();
    past.emit(5);
    const stream = past.stream();
    past.emit(2);
    past.channel.close();
    expect(await take(stream, 7)).toEqual(numbers(1, 7));
    expect((await stream.next()).done).toBe(true);
    expect(stream.closed).toBe(true);
  });

  test("a reader that leaves while the past is read leaves for good", async () => {
    const past = new Past();
    past.emit(5);
    let go!: () => void;
    const gate = new Promise<void>((resolve) => (go = resolve));
    past.wait = () => gate;
    const stream = past.stream();
    const reading = stream.next();
    await stream.return();
    go();
    expect((await reading).done).toBe(true);
    expect(stream.tryNext()).toBeUndefined();
    expect(past.channel.subscribers).toBe(0);
  });
});
