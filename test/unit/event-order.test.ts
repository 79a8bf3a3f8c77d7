/** Events of a session in one order, from the two streams that bring them. */
import { describe, expect, test } from "vitest";

import type { EventEnvelope } from "../../src/client/index.ts";
import { EventOrder } from "../../src/dashboard/event-order.ts";

const event = (seq: number): EventEnvelope => ({ seq, payload: { type: "text_delta", delta: "" } }) as unknown as EventEnvelope;
const gap = (dropped: number, kind = "stream_lagged"): EventEnvelope =>
  ({ seq: 0, payload: { type: "stream_truncated", reason: { kind, dropped } } }) as unknown as EventEnvelope;
/** @returns what is shown: numbers, gaps as text, with a star what is of this page's turn */
const ordered = () => {
  const shown: string[] = [];
  const order = new EventOrder(({ seq, payload }, isOwn) => {
    const { reason } = payload as { reason?: { kind: string; dropped: number } };
    shown.push(`${seq === 0 ? `${reason?.kind} ${reason?.dropped}` : seq}${isOwn ? "*" : ""}`);
  });
  return {
    order,
    shown: () => shown.splice(0),
    followed: (...envelopes: EventEnvelope[]) => envelopes.forEach((envelope) => order.followed(envelope)),
    own: (...envelopes: EventEnvelope[]) => envelopes.forEach((envelope) => order.own(envelope)),
  };
};

test("each event is shown once", () => {
  const { order, shown, followed } = ordered();
  followed(event(1), event(2), event(2), event(1), event(3));
  expect([shown(), order.lastSeq]).toEqual([["1", "2", "3"], 3]);
});

describe("E1: while a turn of this page runs", () => {
  test("its stream is shown, and what the session's brings waits", () => {
    const { order, shown, followed, own } = ordered();
    followed(event(1));
    order.beginOwn();
    followed(event(2), event(3));
    expect(shown()).toEqual(["1"]);
    own(event(2));
    followed(event(4));
    own(event(3), event(4));
    order.endOwn();
    expect(shown()).toEqual(["2*", "3*", "4*"]);
  });

  test("what comes before it is another's", () => {
    const { order, shown, followed, own } = ordered();
    order.beginOwn();
    followed(event(1), event(2), event(3));
    own(event(3), event(4));
    expect(shown()).toEqual(["1", "2", "3*", "4*"]);
  });

  test("no more than a thousand wait: then its own stream lags, and the oldest are shown", () => {
    const { order, shown, followed, own } = ordered();
    order.beginOwn();
    own(event(1));
    for (let seq = 1; seq <= 1010; seq++) followed(event(seq));
    expect(shown()).toEqual(Array.from({ length: 10 }, (_, index) => `${index + 1}*`));
    own(event(2), event(11));
    order.endOwn();
    expect(shown()).toEqual(["11*", ...Array.from({ length: 999 }, (_, index) => `${index + 12}`)]);
  });
});

describe("E2: when its stream has ended", () => {
  test("what waits is shown as far as it is news", () => {
    const { order, shown, followed, own } = ordered();
    order.beginOwn();
    own(event(1), event(2));
    followed(event(1), event(2), event(3), event(4));
    order.endOwn();
    followed(event(5));
    expect(shown()).toEqual(["1*", "2*", "3", "4", "5"]);
  });
});

describe("E3: a gap", () => {
  test("is shown with the event behind it", () => {
    const { shown, followed } = ordered();
    followed(event(1), gap(3));
    expect(shown()).toEqual(["1"]);
    followed(event(5));
    expect(shown()).toEqual(["stream_lagged 3", "5"]);
  });

  test("that the other stream has filled is none", () => {
    const { order, shown, followed, own } = ordered();
    order.beginOwn();
    followed(event(1), gap(2), event(4), gap(2), event(7));
    own(event(1), event(2), event(3), event(4));
    order.endOwn();
    expect(shown()).toEqual(["1*", "2*", "3*", "4*", "stream_lagged 2", "7"]);
  });

  test("of events that were undone is told at once", () => {
    const { shown, followed } = ordered();
    followed(event(1), gap(2, "rolled_back"));
    expect(shown()).toEqual(["1", "rolled_back 2"]);
  });
});
