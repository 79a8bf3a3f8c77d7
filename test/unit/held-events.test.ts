import { describe, expect, test } from "vitest";

import { HeldEvents } from "../../src/lane/held-events.ts";
import { BACKLOG_EVENTS_MAX } from "../../src/lane/turn-events.ts";
import { EVENT_WINDOW } from "../../src/transport/credits.ts";

const event = (n: number): { type: string; n: number } => ({ type: "x", n });
const hold = (held: HeldEvents, count: number, from = 0): (void | Promise<void>)[] =>
  Array.from({ length: count }, (_, n) => held.hold(event(from + n)));

describe("held-events", () => {
  test("H1: a window's worth is held for free", () => {
    expect(hold(new HeldEvents(), EVENT_WINDOW)).toEqual(Array(EVENT_WINDOW).fill(undefined));
  });

  test("H1: the emit beyond gives a promise that settles when the next turn takes them", async () => {
    const held = new HeldEvents();
    void hold(held, EVENT_WINDOW);
    let isSettled = false;
    const answers = hold(held, 2, EVENT_WINDOW);
    const waiting = Promise.all(answers.map(async (answer) => answer)).then(() => (isSettled = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isSettled).toBe(false);
    held.take();
    await waiting;
    expect(isSettled).toBe(true);
  });

  test("H1: beyond BACKLOG_EVENTS_MAX emit throws, and what is held stays", () => {
    const held = new HeldEvents();
    void hold(held, BACKLOG_EVENTS_MAX);
    expect(() => held.hold(event(-1))).toThrow(expect.objectContaining({ kind: "event_flood" }) as Error);
    expect(held.take()).toEqual(Array.from({ length: BACKLOG_EVENTS_MAX }, (_, n) => event(n)));
  });

  test("H1: after a take, events are held for free again", () => {
    const held = new HeldEvents();
    void hold(held, EVENT_WINDOW + 1);
    held.take();
    expect(held.take()).toEqual([]);
    expect(held.hold(event(0))).toBeUndefined();
    expect(held.take()).toEqual([event(0)]);
  });
});
