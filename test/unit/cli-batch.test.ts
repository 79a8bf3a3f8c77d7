import { Readable, Writable } from "node:stream";

import { describe, expect, test } from "vitest";

import { Batch } from "../../src/cli/batch.ts";
import { ResultWriter } from "../../src/cli/result-writer.ts";
import { RunReport } from "../../src/cli/run-report.ts";
import type { SessionService } from "../../src/host/session-service.ts";

const settled = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 20));
const usage = { inputTokens: 0, outputTokens: 0 };

/** A service whose turns end at once, or never when the prompt says "wait". */
function fakeService(): SessionService {
  let created = 0;
  return {
    createSession: async () => ({ text: "", sessionId: `id-${++created}`, turns: 0, toolCalls: 0, usage }),
    startTurn: async (sessionId: string, { prompt }: { prompt: string }, { signal }: { signal: AbortSignal }) => {
      if (prompt === "wait") await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      return { text: prompt, sessionId, turns: 1, toolCalls: 0, usage };
    },
  } as unknown as SessionService;
}

/** Endless lines, and how many were taken. */
function endlessInput(lineOf: (n: number) => string): { chunks: Readable; taken: () => number } {
  let lines = 0;
  const chunks = Readable.from(
    (function* () {
      for (;;) yield Buffer.from(`${lineOf(++lines)}\n`);
    })(),
    { objectMode: true, highWaterMark: 1 },
  );
  return { chunks, taken: () => lines };
}

function batchOf(chunks: Readable, output: Writable): { batch: Batch; report: RunReport } {
  const report = new RunReport();
  const batch = new Batch({
    input: { name: "the input", chunks, sizeBytes: undefined, stats: undefined },
    service: fakeService(),
    writer: new ResultWriter(output, () => {}),
    report,
    timeoutMs: undefined,
    hasEvents: false,
  });
  return { batch, report };
}

const sink = (): Writable => new Writable({ write: (_chunk, _encoding, callback) => callback() });

describe("batch", () => {
  test.each([
    ["many sessions", (n: number) => `{"session":"s${n}","prompt":"x"}`],
    ["one session", () => '{"session":"s","prompt":"x"}'],
    ["bad lines", () => "not a turn"],
  ])("B1: an output that takes nothing stops the reading: %s", async (_, lineOf) => {
    const { chunks, taken } = endlessInput(lineOf);
    const stuck = new Writable({ highWaterMark: 1, write: () => {} });
    const { batch, report } = batchOf(chunks, stuck);
    const run = batch.run();
    await settled();
    const before = taken();
    expect(before).toBeLessThanOrEqual(1030);
    await settled();
    expect(taken()).toBe(before);
    batch.stop();
    stuck.destroy(new Error("gone")); // whoever waits for the drain goes on
    await run;
    expect(report.counts.done).toBeLessThanOrEqual(1024);
  });

  test("turns that never end stop the reading at the look-ahead", async () => {
    const { chunks, taken } = endlessInput((n) => `{"session":"s${n % 2}","prompt":"wait"}`);
    const { batch, report } = batchOf(chunks, sink());
    const run = batch.run();
    await settled();
    expect([batch.running, taken() <= 1030]).toEqual([2, true]);
    batch.interrupt();
    await run;
    expect(report.counts).toMatchObject({ read: 1025, done: 2, failed: 2, interrupted: 2 });
    expect(batch.isComplete).toBe(false);
  });

  test("large lines fill the look-ahead by their bytes", async () => {
    const prompt = "y".repeat(1024 * 1024);
    const { chunks, taken } = endlessInput((n) => (n === 1 ? '{"session":"s","prompt":"wait"}' : `{"session":"s","prompt":"${prompt}"}`));
    const { batch } = batchOf(chunks, sink());
    const run = batch.run();
    await settled();
    await settled();
    expect(taken()).toBeGreaterThan(8);
    expect(taken()).toBeLessThan(24);
    batch.interrupt();
    await run;
  });

  test("an input that fails half-way: what was read is run, and the reason is told", async () => {
    const chunks = Readable.from(
      (async function* () {
        yield Buffer.from('{"session":"a","prompt":"1"}\n{"session":"a","prompt":"2"}\n{"session"');
        throw new Error("EIO: i/o error, read");
      })(),
    );
    const { batch, report } = batchOf(chunks, sink());
    expect(await batch.run()).toBe("cannot read the input: EIO: i/o error, read");
    expect(report.counts).toMatchObject({ read: 2, done: 2, failed: 0, badLines: 0 });
    expect(batch.isComplete).toBe(false);
  });

  test("a stop that comes when everything was read and nothing is queued cuts nothing short", async () => {
    const { batch, report } = batchOf(Readable.from([Buffer.from('{"session":"a","prompt":"1"}\n')]), sink());
    await batch.run();
    batch.stop();
    expect([batch.isComplete, report.isClean]).toEqual([true, true]);
  });

  test("B2: a line that turns out bad when its turn comes is a bad line, not a turn", async () => {
    const lines = [
      '{"session":"a","prompt":"1","labels":{"k":"v"}}',
      '{"session":"a","prompt":"2","labels":{}}',
      "",
      '{"session":"a","prompt":"3"}',
    ];
    const { batch, report } = batchOf(Readable.from([Buffer.from(lines.join("\n"))]), sink());
    await batch.run();
    expect(report.counts).toMatchObject({ read: 2, done: 2, failed: 0, badLines: 1, sessions: 1 });
  });
});
