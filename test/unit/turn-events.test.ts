import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { AgentError } from "../../src/lane/agent-errors.ts";
import { TurnInterrupted } from "../../src/lane/agent-errors.ts";
import { BACKLOG_BYTES_MAX, BACKLOG_EVENTS_MAX, TurnEvents } from "../../src/lane/turn-events.ts";
import { EVENT_WINDOW } from "../../src/transport/credits.ts";

const event = (n: number): { type: string; n: number } => ({ type: "x", n });

/** @param isLossy - only subscribers listen. `numbers` are the numbers of what left. */
function newTurn(isLossy = false): {
  events: TurnEvents;
  left: number[];
  numbers: number[];
  push: (count: number) => (void | Promise<void>)[];
} {
  const left: number[] = [];
  const numbers: number[] = [];
  let seq = 0;
  const events = new TurnEvents({
    send: (sent) => {
      left.push((sent as unknown as { n: number }).n);
      numbers.push(++seq);
    },
    skip: (count) => (seq += count),
  });
  let next = 0;
  return { events, left, numbers, push: (count) => Array.from({ length: count }, () => events.push(event(next++), isLossy)) };
}
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
/** @returns "waiting", "resolved", or the error, as it stands when all microtasks have run */
async function stateOf(promise: void | Promise<void>): Promise<unknown> {
  let state: unknown = "waiting";
  void promise?.then(
    () => (state = "resolved"),
    (error: unknown) => (state = error),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return state;
}

describe("turn-events", () => {
  test("E1: a window's worth leaves at once; the next waits, and who awaits it waits with it", async () => {
    const { left, push } = newTurn();
    const answers = push(EVENT_WINDOW + 1);
    expect(left).toEqual(upTo(EVENT_WINDOW));
    expect(answers.slice(0, -1).every((answer) => answer === undefined)).toBe(true);
    expect(await stateOf(answers.at(-1))).toBe("waiting");
  });

  test("E1: the promise of an emit resolves when everything emitted so far has left", async () => {
    const { events, left, push } = newTurn();
    const answers = push(EVENT_WINDOW + 10);
    events.credit(9);
    expect(left).toHaveLength(EVENT_WINDOW + 9);
    expect(await stateOf(answers.at(-1))).toBe("waiting");
    events.credit(1);
    expect(await stateOf(answers.at(-1))).toBe("resolved");
    expect(events.drained()).toBeUndefined();
  });

  test("E1: credit that comes while nothing waits lets that many more leave at once, never more than a window", () => {
    const { events, left, push } = newTurn();
    void push(100);
    events.credit(1_000_000);
    void push(EVENT_WINDOW + 5);
    expect(left).toHaveLength(100 + EVENT_WINDOW);
  });

  test("E1, E2: whatever is emitted and credited, events leave in order, none twice, at most a window ahead of the credits", () => {
    const steps = fc.array(fc.oneof(fc.record({ push: fc.nat(200) }), fc.record({ credit: fc.nat(EVENT_WINDOW) })), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (sequence) => {
        const { events, left, push } = newTurn();
        let pushed = 0;
        let credited = 0;
        for (const step of sequence) {
          if ("push" in step) {
            const fits = Math.min(step.push, BACKLOG_EVENTS_MAX - (pushed - left.length));
            void push(fits);
            pushed += fits;
          } else {
            // A consumer gives back what it got, no more.
            const due = Math.min(step.credit, left.length - credited);
            credited += due;
            events.credit(due);
          }
          expect(left.length).toBe(Math.min(pushed, credited + EVENT_WINDOW));
        }
        expect(left).toEqual(upTo(left.length));
      }),
    );
  });

  test("E2: an interrupt drops only what has not left, so what left has no gap", async () => {
    const { events, left, push } = newTurn();
    const answers = push(EVENT_WINDOW + 3);
    events.abandon();
    expect(await stateOf(answers.at(-1))).toBeInstanceOf(TurnInterrupted);
    events.credit(EVENT_WINDOW);
    expect(left).toEqual(upTo(EVENT_WINDOW));
    expect(events.drained()).toBeUndefined();
  });

  test("E3: beyond BACKLOG_EVENTS_MAX the turn is told of the flood, and what is there still leaves", () => {
    const { events, left, push } = newTurn();
    void push(EVENT_WINDOW + BACKLOG_EVENTS_MAX);
    expect(() => push(1)).toThrow(expect.objectContaining({ kind: "event_flood" }) as AgentError);
    while (events.drained()) events.credit(EVENT_WINDOW);
    expect(left).toEqual(upTo(EVENT_WINDOW + BACKLOG_EVENTS_MAX));
  });

  test("E3: bytes are bounded as well as events, and are given back as events leave", () => {
    const { events, push } = newTurn();
    void push(EVENT_WINDOW);
    const big = { type: "x", text: "x".repeat(BACKLOG_BYTES_MAX / 2 - 100) };
    void events.push(big, false);
    void events.push(big, false);
    expect(() => events.push(big, false)).toThrow(expect.objectContaining({ kind: "event_flood" }) as AgentError);
    events.credit(1);
    expect(() => events.push(big, false)).not.toThrow();
  });

  test("E3: with nobody but subscribers, what does not fit is lost, keeps its number, and fails nothing", () => {
    const { events, left, numbers, push } = newTurn(true);
    const kept = EVENT_WINDOW + BACKLOG_EVENTS_MAX;
    void push(kept);
    expect(push(7)).toEqual(Array.from({ length: 7 }, () => undefined));
    while (events.drained()) events.credit(EVENT_WINDOW);
    events.credit(1);
    void push(1);
    expect(left).toEqual([...upTo(kept), kept + 7]);
    expect(numbers.slice(-2)).toEqual([kept, kept + 8]);
  });

  test("a consumer that left is not waited for: what a window holds leaves at once", () => {
    const { events, left, push } = newTurn();
    void push(EVENT_WINDOW + 10);
    events.detach();
    expect(left).toEqual(upTo(EVENT_WINDOW + 10));
    expect(events.drained()).toBeUndefined();
  });

  test("an emit that nobody awaits is no unhandled rejection when the turn is interrupted", async () => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", listener);
    const { events, push } = newTurn();
    void push(EVENT_WINDOW + 1);
    events.abandon();
    await stateOf(undefined);
    await stateOf(undefined);
    process.off("unhandledRejection", listener);
    expect(unhandled).toEqual([]);
  });
});
