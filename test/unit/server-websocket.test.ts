import { EventEmitter } from "node:events";

import { describe, expect, test } from "vitest";
import type { WebSocket } from "ws";

import type { EventEnvelope } from "../../src/protocol/events.ts";
import type { EventReader } from "../../src/server/event-feeds.ts";
import { Follower } from "../../src/server/websocket/follower.ts";
import { Socket } from "../../src/server/websocket/socket.ts";
import { wireOf } from "../../src/server/websocket/wire.ts";

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const BUFFER_BYTES = 1000;

/** A WebSocket whose client takes what it is sent when the test says so. */
class Slow extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  mostBytes = 0;
  readonly sent: { type: string; sessionId: string; envelope?: EventEnvelope }[] = [];
  #flushed: (() => void)[] = [];

  send(text: string, onFlushed: () => void): void {
    this.sent.push(JSON.parse(text));
    this.bufferedAmount += text.length;
    this.mostBytes = Math.max(this.mostBytes, this.bufferedAmount);
    this.#flushed.push(onFlushed);
  }

  async take(): Promise<void> {
    await soon();
    this.bufferedAmount = 0;
    for (const onFlushed of this.#flushed.splice(0)) onFlushed();
    await soon();
  }

  terminate(): void {
    this.readyState = 3;
    this.emit("close");
  }
}

const open = (): { raw: Slow; socket: Socket } => {
  const raw = new Slow();
  return { raw, socket: new Socket(raw as unknown as WebSocket, wireOf("warren.json"), BUFFER_BYTES) };
};

/** Events of some hundred bytes, as many as are read. */
function endless(): EventReader {
  let seq = 0;
  let hasLeft = false;
  const step = () => ({
    done: false as const,
    value: { eventId: "e", sourceId: "s", seq: ++seq, timestampMs: 1, payload: { type: "text_delta", delta: "x".repeat(200) } },
  });
  return {
    next: async () => (hasLeft ? { done: true, value: undefined } : step()),
    tryNext: () => (hasLeft ? undefined : step().value),
    return: async () => {
      hasLeft = true;
      return { done: true, value: undefined };
    },
  } as EventReader;
}

describe("Socket", () => {
  test("Y1: subscriptions of a slow client send one at a time, each in its turn", async () => {
    const { raw, socket } = open();
    const COUNT = 500;
    const runs = Array.from({ length: COUNT }, (_, i) => new Follower(`s${i}`, endless(), socket, 0).run());
    for (let i = 0; i < 400; i++) await raw.take();
    expect(raw.readyState).toBe(raw.OPEN);
    expect(raw.mostBytes).toBeLessThan(2 * BUFFER_BYTES);
    const counts = new Map<string, number>();
    for (const { sessionId } of raw.sent) counts.set(sessionId, (counts.get(sessionId) ?? 0) + 1);
    expect(counts.size).toBe(COUNT);
    expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(4);
    raw.terminate();
    await Promise.all(runs);
  });

  test("one that is left while its event waits for room sends it to nobody, and holds up no other", async () => {
    const { raw, socket } = open();
    const [one, other] = [new Follower("one", endless(), socket, 0), new Follower("other", endless(), socket, 0)];
    const running = one.run();
    await soon();
    void other.run();
    await soon();
    const before = raw.sent.length;
    const reached = one.upTo(Number.MAX_SAFE_INTEGER);
    await one.leave();
    await reached;
    for (let i = 0; i < 5; i++) await raw.take();
    await running;
    const later = raw.sent.slice(before).map(({ sessionId }) => sessionId);
    expect(new Set(later)).toEqual(new Set(["other"]));
    expect(later.length).toBeGreaterThan(5);
    raw.terminate();
  });
});

test("Follower: a gap takes back nothing of what was sent", async () => {
  const { raw, socket } = open();
  const steps = [3, 0].map((seq) => ({ done: false as const, value: { seq } as EventEnvelope }));
  const reader = { next: async () => steps.shift() ?? new Promise(() => {}), return: async () => ({ done: true, value: undefined }) };
  const follower = new Follower("s", reader as unknown as EventReader, socket, 0);
  void follower.run();
  while (raw.sent.length < 2) await raw.take();
  await follower.upTo(3);
  expect(raw.sent.map(({ envelope }) => envelope?.seq)).toEqual([3, 0]);
  raw.terminate();
});
