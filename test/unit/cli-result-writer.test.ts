import { Writable } from "node:stream";

import { describe, expect, test } from "vitest";

import { ResultWriter } from "../../src/cli/result-writer.ts";

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A stream that takes a write only when the test lets it. */
class SlowStream extends Writable {
  text = "";
  writes = 0;
  #take: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 16 });
  }
  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error) => void): void {
    this.writes++;
    this.#take = () => {
      this.text += chunks.map(({ chunk }) => String(chunk)).join("");
      callback();
    };
  }
  async take(): Promise<void> {
    await settled();
    if (this.#take === undefined) throw new Error("nothing was written");
    this.#take();
    this.#take = undefined;
    await settled();
  }
}

const failing = (code: string): Writable =>
  new Writable({ write: (_chunk, _encoding, callback) => callback(Object.assign(new Error(`failed: ${code}`), { code })) });

describe("result writer", () => {
  test("W1: records in order, those of one tick in one write, back-pressure until the drain", async () => {
    const stream = new SlowStream();
    const writer = new ResultWriter(stream, () => expect.unreachable());
    expect(writer.write({ n: 1 })).toBeUndefined();
    const full = writer.write({ n: 2, text: "long enough" });
    let isDrained = false;
    const drained = Promise.resolve(full).then(() => (isDrained = true));
    expect(full).toBeInstanceOf(Promise);
    expect(writer.write({ n: 3 })).toBe(full);
    await settled();
    expect({ isDrained, writes: stream.writes }).toEqual({ isDrained: false, writes: 1 });
    await stream.take();
    await drained;
    expect(stream.text).toBe('{"n":1}\n{"n":2,"text":"long enough"}\n{"n":3}\n');
  });

  test("flush waits for everything written, and leaves the stream open", async () => {
    const stream = new SlowStream();
    const writer = new ResultWriter(stream, () => expect.unreachable());
    void writer.write({ n: 1 });
    let isFlushed = false;
    const flushed = writer.flush().then(() => (isFlushed = true));
    await settled();
    expect(isFlushed).toBe(false);
    await stream.take();
    await flushed;
    expect([stream.text, stream.writableEnded]).toEqual(['{"n":1}\n', false]);
  });

  test("end closes the stream", async () => {
    const stream = new SlowStream();
    const writer = new ResultWriter(stream, () => expect.unreachable());
    void writer.write({ n: 1 });
    const ended = writer.end();
    await stream.take();
    await ended;
    expect([stream.text, stream.destroyed]).toEqual(['{"n":1}\n', true]);
  });

  test("W2: a failure is told once, whoever waits goes on, and nothing is written any more", async () => {
    const stream = failing("ENOSPC");
    const failures: (string | undefined)[] = [];
    const writer = new ResultWriter(stream, ({ code }) => failures.push(code));
    await writer.write({ text: "x".repeat(20_000) });
    expect(writer.write({ n: 2 })).toBeUndefined();
    await Promise.all([writer.flush(), writer.end()]);
    expect(failures).toEqual(["ENOSPC"]);
  });

  test("W2: a failure that comes with the flush or the end is told too", async () => {
    for (const last of ["flush", "end"] as const) {
      const failures: (string | undefined)[] = [];
      const writer = new ResultWriter(failing("EPIPE"), ({ code }) => failures.push(code));
      void writer.write({ n: 1 });
      await writer[last]();
      expect(failures).toEqual(["EPIPE"]);
    }
  });
});
