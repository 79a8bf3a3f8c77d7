/** The parts of a run whose sessions are stored: ids of lines, what earlier runs have written, the file that is added to, what is left. */
import { setTimeout as sleep } from "node:timers/promises";
import { Readable } from "node:stream";

import { describe, expect, test } from "vitest";

import { Batch } from "../../src/cli/batch.ts";
import { UsageError } from "../../src/cli/command-io.ts";
import { NO_RESULTS, readEarlierResults } from "../../src/cli/earlier-results.ts";
import { LineIds } from "../../src/cli/line-ids.ts";
import { ResultFile } from "../../src/cli/result-file.ts";
import { RunReport } from "../../src/cli/run-report.ts";
import { StoredNames } from "../../src/cli/stored-names.ts";
import type { SessionService } from "../../src/host/session-service.ts";
import { SessionError } from "../../src/protocol/errors.ts";

const usage = { inputTokens: 0, outputTokens: 0 };

describe("line ids", () => {
  test("an id of its own, or none; a second line of that id is told which the first is", () => {
    const ids = new LineIds(false);
    expect(ids.take(1, { session: "a", prompt: "x", id: "k" })).toEqual({ id: "k" });
    expect(ids.take(2, { session: "a", prompt: "x" })).toEqual({ id: undefined });
    expect(ids.take(3, { session: "b", prompt: "y", id: "k" })).toEqual({ problem: "id: is that of line 1" });
  });

  test("made ones depend on what the line says and on which of its like it is, not on where it stands", () => {
    const take = (...lines: [session: string, prompt: string][]): unknown[] => {
      const ids = new LineIds(true);
      return lines.map(([session, prompt], at) => (ids.take(at + 1, { session, prompt }) as { id: string }).id);
    };
    const [x1, y, x2] = take(["a", "x"], ["a", "y"], ["a", "x"]);
    expect(new Set([x1, y, x2]).size).toBe(3);
    expect(take(["b", "x"], ["a", "x"], ["a", "x"]).slice(1)).toEqual([x1, x2]);
    expect(take(["a", "y"])).toEqual([y]);
  });
});

describe("earlier results", () => {
  const read = (text: string, cut = 7): ReturnType<typeof readEarlierResults> =>
    readEarlierResults(
      Readable.from(Array.from({ length: Math.ceil(text.length / cut) }, (_, n) => Buffer.from(text.slice(n * cut, (n + 1) * cut)))),
    );
  const done = (id: string, turn: number, ok = true): string => `${JSON.stringify({ session: "a", id, turn, line: turn, ok })}\n`;

  test("ids, bad lines, turns by session, and how far whole lines go; a cut-off line does not count", async () => {
    const bad = `${JSON.stringify({ line: 3, ok: false, error: { code: "INVALID_PARAMS", message: "line 3: no" } })}\n`;
    const event = `${JSON.stringify({ event: {}, session: "a", turn: 9 })}\n`;
    const good = `${JSON.stringify({ session: "b", id: "w", turn: 3, line: 4, ok: true, text: "" })}\n`;
    const whole = done("x", 1) + bad + event + done("y", 2, false) + good;
    for (const torn of ["", "{", done("z", 3).slice(0, -1), event.slice(0, 9), bad.slice(0, 8)]) {
      for (const cut of [1, 7, 10_000]) {
        expect(await read(whole + torn, cut)).toEqual({
          done: new Map([
            ["x", true],
            ["y", false],
            ["w", true],
          ]),
          badLines: new Set(["line 3: no"]),
          turns: new Map([
            ["a", 2],
            ["b", 3],
          ]),
          kept: new Set(["b"]),
          bytes: whole.length,
        });
      }
    }
  });

  test.each([
    ["hello\n", "its line 1 is no result of a run with --store"],
    ["hello", "its line 1 is no result of a run with --store"],
    [`${done("x", 1)}{"sessions`, "its line 2 is no result of a run with --store"],
    [`${done("x", 1)}[]\n`, "its line 2 is no result of a run with --store"],
    ['{"session":"a","turn":1,"line":1,"ok":true}\n', "its line 1 has no id"],
  ])("%j is something else", async (text, message) => {
    for (const cut of [1, 10_000]) await expect(read(text, cut)).rejects.toThrow(message);
  });
});

describe("result file", () => {
  function harness(isSynced: boolean, failAt = Infinity) {
    const calls: string[] = [];
    const failures: unknown[] = [];
    const act = async (what: string): Promise<void> => {
      await sleep(1);
      if (calls.push(what) >= failAt) throw new Error("disk full");
    };
    const file = { appendFile: (text: unknown) => act(String(text)), datasync: () => act("sync"), close: () => act("close") };
    return { calls, failures, results: new ResultFile(file as never, isSynced, (error) => failures.push(error)) };
  }

  test("F1, F2: what is made meanwhile goes out as one write, in order; a write resolves behind its sync", async () => {
    const { calls, results } = harness(true);
    const first = results.write({ n: 1 });
    await sleep(0);
    const others = Promise.all([results.write({ n: 2 }), results.write({ n: 3 })]);
    await first;
    expect(calls.slice(0, 2)).toEqual(['{"n":1}\n', "sync"]);
    await others;
    await results.end();
    expect(calls).toEqual(['{"n":1}\n', "sync", '{"n":2}\n{"n":3}\n', "sync", "close"]);
  });

  test("F3: a failure is told once, and nobody waits", async () => {
    const { calls, failures, results } = harness(false, 2);
    await results.write({ n: 1 });
    await results.write({ n: 2 });
    await results.write({ n: 3 });
    await results.end();
    expect([calls.length, failures.length]).toEqual([2, 1]);
  });
});

