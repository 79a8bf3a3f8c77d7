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
  expect([shown(), order.last]).toEqual([["1", "2", "3"], 3]);
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

describe("E4: when a crash has undone events", () => {
  /** A page that has shown three, of which the last two are undone. */
  const undone = () => {
    const page = ordered();
    page.followed(event(1), event(2), event(3));
    page.shown();
    return page;
  };

  test("what took their place is shown, each once", () => {
    const { order, shown, followed } = undone();
    followed(gap(2, "rolled_back"), event(2), event(3), event(3), event(4));
    expect([shown(), order.last]).toEqual([["rolled_back 2", "2", "3", "4"], 4]);
  });

  test("a turn that begins behind that is shown", () => {
    const { order, shown, followed, own } = undone();
    followed(gap(2, "rolled_back"), event(2));
    order.beginOwn();
    own(event(3), event(4));
    followed(event(3), event(4), event(5));
    order.endOwn();
    expect(shown()).toEqual(["rolled_back 2", "2", "3*", "4*", "5"]);
  });

  test("so is one whose stream is the first to tell", () => {
    const { order, shown, followed, own } = undone();
    order.beginOwn();
    own(event(2), event(3));
    followed(gap(2, "rolled_back"), event(2), event(3), event(4));
    own(event(4), event(5));
    order.endOwn();
    followed(event(5), event(6));
    expect(shown()).toEqual(["2*", "3*", "rolled_back 2*", "4*", "5*", "6"]);
  });

  test("and one that has ended when the session's stream tells", () => {
    const { order, shown, followed, own } = undone();
    order.beginOwn();
    own(event(2), event(3));
    order.endOwn();
    followed(gap(2, "rolled_back"), event(2), event(3), event(4));
    expect(shown()).toEqual(["2*", "3*", "rolled_back 2", "4"]);
  });

  test("while a turn waits: what comes before it is another's", () => {
    const { order, shown, followed, own } = undone();
    order.beginOwn();
    followed(event(4), gap(3, "rolled_back"), event(2));
    own(event(3));
    followed(event(3), event(4));
    own(event(4));
    order.endOwn();
    expect(shown()).toEqual(["4", "rolled_back 3", "2", "3*", "4*"]);
  });

  test("with a turn of this page whose stream was ahead of the session's", () => {
    const { order, shown, followed, own } = undone();
    order.beginOwn();
    own(event(4), event(5), event(6));
    order.endOwn(); // cut
    followed(gap(1, "rolled_back"), event(3), event(4));
    expect(shown()).toEqual(["4*", "5*", "6*", "rolled_back 1", "3", "4"]);
  });

  test("a second time, when the first was told by a turn's stream only", () => {
    const { order, shown, followed, own } = undone();
    order.beginOwn();
    own(event(2), event(3));
    order.endOwn();
    followed(event(4), gap(2, "rolled_back"), event(3));
    expect(shown()).toEqual(["2*", "3*", "4", "rolled_back 2", "3"]);
  });
});

test("the last one shown is known by its cursor, which a number alone is not after a crash", () => {
  const { order, followed } = ordered();
  followed({ ...event(3), cursor: "three" });
  expect(order.last).toBe("three");
});
