/** The turn lock under real contention: threads that share nothing but the slot table. */
import { Worker } from "node:worker_threads";

import { expect, test } from "vitest";

import { SlotTable, turnLock } from "../../dist/src/internal.js";
import { sharedHost, codeOf, deferred } from "../helpers/hosts.ts";

const THREADS = 4;
const ROUNDS = 5000;

const host = sharedHost({ lanes: { count: 1 } });

test("G1, R1: threads that contend for one slot's lock are never inside it together", async () => {
  const table = new SlotTable();
  table.addSegment();
  table.claim(0);
  const counters = new SharedArrayBuffer(4 * 4);
  const fixture = new URL("../fixtures/lock-contender.mjs", import.meta.url);
  const reports = await Promise.all(
    Array.from({ length: THREADS }, (_, index) => {
      const workerData = { segments: table.segments, counters, rounds: ROUNDS, word: index + 1, threads: THREADS };
      return new Promise<{ lost: number; foreignUnlocks: number }>((resolve, reject) => {
        const worker = new Worker(fixture, { workerData });
        worker.once("message", resolve);
        worker.once("error", reject);
      });
    }),
  );
  const [started, inside, overlaps, wins] = new Int32Array(counters);
  expect({ started, inside, overlaps, wins }).toEqual({ started: THREADS, inside: 0, overlaps: 0, wins: THREADS * ROUNDS });
  expect(reports.map(({ foreignUnlocks }) => foreignUnlocks)).toEqual(reports.map(() => 0));
  expect(turnLock.lockHolder(table, 0)).toBe(0);
});

test("G1: a lock that another thread's turn holds refuses, an interrupt reaches that turn only, and the seal decides", () => {
  const table = new SlotTable();
  table.addSegment();
  table.claim(0);
  const [first, second] = [7, 8];
  expect(turnLock.tryLock(table, 0, first)).toBe(true);
  expect(turnLock.tryLock(table, 0, second)).toBe(false);
  expect(turnLock.requestInterrupt(table, 0, second)).toBe("not_running");
  expect(turnLock.requestInterrupt(table, 0, first)).toBe("asked");
  expect(turnLock.seal(table, 0, first)).toBe("interrupted");
  expect(turnLock.unlock(table, 0, second)).toBe(false);
  expect(turnLock.unlock(table, 0, first)).toBe(true);
  expect(turnLock.tryLock(table, 0, second)).toBe(true);
  expect(turnLock.isInterruptRequested(table, 0, second)).toBe(false);
  expect(turnLock.seal(table, 0, second)).toBe("sealed");
  expect(turnLock.requestInterrupt(table, 0)).toBe("not_running");
});

test("G1, A10: main takes the lock of a turn, the lane's thread frees it, thousands of times", async () => {
  const service = host();
  const id = await deferred(service);
  let ok = 0;
  // Each round offers two turns of which one is admitted; the next round starts as soon as the lane's result is here.
  for (let round = 0; round < 2000; round++) {
    const codes = await Promise.all([codeOf(service.startTurn(id, { prompt: "a" })), codeOf(service.startTurn(id, { prompt: "b" }))]);
    if (codes.join() === "ok,SESSION_BUSY") ok++;
  }
  expect(ok).toBe(2000);
  expect((await service.read(id)).state.messageCount).toBe(4000);
});