describe("stored names", () => {
  const names = (labels: Record<string, string> | undefined, agent = "echo"): StoredNames =>
    new StoredNames({ list: async () => (labels === undefined ? [] : [{ sessionId: "id-1", labels }]) as never }, agent);
  const stored = names(undefined).labelled("a", { team: "x" });

  test("a session is found by the labels it was created with, and shows its own", async () => {
    expect(await names(undefined).find("a")).toBeUndefined();
    expect(await names(stored).find("a")).toEqual({ id: "id-1", labels: { team: "x" } });
  });

  test("another agent is refused", async () => {
    await expect(names(stored, "mine.mjs").find("a")).rejects.toThrow(UsageError);
  });
});

describe("batch over a store", () => {
  /** A service whose turns say what their prompts name: "text", "fail", "store" (the store failed). */
  function harness(lines: readonly object[], earlier: Partial<Awaited<ReturnType<typeof readEarlierResults>>> = {}) {
    const ran: unknown[] = [];
    const written: object[] = [];
    const service = {
      list: async () => [],
      createSession: async () => ({ sessionId: "id" }),
      startTurn: async (_id: string, { prompt, idempotencyKey }: { prompt: string; idempotencyKey?: string }) => {
        ran.push([prompt, idempotencyKey]);
        if (prompt === "fail") throw new SessionError("AGENT_ERROR", "no");
        if (prompt === "store") throw new SessionError("SESSION_STORE_ERROR", "full");
        return { text: prompt, usage };
      },
    } as unknown as SessionService;
    const report = new RunReport();
    const batch = new Batch({
      input: {
        name: "in",
        chunks: Readable.from([Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))]),
        sizeBytes: undefined,
        stats: undefined,
      },
      service,
      writer: { write: (record) => void written.push(record) },
      report,
      timeoutMs: undefined,
      hasEvents: false,
      stored: {
        names: new StoredNames(service, "echo"),
        earlier: { ...NO_RESULTS, ...earlier },
        maxSessions: undefined,
      },
    });
    return { ran, written, report, batch };
  }

  test("lines that are done are not run, and turns are numbered on; a turn's key is its line's id", async () => {
    const lines = ["1", "2", "3"].map((id) => ({ session: "a", prompt: `p${id}`, id }));
    const done = new Map([
      ["1", true],
      ["2", false],
    ]);
    const { ran, written, report, batch } = harness(lines, { done, turns: new Map([["a", 2]]) });
    await batch.run();
    expect(ran).toEqual([["p3", "3"]]);
    expect(written).toMatchObject([{ session: "a", id: "3", turn: 3, line: 3, ok: true }]);
    expect(report.counts).toMatchObject({ read: 1, done: 1, earlier: 2, earlierFailed: 1 });
    expect([report.isClean, batch.isComplete]).toEqual([false, true]);
  });

  test("B3: what could not be decided has no result, and the session's other lines wait for another run", async () => {
    const lines = ["fail", "store", "text"].flatMap((prompt) =>
      ["a", "b"].map((session) => ({ session, prompt: session === "b" ? "text" : prompt })),
    );
    const { ran, written, report, batch } = harness(lines);
    await batch.run();
    expect(ran.map((turn) => (turn as string[])[0] as string).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      "fail",
      "store",
      "text",
      "text",
      "text",
    ]);
    expect(written.map((record) => (record as { line: number }).line).toSorted((a, b) => a - b)).toEqual([1, 2, 4, 6]);
    expect(report.counts).toMatchObject({ read: 6, done: 5, failed: 2, undecided: 1 });
  });

  test("B4: no line starts its turn before the result of the one before it is written", async () => {
    const lines = [
      { session: "a", prompt: "one" },
      { session: "a", prompt: "two", onBusy: "enqueue" },
      { session: "a", prompt: "three", onBusy: "reject" },
    ];
    const { ran, written, batch } = harness(lines);
    await batch.run();
    expect(ran.map((turn) => (turn as string[])[0])).toEqual(["one", "three"]);
    expect(written).toContainEqual(
      expect.objectContaining({ line: 2, error: { code: "INVALID_PARAMS", message: "line 2: onBusy: is not for a run with a store" } }),
    );
  });

  test("a session with results that is not in the store ends the run: it is another one's store, or the session was taken away", async () => {
    const { ran, batch } = harness([{ session: "a", prompt: "more" }], { turns: new Map([["a", 1]]), kept: new Set(["a"]) });
    await expect(batch.run()).rejects.toThrow("session a has results in the output and is not in the store");
    expect(ran).toEqual([]);
  });

  test("a bad line that stands in the output already is not written again", async () => {
    const { written, report, batch } = harness([{ session: "a" }, { session: 1 }], {
      badLines: new Set(["line 1: prompt: must be a string"]),
    });
    await batch.run();
    expect(written).toMatchObject([{ line: 2, ok: false }]);
    expect(report.counts.badLines).toBe(2);
  });
});
