/** What the dashboard works out before it shows it. */
import { describe, expect, test } from "vitest";

import type { HostReport, Message, SessionSummary, WarrenClient } from "../../src/client/index.ts";
import { WarrenClientError } from "../../src/client/index.ts";
import { age, milliseconds, percent, rough, shortId } from "../../src/dashboard/format.ts";
import { parseLabels } from "../../src/dashboard/labels.ts";
import { withoutTurns } from "../../src/dashboard/own-messages.ts";
import { sampleOf } from "../../src/dashboard/rates.ts";
import { findSessions } from "../../src/dashboard/session-search.ts";

const report = (turns: Partial<HostReport["turns"]>, members: object = {}): HostReport => ({ turns, ...members }) as unknown as HostReport;

describe("rates", () => {
  const before = { atMs: 10_000, report: report({ running: 0, settled: 100, failed: 1 }) };

  test("come from two looks at the counters", () => {
    const look = { atMs: 12_000, report: report({ running: 5, settled: 150, failed: 3 }) };
    expect(sampleOf(look, undefined)).toMatchObject({ atS: 12, turnsPerS: undefined, failedPerS: undefined, typicalMs: undefined });
    expect(sampleOf(look, before)).toEqual({ atS: 12, turnsPerS: 25, failedPerS: 1, typicalMs: 200, slowMs: undefined, isMeasured: false });
  });

  test("are the host's own where it measures them", () => {
    const recent = { turnsPerS: 7, latencyMs: { p50: 3, p95: 5, p99: 9 } };
    const look = { atMs: 11_000, report: report({ running: 5, settled: 150, failed: 1 }, { recent }) };
    expect(sampleOf(look, before)).toMatchObject({ turnsPerS: 7, failedPerS: 0, typicalMs: 3, slowMs: 9, isMeasured: true });
    const quiet = { atMs: 11_000, report: report({ running: 0, settled: 100, failed: 1 }, { recent: { turnsPerS: 0 } }) };
    expect(sampleOf(quiet, before)).toMatchObject({ turnsPerS: 0, typicalMs: undefined, slowMs: undefined });
  });

  test("a host that was opened anew counts from zero, and no rate is negative", () => {
    const look = { atMs: 11_000, report: report({ running: 0, settled: 2, failed: 0 }) };
    expect(sampleOf(look, before)).toMatchObject({ turnsPerS: 0, failedPerS: 0 });
  });
});

test("labels are name=value, with commas or blanks between", () => {
  expect(parseLabels(" a=1, b=x=y  rest c= =d more")).toEqual({ labels: { a: "1", b: "x=y", c: "" }, rest: "rest =d more" });
  expect(Object.getPrototypeOf(parseLabels("__proto__=x").labels)).toBe(Object.prototype);
});

test("numbers are short", () => {
  expect([rough(0.12345), rough(12.34), rough(12_345.6), percent(0.834)]).toEqual(["0.123", "12.3", "12,346", "83 %"]);
  expect([milliseconds(undefined), milliseconds(1.234), milliseconds(12_000)]).toEqual(["–", "1.23 ms", "12 s"]);
  expect([0, 59, 60, 7200, 180_000].map((s) => age(0, s * 1000))).toEqual(["0 s", "59 s", "1 min", "2 h", "2 d"]);
  expect([shortId("short"), shortId("01a201d5-1a76-7309-9400-72142d4c1265")]).toEqual(["short", "01a201d5…4c1265"]);
});

test("messages of turns that are shown are told from others", () => {
  const messages = ["a", "b", "a", "c"].flatMap((prompt) => [
    { role: "user", content: prompt },
    { role: "assistant", content: prompt.toUpperCase() },
  ]) as Message[];
  const left = (...prompts: string[]): string =>
    withoutTurns(messages, prompts)
      .map((message) => ("content" in message ? message.content : ""))
      .join("");
  expect([left(), left("b"), left("a", "a"), left("c"), left("b", "unknown")]).toEqual(["aAbBaAcC", "aAaAcC", "bBcC", "aAbBaA", "aAcC"]);
});

describe("search", () => {
  const ids = Array.from({ length: 1200 }, (_, index) => `session-${String(index).padStart(4, "0")}`);
  const summary = (sessionId: string): SessionSummary => ({ sessionId, labels: { nth: sessionId.slice(-1) } }) as unknown as SessionSummary;
  const asked: unknown[] = [];
  const client = {
    list: async (query: { labels?: Record<string, string>; limit: number; cursor?: string }) => {
      asked.push(query);
      const from = query.cursor === undefined ? 0 : ids.indexOf(query.cursor) + 1;
      const page = ids.slice(from, from + query.limit);
      const last = page.at(-1);
      return { data: page.map(summary), ...(last !== undefined && last !== ids.at(-1) && { nextCursor: last }) };
    },
    read: async () => {
      throw new WarrenClientError("SESSION_NOT_FOUND", "", { disposition: "give-up", status: 404 });
    },
  } as unknown as WarrenClient;

  test("nothing, or labels alone, is the server's to find", async () => {
    expect((await findSessions(client, "nth=3", undefined)).data).toHaveLength(50);
    expect(asked.splice(0)).toEqual([{ labels: { nth: "3" }, limit: 50, cursor: undefined }]);
  });

  test("a part of an id or label is looked for page by page, as far as it takes", async () => {
    expect((await findSessions(client, "SESSION-11", undefined)).data).toHaveLength(100);
    expect(await findSessions(client, "nth=1 session-", undefined)).toMatchObject({ nextCursor: "session-0499", isPartial: true });
    expect((await findSessions(client, "session-1199", undefined)).data.map(({ sessionId }) => sessionId)).toEqual(["session-1199"]);
  });

  test("a whole id that is none finds nothing", async () => {
    expect(await findSessions(client, "01a201d5-1a76-7309-9400-72142d4c1265", undefined)).toEqual({ data: [] });
  });
});
