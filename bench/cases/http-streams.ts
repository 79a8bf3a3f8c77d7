/**
 * Many event streams at once: GET /v1/sessions/{id}/events from a process of its own, ten clients a session, and events at a steady rate
 * over all sessions. What an event takes from where it is made until a client has read it, and whether memory grows. Open loop.
 */
import { decodeFromCompressedBase64 } from "hdr-histogram-js";

import { arrivals } from "../harness/arrivals.ts";
import type { Contender, ContenderKind, Round } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { percentileUs } from "../harness/load.ts";
import { residentBytes } from "../harness/memory.ts";
import { assertOpenFiles } from "../harness/open-files.ts";
import { ClientProcess } from "../peers/client-process.ts";
import type { OpenStreamServer } from "../peers/event-streams.ts";
import { openHelperStreams, openWarrenStreams, openWrittenStreams } from "../peers/event-streams.ts";
import type { EventsRead, ReaderOrder } from "../peers/stream-readers-worker.ts";

interface Load {
  readonly sessions: number;
  /** Clients of each. */
  readonly clients: number;
  /** Events a second that clients are to read, all together. */
  readonly perSecond: number;
}

const ROUND_MS = 1000;
const WARM_UP_MS = 1500;
const MB = 1_000_000;

const READERS = new URL("../peers/stream-readers-worker.js", import.meta.url);

function contender(name: string, kind: ContenderKind, openServer: OpenStreamServer): Contender<Load> {
  return {
    name,
    kind,
    open: async ({ sessions, clients, perSecond }) => {
      assertOpenFiles(sessions * clients);
      const server = await openServer(sessions);
      const readers = new ClientProcess(READERS);
      const give = <T>(order: ReaderOrder): Promise<T> => readers.give<T>(order);
      await give({ do: "open", port: server.port, paths: Array.from({ length: sessions * clients }, (_, n) => pathOf(server.ids, n)) });

      const run = async (durationMs: number): Promise<EventsRead & { readonly firstNs: number }> => {
        await give({ do: "begin" });
        const emitted: Promise<unknown>[] = [];
        let firstNs = 0;
        await arrivals(perSecond / clients, durationMs, (n, dueNs) => {
          if (n === 0) firstNs = dueNs;
          const said = server.emit(n % sessions);
          said.catch(() => {}); // it is awaited below, when all have arrived
          emitted.push(said);
        });
        await Promise.all(emitted);
        const expected = emitted.length * clients;
        const read = await give<EventsRead>({ do: "await", events: expected });
        if (read.events !== expected) throw new Error(`${read.events} of ${expected} events were read`);
        return { ...read, firstNs };
      };
      await run(WARM_UP_MS);
      let firstRss: number | undefined;
      return {
        round: async (): Promise<Round> => {
          const cpu = process.cpuUsage();
          const { events, firstNs, lastNs, latencies: encoded } = await run(ROUND_MS);
          const { user, system } = process.cpuUsage(cpu);
          const latencies = decodeFromCompressedBase64(encoded);
          const rss = await residentBytes();
          firstRss ??= rss;
          return {
            figures: {
              perSecond: events / ((lastNs - firstNs) / 1e9),
              p50Us: percentileUs(latencies, 50),
              p99Us: percentileUs(latencies, 99),
              cpuUs: (user + system) / events,
              rssMb: rss / MB,
              grownMb: (rss - firstRss) / MB,
            },
            latencies,
          };
        },
        close: async () => {
          await readers.end();
          await server.close();
        },
      };
    },
  };
}

/** Of the n-th client: one of the first session, one of the second, and so on, around and around. */
function pathOf(ids: readonly string[], n: number): string {
  return `/v1/sessions/${ids[n % ids.length]}/events`;
}

export const httpStreams = defineCase<Load>({
  name: "http-streams",
  title: "Event streams over HTTP",
  metrics: {
    perSecond: { unit: "events/s", better: "higher" },
    p50Us: { unit: "µs", better: "lower" },
    p99Us: { unit: "µs", better: "lower" },
    /** Of the server's process, all its threads. */
    cpuUs: { unit: "µs of CPU an event", better: "lower" },
    /** Of the server's process, when its main thread's garbage was collected. */
    rssMb: { unit: "MB", better: "lower" },
    /** Since the end of the first round. */
    grownMb: { unit: "MB", better: "lower" },
  },
  yardstick: "bare Hono, written",
  scenarios: [
    { name: "5,000 streams, 5,000 events/s", parameters: { sessions: 500, clients: 10, perSecond: 5000 } },
    { name: "5,000 streams, 15,000 events/s", parameters: { sessions: 500, clients: 10, perSecond: 15_000 } },
  ],
  contenders: [
    contender("warren over HTTP", "warren", openWarrenStreams),
    contender("bare Hono, streamSSE", "peer", openHelperStreams),
    contender("bare Hono, written", "limit", openWrittenStreams),
  ],
});
