import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { READS_MAX } from "../../src/host/session-event-stream.ts";
import { TurnEventReader } from "../../src/host/turn-stream.ts";
import type { EventEnvelope } from "../../src/protocol/events.ts";
import { EVENT_WINDOW } from "../../src/transport/credits.ts";

const STALL_MS = 1000;
const envelope = (seq: number): EventEnvelope => ({
  eventId: `e${seq}`,
  sourceId: "session:s",
  seq,
  timestampMs: 1,
  payload: { type: "x" },
});
const brief = (got: EventEnvelope | undefined): unknown =>
  got?.seq === 0 ? { dropped: (got.payload as unknown as { reason: { dropped: number } }).reason.dropped } : got?.seq;

interface Bench {
  reader: TurnEventReader;
  flow: { taken: number; detached: number };
  push: (from: number, to?: number) => void;
  read: (count: number) => Promise<unknown[]>;
}

function newBench(): Bench {
  const reader = new TurnEventReader("session:s", STALL_MS);
  const flow = { taken: 0, detached: 0 };
  reader.attach({ taken: () => flow.taken++, detach: () => flow.detached++ });
  return {
    reader,
    flow,
    push: (from, to = from) => {
      for (let seq = from; seq <= to; seq++) reader.push(envelope(seq));
    },
    read: async (count) => {
      const got: unknown[] = [];
      for (let i = 0; i < count; i++) got.push(brief((await reader.next()).value));
      return got;
    },
  };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => vi.useRealTimers());

describe("turn-stream: before the first next()", () => {
  test("U1: every credit goes back at once, and the newest EVENT_WINDOW events are kept behind a gap marker", async () => {
    const { flow, push, read } = newBench();
    push(1, EVENT_WINDOW + 3);
    expect(flow).toEqual({ taken: EVENT_WINDOW + 3, detached: 0 });
    expect(await read(2)).toEqual([{ dropped: 3 }, 4]);
  });

  test("U1: reading what was kept gives no credit back a second time", async () => {
    const { flow, push, read } = newBench();
    push(1, 10);
    await read(10);
    expect(flow.taken).toBe(10);
  });

  test("U1: a turn that ended before anybody read is read to its end", async () => {
    const { reader, push, read } = newBench();
    push(1, 2);
    reader.finish(undefined);
    expect(await read(2)).toEqual([1, 2]);
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });
});

describe("turn-stream: from the first next() on", () => {
  test("U2: credit goes back when the reader takes an event, not before", async () => {
    const { reader, flow, push, read } = newBench();
    const first = reader.next();
    push(1, 3);
    expect(brief((await first).value)).toBe(1);
    expect(flow.taken).toBe(1);
    expect(await read(2)).toEqual([2, 3]);
    expect(flow.taken).toBe(3);
  });

  test("U2: nothing is lost, however far the reader is behind", async () => {
    const { reader, push, read } = newBench();
    const first = reader.next();
    push(1, 3 * EVENT_WINDOW);
    await first;
    expect(await read(3 * EVENT_WINDOW - 1)).toEqual(Array.from({ length: 3 * EVENT_WINDOW - 1 }, (_, index) => index + 2));
  });

  test("U2: a reader that pauses beyond the stall limit gives back what it held, and the stream is a ring until it reads again", async () => {
    const { reader, flow, push, read } = newBench();
    const first = reader.next();
    push(1, 3);
    await first;
    vi.advanceTimersByTime(STALL_MS - 1);
    expect(flow.taken).toBe(1);
    vi.advanceTimersByTime(1);
    expect(flow.taken).toBe(3);
    push(4, EVENT_WINDOW + 3);
    expect(flow.taken).toBe(EVENT_WINDOW + 3);
    expect(await read(3)).toEqual([{ dropped: 2 }, 4, 5]);
    push(EVENT_WINDOW + 4);
    expect(flow.taken).toBe(EVENT_WINDOW + 3);
  });

  test("U2: every read is a sign of life; a reader that has everything does not stall", async () => {
    const { reader, flow, push, read } = newBench();
    const first = reader.next();
    push(1, 4);
    await first;
    for (const seq of [2, 3]) {
      vi.advanceTimersByTime(STALL_MS - 1);
      expect(await read(1)).toEqual([seq]);
    }
    vi.advanceTimersByTime(STALL_MS - 1);
    expect(flow.taken).toBe(3);
    expect(await read(1)).toEqual([4]);
    vi.advanceTimersByTime(10 * STALL_MS);
    push(5);
    expect(flow.taken).toBe(4);
  });

  test("U1, U2: over any pushes, reads and pauses, every event is read or counted as lost, in order, and every credit goes back once", async () => {
    const steps = fc.array(
      fc.oneof(fc.record({ push: fc.nat(EVENT_WINDOW) }), fc.record({ read: fc.nat(EVENT_WINDOW) }), fc.constant("pause" as const)),
      { maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const { reader, flow, push } = newBench();
        const reads: Promise<unknown>[] = [];
        const take = (): void => void reads.push(reader.next().then(({ value }) => brief(value)));
        let seq = 0;
        for (const step of sequence) {
          if (step === "pause") vi.advanceTimersByTime(STALL_MS);
          else if ("push" in step) {
            push(seq + 1, seq + step.push);
            seq += step.push;
          } else for (let i = 0; i < step.read && reads.length < READS_MAX; i++) take();
          expect(flow.taken).toBeLessThanOrEqual(seq);
        }
        reader.finish(undefined);
        for (let i = 0; i < seq + 10; i++) take();
        let seen = 0;
        for (const got of await Promise.all(reads)) {
          if (typeof got === "object" && got !== null) seen += (got as { dropped: number }).dropped;
          else if (got !== undefined) expect(got).toBe(++seen);
        }
        expect(seen).toBe(seq);
        expect(flow).toEqual({ taken: seq, detached: 0 });
      }),
      { numRuns: 40 },
    );
  });
});

