/** What every FrameTransport does: one suite, run for each implementation by transport.test.ts. */
import { afterEach, describe, expect, test } from "vitest";

import type { FrameTransport } from "../../src/transport/transport.ts";

/** What arrived at one end, in order: a frame as its bytes, a segment as itself, and the close. */
type Arrival = number[] | SharedArrayBuffer | "closed";

/** @param newPipe - makes the two ends of one pipe */
export function testFrameTransport(name: string, newPipe: () => [FrameTransport, FrameTransport]): void {
  describe(name, () => {
    const open: FrameTransport[] = [];

    const pipe = (): [FrameTransport, FrameTransport] => {
      const ends = newPipe();
      open.push(...ends);
      return ends;
    };

    afterEach(() => {
      for (const end of open.splice(0)) end.close();
    });

    test("frames arrive whole and in order", async () => {
      const [a, b] = pipe();
      const arrived = listen(b);
      const sent = Array.from({ length: 500 }, (_, n) => [n & 255, n >> 8]);
      for (const bytes of sent) a.send(Uint8Array.from(bytes));
      await until(() => arrived.length === sent.length);
      expect(arrived).toEqual(sent);
    });

    test("both directions work at once", async () => {
      const [a, b] = pipe();
      const [atA, atB] = [listen(a), listen(b)];
      a.send(Uint8Array.of(1));
      b.send(Uint8Array.of(2));
      a.send(Uint8Array.of(3));
      await until(() => atA.length === 1 && atB.length === 2);
      expect([atA, atB]).toEqual([[[2]], [[1], [3]]]);
    });

    test("an answer can be sent from within the listener", async () => {
      const [a, b] = pipe();
      const atA = listen(a);
      b.onFrame((frame) => b.send(Uint8Array.of((frame[0] as number) + 1)));
      a.send(Uint8Array.of(1));
      await until(() => atA.length === 1);
      expect(atA).toEqual([[2]]);
    });

    test("an empty frame is a frame", async () => {
      const [a, b] = pipe();
      const arrived = listen(b);
      a.send(new Uint8Array(0));
      await until(() => arrived.length === 1);
      expect(arrived).toEqual([[]]);
    });

    test("of a view only what it shows is sent", async () => {
      const [a, b] = pipe();
      const arrived = listen(b);
      a.send(Uint8Array.of(1, 2, 3, 4).subarray(1, 3));
      await until(() => arrived.length === 1);
      expect(arrived).toEqual([[2, 3]]);
    });

    test("a frame that was sent is given away", async () => {
      const [a, b] = pipe();
      const arrived = listen(b);
      const frame = Uint8Array.of(1, 1);
      a.send(frame);
      expect(frame).toHaveLength(0);
      await until(() => arrived.length === 1);
      expect(arrived).toEqual([[1, 1]]);
    });

    test("nothing is delivered within send", () => {
      const [a, b] = pipe();
      const arrived = listen(b);
      a.send(Uint8Array.of(1));
      expect(arrived).toEqual([]);
    });

    test("frames sent before anybody listens wait", async () => {
      const [a, b] = pipe();
      a.send(Uint8Array.of(1));
      a.send(Uint8Array.of(2));
      await turns(5);
      const arrived = listen(b);
      a.send(Uint8Array.of(3));
      await until(() => arrived.length === 3);
      expect(arrived).toEqual([[1], [2], [3]]);
    });

    test("a shared segment arrives in its place between frames, and is the same memory", async () => {
      const [a, b] = pipe();
      const arrived = listen(b);
      const segment = new SharedArrayBuffer(8);
      a.send(Uint8Array.of(1));
      a.share(segment);
      a.send(Uint8Array.of(2));
      await until(() => arrived.length === 3);
      expect([arrived[0], arrived[2]]).toEqual([[1], [2]]);
      new Uint8Array(segment)[0] = 42;
      expect(new Uint8Array(arrived[1] as SharedArrayBuffer)[0]).toBe(42);
    });

    test("close comes once at both ends, behind the last frame", async () => {
      const [a, b] = pipe();
      const [atA, atB] = [listen(a), listen(b)];
      for (let n = 0; n < 100; n++) a.send(Uint8Array.of(n));
      a.close();
      a.close();
      await until(() => atA.includes("closed") && atB.includes("closed"));
      await turns(5);
      expect(atA).toEqual(["closed"]);
      expect(atB).toEqual([...Array.from({ length: 100 }, (_, n) => [n]), "closed"]);
    });

    test("frames sent before the close wait for a listener that comes later, and the close waits behind them", async () => {
      const [a, b] = pipe();
      a.send(Uint8Array.of(1));
      a.send(Uint8Array.of(2));
      a.close();
      await turns(5);
      const arrived = listen(b);
      await until(() => arrived.includes("closed"));
      await turns(5);
      expect(arrived).toEqual([[1], [2], "closed"]);
    });

    test("a close is not heard within close()", () => {
      const [a, b] = pipe();
      const [atA, atB] = [listen(a), listen(b)];
      a.close();
      expect([atA, atB]).toEqual([[], []]);
    });

    test("sending and sharing after the close do nothing, at either end", async () => {
      const [a, b] = pipe();
      const [atA, atB] = [listen(a), listen(b)];
      a.close();
      a.send(Uint8Array.of(1));
      a.share(new SharedArrayBuffer(8));
      await until(() => atA.includes("closed") && atB.includes("closed"));
      b.send(Uint8Array.of(2));
      b.share(new SharedArrayBuffer(8));
      await turns(5);
      expect([atA, atB]).toEqual([["closed"], ["closed"]]);
    });

    test("both ends may close at once", async () => {
      const [a, b] = pipe();
      const [atA, atB] = [listen(a), listen(b)];
      a.close();
      b.close();
      await until(() => atA.includes("closed") && atB.includes("closed"));
      await turns(5);
      expect([atA, atB]).toEqual([["closed"], ["closed"]]);
    });
  });
}

function listen(end: FrameTransport): Arrival[] {
  const arrived: Arrival[] = [];
  end.onShare((segment) => arrived.push(segment));
  end.onFrame((frame) => arrived.push([...frame]));
  end.onClose(() => arrived.push("closed"));
  return arrived;
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** More turns of the event loop than anything in here needs by far. */
const PATIENCE = 20_000;

/** Waits for a condition; one that never comes true is left to the assertion behind it. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < PATIENCE && !condition(); turn++) await turns(1);
}
