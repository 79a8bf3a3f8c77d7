import { PassThrough } from "node:stream";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Progress, progressStyle } from "../../src/cli/progress.ts";
import { RunReport } from "../../src/cli/run-report.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const read = (stream: PassThrough): string => String(stream.read() ?? "");

test("a bar needs a terminal of its own; without one there are plain lines", () => {
  expect(progressStyle(false, true, false)).toBe("bar");
  expect(progressStyle(false, true, true)).toBe("none");
  expect(progressStyle(false, false, false)).toBe("plain");
  expect(progressStyle(false, false, true)).toBe("plain");
  expect(progressStyle(true, true, false)).toBe("none");
});

test("plain: one line every two seconds at most, none after the stop", () => {
  const stream = new PassThrough();
  const { counts } = new RunReport();
  const progress = new Progress({ stream, style: "plain", counts, totalBytes: undefined });
  vi.advanceTimersByTime(1999);
  expect(read(stream)).toBe("");
  Object.assign(counts, { done: 10, read: 30 });
  vi.advanceTimersByTime(4001);
  expect(read(stream)).toMatch(/^(10 of 30 turns read, \d+\.\d turns\/s\n){3}$/);
  progress.stop();
  vi.advanceTimersByTime(10_000);
  expect([read(stream), vi.getTimerCount()]).toEqual(["", 0]);
});

test.each([
  [1000, /20 % \| 10 of 20 turns read/],
  [undefined, /10 of 20 turns read/],
])("bar of what has settled, for an input of %s bytes", (totalBytes, shown) => {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 120 });
  const { counts } = new RunReport();
  const progress = new Progress({ stream, style: "bar", counts, totalBytes });
  Object.assign(counts, { done: 10, read: 20, bytes: 400 });
  vi.advanceTimersByTime(1000);
  expect(read(stream)).toMatch(shown);
  progress.stop();
  read(stream);
  vi.advanceTimersByTime(10_000);
  expect([read(stream), vi.getTimerCount()]).toEqual(["", 0]);
});

test("none: nothing, and no timer", () => {
  const stream = new PassThrough();
  new Progress({ stream, style: "none", counts: new RunReport().counts, totalBytes: 5 });
  expect([read(stream), vi.getTimerCount()]).toEqual(["", 0]);
});