describe("turn-stream: ends", () => {
  test("U3: after the last event the iterator ends as the turn did: done", async () => {
    const { reader, push } = newBench();
    const reads = [reader.next(), reader.next(), reader.next()];
    push(1);
    reader.finish(undefined);
    expect((await Promise.all(reads)).map(({ done }) => done)).toEqual([false, true, true]);
  });

  test("U3: after the last event the iterator ends as the turn did: with its error, once", async () => {
    const { reader, push } = newBench();
    push(1, 2);
    reader.finish(new Error("failed"));
    const read: unknown[] = [];
    await expect(async () => {
      for await (const got of reader) read.push(brief(got));
    }).rejects.toThrow("failed");
    expect(read).toEqual([1, 2]);
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test("U3: of several readers that wait for the end of a failed turn the first has the error", async () => {
    const { reader } = newBench();
    const reads = [reader.next(), reader.next()];
    reader.finish(new Error("failed"));
    expect((await Promise.allSettled(reads)).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  test("U3: leaving the loop detaches from the turn, once, and the rest of its events go by", async () => {
    const { reader, flow, push } = newBench();
    push(1, 3);
    for await (const _ of reader) break;
    const { taken } = flow;
    push(4, 5);
    await reader.return();
    reader.finish(new Error("failed"));
    expect(flow).toEqual({ detached: 1, taken: taken + 2 });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test("U3: leaving after the turn's end has nothing to detach from", async () => {
    const { reader, flow } = newBench();
    reader.finish(undefined);
    await reader.return();
    expect(flow.detached).toBe(0);
  });

  test("U3: a reader that waits while another leaves is told the end", async () => {
    const { reader } = newBench();
    const read = reader.next();
    await reader.return();
    expect(await read).toEqual({ done: true, value: undefined });
  });

  test("a turn that never was admitted ends its stream with the reason", async () => {
    const reader = new TurnEventReader("session:s", STALL_MS);
    reader.finish(new Error("busy"));
    await expect(reader.next()).rejects.toThrow("busy");
  });

  test("no timer is left when the turn has ended or the reader has left", async () => {
    for (const end of ["finish", "return"] as const) {
      const { reader, push } = newBench();
      const first = reader.next();
      push(1, 3);
      await first;
      expect(vi.getTimerCount()).toBe(1);
      if (end === "finish") reader.finish(undefined);
      else await reader.return();
      expect(vi.getTimerCount()).toBe(0);
    }
  });
});
