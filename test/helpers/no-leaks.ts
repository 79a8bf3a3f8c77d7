/** After a file's hosts are shut down nothing of them is left: no threads, no ports, no timers. */
import type { Worker } from "node:worker_threads";

import { afterAll, beforeAll, expect } from "vitest";

/** Long enough for ports to close on a busy machine; it catches leaks, it does not measure. */
const SETTLE_MAX_MS = 8000;
/** The runner has timers of its own when a file starts; they are gone after this. */
const RUNNER_SETTLE_MS = 150;
/** What a host uses and Node counts. The test runner's own pipes and sockets come and go, and are none of a host's. */
const OURS = new Set(["Worker", "MessagePort", "Timeout", "Immediate"]);

function activeResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) if (OURS.has(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** Call once at the top of a file, before any hook that opens a host: hooks behind it run inside it. */
export function expectNoLeaks(): void {
  let before: Record<string, number> = {};
  // Node does not count threads that are unreferenced, so they are counted as they come and go.
  const threads = new Set<Worker>();
  const watch = (worker: Worker): void => {
    threads.add(worker);
    worker.once("exit", () => threads.delete(worker));
  };
  const left = (): Record<string, number> => {
    const grown = Object.entries(activeResources()).map(([kind, count]) => [kind, count - (before[kind] ?? 0)] as const);
    return Object.fromEntries([["threads", threads.size] as const, ...grown].filter(([, count]) => count > 0));
  };
  beforeAll(async () => {
    await new Promise((resolve) => setTimeout(resolve, RUNNER_SETTLE_MS));
    before = activeResources();
    process.on("worker", watch);
  });
  afterAll(async () => {
    for (const until = Date.now() + SETTLE_MAX_MS; Object.keys(left()).length > 0 && Date.now() < until;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    process.off("worker", watch);
    expect(left()).toEqual({});
  });
}
