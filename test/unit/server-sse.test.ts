import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { SseLimits } from "../../src/server/sse.ts";
import { SseStreams } from "../../src/server/sse.ts";

const LIMITS: SseLimits = { heartbeatMs: 15_000, writeTimeoutMs: 30_000, streamBufferBytes: 256 * 1024, streamsMax: 10 };

/** An answer that nobody takes anything of. */
const untaken = (): ServerResponse => new ServerResponse(new IncomingMessage(new Socket()));

const streamsOf = (limits: Partial<SseLimits> = {}): SseStreams => new SseStreams({ ...LIMITS, ...limits });

describe("SseStream", () => {
  test("what is said behind the end is said to nobody, and breaks nothing", async () => {
    const streams = streamsOf();
    const outgoing = untaken();
    const failures: unknown[] = [];
    const stream = streams.open(outgoing, []);
    stream.send("x".repeat(100_000));
    streams.closeAll();
    outgoing.on("error", (error) => failures.push(error));
    const length = outgoing.writableLength;
    stream.send("data: 1\n\n");
    stream.end("data: 2\n\n");
    stream.tick(performance.now() + 20_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures).toEqual([]);
    expect(outgoing.writableLength).toBe(length);
    expect(stream.isOpen).toBe(false);
    expect(await stream.ready()).toBe(false);
  });

  test("who waits for room when the stream ends is told", async () => {
    const stream = streamsOf({ streamBufferBytes: 10 }).open(untaken(), []);
    stream.send("x".repeat(100_000));
    const ready = stream.ready();
    stream.end();
    expect(await ready).toBe(false);
  });

  test("a second error of its connection is heard, too", () => {
    const outgoing = untaken();
    streamsOf().open(outgoing, []);
    outgoing.emit("error", new Error("first"));
    expect(() => outgoing.emit("error", new Error("second"))).not.toThrow();
  });

  test("V1: there is room when Node would tell of none coming: a bound below its own is no bound", async () => {
    const stream = streamsOf({ streamBufferBytes: 10 }).open(untaken(), []);
    stream.send("x".repeat(100));
    expect(await stream.ready()).toBe(true);
  });
});

describe("SseStreams", () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
  afterEach(() => vi.useRealTimers());

  test("a client that has gone before its stream begins leaves no timer behind", () => {
    const streams = streamsOf();
    const [one, gone] = [untaken(), untaken()];
    streams.open(one, []);
    gone.destroy();
    streams.open(gone, []);
    expect(streams.size).toBe(1);
    expect(vi.getTimerCount()).toBe(1);
    one.emit("close");
    expect(streams.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    streams.open(untaken(), []);
    expect(vi.getTimerCount()).toBe(1);
  });

  test("a stream that is opened when all have been ended is ended", () => {
    const streams = streamsOf();
    streams.closeAll();
    const outgoing = untaken();
    expect(streams.open(outgoing, []).isOpen).toBe(false);
    expect(outgoing.writableEnded).toBe(true);
    expect(outgoing.statusCode).toBe(200);
  });
});
