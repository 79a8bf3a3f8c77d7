/** After a file's hosts are shut down nothing of them is left: no threads, no ports, no timers. */
import { afterAll, beforeAll, expect } from "vitest";

/** Long enough for ports to close on a busy machine; it catches leaks, it does not measure. */
const SETTLE_MAX_MS = 8000;
/** What a host uses. The test runner's own pipes and sockets come and go, and are none of a host's. */
const OURS = new Set(["Worker", "MessagePort", "Timeout", "Immediate"]);

function activeResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) if (OURS.has(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** Call once at the top of a file, before any hook that opens a host: hooks behind it run inside it. */
export function expectNoLeaks(): void {
  let before: Record<string, number> = {};
  beforeAll(() => {
    before = activeResources();
  });
  afterAll(async () => {
    const grown = (): Record<string, number> => {
      const now = activeResources();
      return Object.fromEntries(Object.keys(now).flatMap((kind) => ((now[kind] ?? 0) > (before[kind] ?? 0) ? [[kind, (now[kind] ?? 0) - (before[kind] ?? 0)]] : [])));
    };
    for (const until = Date.now() + SETTLE_MAX_MS; Object.keys(grown()).length > 0 && Date.now() < until; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(grown()).toEqual({});
  });
}
