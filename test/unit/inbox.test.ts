/** What waits for an agent in its lane (I1–I3), and what main is told of it. */
import { describe, expect, test } from "vitest";

import { INJECTED_MAX, Inbox } from "../../src/lane/comms/inbox.ts";
import type { Interaction } from "../../src/protocol/comms.ts";
import { INBOX_BYTES_MAX } from "../../src/protocol/comms.ts";

const message = (n: number): Interaction => ({ kind: "peer_message", id: String(n), from: "a", body: n });
const input = (n: number): Interaction => ({ kind: "input", id: String(n), source: "rpc", body: n });

function watched(): { inbox: Inbox; taken: [count: number, bytes: number][]; held: boolean[] } {
  const taken: [number, number][] = [];
  const held: boolean[] = [];
  const inbox = new Inbox({ taken: (...what) => taken.push(what), held: (isHeld) => held.push(isHeld) });
  return { inbox, taken, held };
}
const me = {};

test("I1: what peers sent and what was injected come in the order of their arrival", async () => {
  const { inbox } = watched();
  inbox.deliver(message(1), 10);
  inbox.inject(input(2));
  inbox.deliver(message(3), 10);
  expect([...inbox].map(({ id }) => id)).toEqual(["1", "2", "3"]);
  expect((await inbox.receive(me).next).id).toBe("1");
  expect(inbox.takeAll().map(({ id }) => id)).toEqual(["2", "3"]);
  expect(inbox.size).toBe(0);
});

test("I1: what was taken is told in lots, by number and by bytes, and always when nothing is left", async () => {
  const { inbox, taken } = watched();
  for (let n = 0; n < 200; n++) inbox.deliver(message(n), 10);
  for (let n = 0; n < 150; n++) await inbox.receive(me).next;
  expect(taken).toEqual([
    [64, 640],
    [64, 640],
  ]);
  inbox.takeAll();
  expect(taken.slice(2)).toEqual([[72, 720]]);
  inbox.deliver(message(0), INBOX_BYTES_MAX / 16);
  inbox.deliver(message(1), 1);
  await inbox.receive(me).next;
  expect(taken.slice(3)).toEqual([[1, INBOX_BYTES_MAX / 16]]);
  inbox.discard(7);
  await inbox.receive(me).next;
  expect(taken.slice(4)).toEqual([[2, 8]]);
});

test("I1: so many injected bodies wait, and the next one is refused until one is taken", async () => {
  const { inbox, taken } = watched();
  for (let n = 0; n < INJECTED_MAX; n++) expect(inbox.inject(input(n))).toBe("ok");
  expect(inbox.inject(input(0))).toBe("full");
  inbox.deliver(message(1), 10); // a peer's has room of its own
  await inbox.receive(me).next;
  expect([inbox.inject(input(1)), inbox.inject(input(2)), inbox.size]).toEqual(["ok", "full", INJECTED_MAX + 1]);
  inbox.takeAll();
  expect(taken).toEqual([[1, 10]]);
});

describe("waiting", () => {
  test("I2: who waits first is served first, each once", async () => {
    const { inbox, taken } = watched();
    const waiting = [inbox.receive(me), inbox.receive(me), inbox.receive(me)];
    inbox.deliver(message(1), 10);
    inbox.inject(input(2));
    expect(inbox.receiving).toBe(1);
    inbox.deliver(message(3), 10);
    inbox.deliver(message(4), 10);
    expect((await Promise.all(waiting.map(({ next }) => next))).map(({ id }) => id)).toEqual(["1", "2", "3"]);
    expect([inbox.size, taken]).toEqual([
      1,
      [
        [1, 10],
        [1, 10],
      ],
    ]);
  });

  test("a wait that is stopped takes nothing; one that has been served cannot be stopped", async () => {
    const { inbox } = watched();
    const [first, second] = [inbox.receive(me), inbox.receive(me)];
    first.stop(new Error("enough"));
    inbox.inject(input(1));
    second.stop(new Error("too late"));
    await expect(first.next).rejects.toThrow("enough");
    expect((await second.next).id).toBe("1");
  });

  test("waits of one owner end together", async () => {
    const { inbox } = watched();
    const [mine, others] = [inbox.receive(me), inbox.receive({})];
    inbox.stop(me, new Error("over"));
    await expect(mine.next).rejects.toThrow("over");
    inbox.inject(input(1));
    expect((await others.next).id).toBe("1");
  });
});

test("what only the lane knows of holds the session: injected bodies and waits", async () => {
  const { inbox, held } = watched();
  inbox.deliver(message(1), 10);
  await inbox.receive(me).next;
  expect(held).toEqual([]);
  const waiting = inbox.receive(me);
  inbox.deliver(message(2), 10);
  await waiting.next;
  inbox.inject(input(3));
  inbox.inject(input(4));
  inbox.takeAll();
  expect(held).toEqual([true, false, true, false]);
});

test("I3: when it is closed nothing comes in, nothing goes out, nobody waits, and main is told nothing", async () => {
  const { inbox, taken, held } = watched();
  const waiting = inbox.receive(me);
  inbox.close(new Error("closed"));
  inbox.close(new Error("again"));
  await expect(waiting.next).rejects.toThrow("closed");
  await expect(inbox.receive(me).next).rejects.toThrow("closed");
  expect(inbox.inject(input(1))).toBe("closed");
  inbox.deliver(message(1), 10);
  expect([inbox.takeAll(), inbox.size, taken, held]).toEqual([[], 0, [], [true]]);
});
