import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";

import { FRAME_RECORDS_MAX } from "../../src/protocol/frames.ts";
import { frameReader } from "../../src/transport/codec.ts";
import { Outbox } from "../../src/transport/outbox.ts";

type Record = [op: 1, value: unknown];
const read = frameReader<Record>({ RECORD: { op: 1, length: 2 } });
const record = (value: unknown): Record => [1, value];
/** What msgpack cannot say. */
const unsendable = (): Record => record(Symbol("unsendable"));

interface Sent {
  outbox: Outbox<Record>;
  /** Values of the records of each frame. */
  frames: unknown[][];
}

function newOutbox(onUnsendable: (record: Record, error: unknown) => Record | undefined = () => undefined): Sent {
  const frames: unknown[][] = [];
  const outbox = new Outbox<Record>((frame, count) => {
    const values = read(frame).map(([, value]) => value);
    expect(values).toHaveLength(count);
    frames.push(values);
  }, onUnsendable);
  return { outbox, frames };
}
/** Into the next turn of the loop. */
const nextLoop = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

afterEach(nextLoop);

describe("outbox: order and batches", () => {
  test("O2: what was appended leaves at the checkpoint, as one frame, also what microtasks append", async () => {
    const { outbox, frames } = newOutbox();
    outbox.append(record(1));
    outbox.append(record(2));
    void Promise.resolve()
      .then(() => outbox.append(record(3)))
      .then(() => outbox.append(record(4)));
    expect(frames).toEqual([]);
    expect(outbox.size).toBe(2);
    await nextLoop();
    expect(frames).toEqual([[1, 2, 3, 4]]);
    expect(outbox.size).toBe(0);
  });

  test("O2: what may gather waits for the immediates, over checkpoints, unless something that may not takes it along", async () => {
    const { outbox, frames } = newOutbox();
    const checkpoint = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
    outbox.append(record(1), 0, true);
    await checkpoint();
    await checkpoint();
    outbox.append(record(2), 0, true);
    await checkpoint();
    expect(frames).toEqual([]);
    await nextLoop();
    expect(frames).toEqual([[1, 2]]);
    outbox.append(record(3), 0, true);
    outbox.append(record(4));
    await nextLoop();
    expect(frames.slice(1)).toEqual([[3, 4]]);
  });

  test("O2: what is appended in the next turn leaves with it", async () => {
    const { outbox, frames } = newOutbox();
    for (const value of [1, 2, 3]) {
      outbox.append(record(value));
      await nextLoop();
    }
    expect(frames).toEqual([[1], [2], [3]]);
  });

  test("O2: records appended after a flush by hand still leave without another", async () => {
    const { outbox, frames } = newOutbox();
    outbox.append(record(1));
    outbox.flush();
    outbox.append(record(2));
    await nextLoop();
    expect(frames).toEqual([[1], [2]]);
  });

  test("O1: whatever appends, flushes and turns of the loop come, records leave once and in order", async () => {
    const steps = fc.array(fc.constantFrom("append", "append", "gather", "big", "flush", "nextLoop", "old"), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const { outbox, frames } = newOutbox();
        let next = 0;
        for (const step of sequence) {
          if (step === "append") outbox.append(record(next++));
          else if (step === "gather") outbox.append(record(next++), 0, true);
          else if (step === "big") outbox.append(record(next++), 200_000);
          else if (step === "flush") outbox.flush();
          else if (step === "old") outbox.flushIfOlder(next * 10, 5);
          else await nextLoop();
        }
        await nextLoop();
        expect(frames.flat()).toEqual(Array.from({ length: next }, (_, value) => value));
        expect(frames.every((values) => values.length > 0)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

describe("outbox: limits", () => {
  test("a frame of FRAME_RECORDS_MAX records leaves at once", () => {
    const { outbox, frames } = newOutbox();
    for (let i = 0; i < FRAME_RECORDS_MAX - 1; i++) outbox.append(record(i));
    expect(frames).toEqual([]);
    outbox.append(record("last"));
    expect(frames[0]).toHaveLength(FRAME_RECORDS_MAX);
    expect(outbox.size).toBe(0);
  });

  test("a frame of 256 KiB of payload leaves at once, whether the size is said or measured", () => {
    for (const append of ["append", "appendSized"] as const) {
      const { outbox, frames } = newOutbox();
      const text = "x".repeat(100 * 1024);
      for (let i = 0; i < 3; i++) {
        if (append === "append") outbox.append(record(text), text.length);
        else outbox.appendSized(record(text));
      }
      expect(frames).toEqual([[text, text, text]]);
    }
  });

  test("flushIfOlder sends once the oldest record was seen waiting for longer than that", () => {
    const { outbox, frames } = newOutbox();
    outbox.flushIfOlder(100, 1);
    outbox.append(record("a"));
    outbox.flushIfOlder(100, 1);
    outbox.flushIfOlder(101, 1);
    expect(frames).toEqual([]);
    outbox.append(record("b"));
    outbox.flushIfOlder(101.5, 1);
    expect(frames).toEqual([["a", "b"]]);
    outbox.append(record("c"));
    outbox.flushIfOlder(200, 1);
    expect(frames).toHaveLength(1);
  });
});

describe("outbox: records that cannot be encoded", () => {
  test("one is replaced, and its neighbours are unharmed and in order", () => {
    const told: unknown[] = [];
    const { outbox, frames } = newOutbox((bad, error) => {
      told.push(bad[1], error instanceof Error);
      return record("instead");
    });
    const bad = unsendable();
    for (const item of [record(1), bad, record(2)]) outbox.append(item);
    outbox.flush();
    expect(frames.flat()).toEqual([1, "instead", 2]);
    expect(told).toEqual([bad[1], true]);
  });

  test("without a replacement only it is missing", () => {
    const { outbox, frames } = newOutbox();
    for (const item of [unsendable(), record(1), unsendable(), record(2)]) outbox.append(item);
    outbox.flush();
    expect(frames.flat()).toEqual([1, 2]);
  });

  test("a handler that throws takes none of the neighbours with it", () => {
    const { outbox, frames } = newOutbox(() => {
      throw new Error("a bug of ours");
    });
    for (const item of [record(1), unsendable(), record(2)]) outbox.append(item);
    try {
      outbox.flush();
    } catch {
      // Whether the handler's error is passed on is not the matter here.
    }
    outbox.flush();
    expect(frames.flat()).toEqual([1, 2]);
  });

  test("the outbox goes on afterwards", async () => {
    const { outbox, frames } = newOutbox();
    outbox.append(unsendable());
    outbox.flush();
    outbox.append(record(1));
    await nextLoop();
    expect(frames.flat()).toEqual([1]);
  });
});

describe("outbox: at the end of the stack", () => {
  /** Call at every depth of the stack, from its end upwards. */
  function atEveryDepth(call: () => void): void {
    try {
      atEveryDepth(call);
    } catch {
      // Somebody goes on from here.
    }
    call();
  }

  test.each([
    ["frames that are full", 0],
    ["large frames", 100_000],
    ["records that gather", undefined],
  ])("O3: with %s, each record that was taken leaves once and in order", async (_, bytes) => {
    const { outbox, frames } = newOutbox();
    const taken: number[] = [];
    outbox.append(record(-1));
    let calls = 0;
    atEveryDepth(() => {
      const call = calls++;
      if (call > 3 * FRAME_RECORDS_MAX) return;
      if (bytes === undefined) outbox.flushIfOlder(call * 10, 1);
      outbox.append(record(call), bytes, bytes === undefined);
      taken.push(call);
    });
    expect(taken.length).toBeGreaterThan(0);
    outbox.append(record(1e9));
    await nextLoop();
    const left = frames.flat() as number[];
    expect([left[0], left.at(-1), new Set(left).size]).toEqual([-1, 1e9, left.length]);
    expect(left).toEqual([...left].sort((a, b) => a - b));
    expect(taken.filter((call) => !left.includes(call))).toEqual([]);
  });
});

describe("outbox: close", () => {
  test("what waits is sent, what comes later is not", async () => {
    const { outbox, frames } = newOutbox();
    outbox.append(record(1));
    outbox.close();
    outbox.append(record(2));
    outbox.flush();
    await nextLoop();
    expect(frames).toEqual([[1]]);
    expect(outbox.size).toBe(0);
  });
});
