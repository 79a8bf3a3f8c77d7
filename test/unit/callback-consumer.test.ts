import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { CallbackConsumer } from "../../src/host/turn-consumer.ts";
import type { EventEnvelope } from "../../src/protocol/events.ts";
import type { OnEvent } from "../../src/protocol/requests.ts";

const STALL_MS = 1000;
const envelope = (seq: number): EventEnvelope => ({
  eventId: `e${seq}`,
  sourceId: "session:s",
  seq,
  timestampMs: 1,
  payload: { type: "x" },
});

interface Bench {
  consumer: CallbackConsumer;
  /** What happened, in order: `event n`, `taken`, `detach`, `told <why>`. */
  log: string[];
  push: (from: number, to?: number) => void;
}

function newBench(onEvent: OnEvent): Bench {
  const log: string[] = [];
  const consumer = new CallbackConsumer(
    (got) => {
      log.push(`event ${got.seq}`);
      return onEvent(got);
    },
    STALL_MS,
    (reason) => log.push(`told ${reason instanceof Error ? reason.message : String(reason)}`),
  );
  consumer.attach({ taken: () => log.push("taken"), detach: () => log.push("detach") });
  return {
    consumer,
    log,
    push: (from, to = from) => {
      for (let seq = from; seq <= to; seq++) consumer.push(envelope(seq));
    },
  };
}
/** A consumer that takes each event when it is let. */
function newGate(): { onEvent: OnEvent; open: () => Promise<void>; fail: (error: unknown) => Promise<void> } {
  const waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  const settle = async (act: (next: (typeof waiting)[number]) => void): Promise<void> => {
    const next = waiting.shift();
    if (next === undefined) throw new Error("nothing waits at the gate");
    act(next);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  return {
    onEvent: () => new Promise<void>((resolve, reject) => waiting.push({ resolve, reject })),
    open: () => settle(({ resolve }) => resolve()),
    fail: (error) => settle(({ reject }) => reject(error)),
  };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe("CallbackConsumer", () => {
  test("a consumer that does not wait is called at once, and each credit goes back", () => {
    const { consumer, log, push } = newBench(() => {});
    push(1, 2);
    expect(log).toEqual(["event 1", "taken", "event 2", "taken"]);
    expect(consumer.finish(undefined, false)).toBeUndefined();
  });

  test("a promise it returns is waited for before the next call and before its credit goes back", async () => {
    const gate = newGate();
    const { consumer, log, push } = newBench(gate.onEvent);
    push(1, 2);
    expect(log).toEqual(["event 1"]);
    await gate.open();
    expect(log).toEqual(["event 1", "taken", "event 2"]);
    await gate.open();
    expect(log.at(-1)).toBe("taken");
    expect(consumer.finish(undefined, false)).toBeUndefined();
  });

  test("the caller is answered after the last call has settled", async () => {
    const gate = newGate();
    const { consumer, log, push } = newBench(gate.onEvent);
    push(1, 2);
    const through = consumer.finish(undefined, false)?.then(() => log.push("through"));
    await gate.open();
    expect(log).not.toContain("through");
    await gate.open();
    await through;
    expect(log).toEqual(["event 1", "taken", "event 2", "taken", "through"]);
  });

  test.each<[string, OnEvent]>([
    [
      "throws",
      () => {
        throw new Error("mine");
      },
    ],
    ["rejects", () => Promise.reject(new Error("mine"))],
  ])("one that %s is detached: told why once, never called again, waited for by nobody", async (_, onEvent) => {
    const { consumer, log, push } = newBench(onEvent);
    push(1);
    for (let i = 0; i < 5; i++) await Promise.resolve();
    push(2, 3);
    expect(log.filter((line) => line !== "taken")).toEqual(["event 1", "detach", "told mine"]);
    expect(consumer.finish(undefined, false)).toBeUndefined();
  });

  test("events that come after it was detached give their credit back at once: the turn does not wait for it", () => {
    const { log, push } = newBench(() => {
      throw new Error("mine");
    });
    push(1, 3);
    expect(log).toEqual(["event 1", "detach", "told mine", "taken", "taken"]);
  });

  test("a failure after the turn's end lets the caller go", async () => {
    const gate = newGate();
    const { consumer, push } = newBench(gate.onEvent);
    push(1, 2);
    const through = consumer.finish(undefined, false);
    await gate.fail(new Error("mine"));
    expect(await through).toBeUndefined();
  });

  test("without progress for the stall limit it is detached, and what it does later counts for nothing", async () => {
    const gate = newGate();
    const { consumer, log, push } = newBench(gate.onEvent);
    push(1, 2);
    vi.advanceTimersByTime(STALL_MS - 1);
    expect(log).toEqual(["event 1"]);
    vi.advanceTimersByTime(1);
    expect(log).toEqual(["event 1", "detach", `told no progress for ${STALL_MS} ms`]);
    await gate.open();
    expect(log).not.toContain("event 2");
    expect(consumer.finish(undefined, false)).toBeUndefined();
  });

  test("every event that it takes is progress", async () => {
    const gate = newGate();
    const { consumer, log, push } = newBench(gate.onEvent);
    push(1, 4);
    for (let i = 0; i < 4; i++) {
      vi.advanceTimersByTime(STALL_MS - 1);
      await gate.open();
    }
    expect(log).not.toContain("detach");
    expect(consumer.finish(undefined, false)).toBeUndefined();
  });

  test("one with nothing to do does not stall, and its next wait has the whole limit", async () => {
    const gate = newGate();
    const { consumer, log, push } = newBench(gate.onEvent);
    push(1);
    await gate.open();
    vi.advanceTimersByTime(10 * STALL_MS);
    push(2);
    vi.advanceTimersByTime(STALL_MS - 1);
    expect(log).not.toContain("detach");
    await gate.open();
    expect(consumer.finish(undefined, false)).toBeUndefined();
  });

  test("a cancelled turn does not wait for its consumer, which is not called again", async () => {
    const gate = newGate();
    const { consumer, log, push } = newBench(gate.onEvent);
    push(1, 2);
    expect(consumer.finish(new Error("cancelled"), true)).toBeUndefined();
    await gate.open();
    expect(log).toEqual(["event 1"]);
  });
});
