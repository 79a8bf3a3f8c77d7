/** Thousands of clients that follow server-sent events, each over a connection of its own, and look at the clock for every event. */
import { once } from "node:events";
import { connect } from "node:net";

import type { Histogram } from "hdr-histogram-js";
import { encodeIntoCompressedBase64 } from "hdr-histogram-js";

import { nowNs } from "../harness/clock.ts";
import { newHistogram } from "../harness/load.ts";
import { assertOpenFiles } from "../harness/open-files.ts";
import { obey } from "./client-process.ts";
import { StampReader } from "./stamps.ts";

/** `open` waits until every stream has begun, `await` until so many events have come since `begin`, or for as long as it takes to give up. */
export type ReaderOrder =
  | { readonly do: "open"; readonly port: number; readonly paths: readonly string[] }
  | { readonly do: "begin" }
  | { readonly do: "await"; readonly events: number };

export interface EventsRead {
  readonly events: number;
  /** When the last of them was read. */
  readonly lastNs: number;
  /** HDR histogram of nanoseconds from an event's stamp until it was read, compressed, base64. */
  readonly latencies: string;
}

/** Connections that are being opened at once: a server's backlog is short. */
const LOT = 100;
const OPEN_MAX_MS = 120_000;
const AWAIT_MAX_MS = 60_000;
const LOOK_MS = 5;

let latencies: Histogram = newHistogram();
let [events, lastNs, failures] = [0, 0, 0];

obey<ReaderOrder>(async (order): Promise<EventsRead | undefined> => {
  switch (order.do) {
    case "open": {
      assertOpenFiles(order.paths.length);
      for (let first = 0; first < order.paths.length; first += LOT)
        await Promise.all(order.paths.slice(first, first + LOT).map((path) => follow(order.port, path)));
      return undefined;
    }
    case "begin":
      latencies = newHistogram();
      [events, lastNs] = [0, 0];
      return undefined;
    case "await": {
      const startedAt = performance.now();
      while (events < order.events && failures === 0 && performance.now() - startedAt < AWAIT_MAX_MS)
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      if (failures > 0) throw new Error(`${failures} streams ended`);
      return { events, lastNs, latencies: encodeIntoCompressedBase64(latencies) };
    }
    default:
      return order satisfies never;
  }
});

/** Waits until the stream has begun. @throws Error when it is refused */
async function follow(port: number, path: string): Promise<void> {
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  const stamps = new StampReader();
  socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n`);
  const [head] = (await once(socket, "data", { signal: AbortSignal.timeout(OPEN_MAX_MS) })) as [string];
  if (!head.startsWith("HTTP/1.1 200 ")) throw new Error(`${path} was answered with ${head.split("\r\n")[0]}`);
  socket.on("error", () => {});
  socket.on("close", () => failures++);
  socket.on("data", (piece: string) => {
    for (const stamp of stamps.take(piece)) {
      lastNs = nowNs();
      latencies.recordValue(Math.max(1, lastNs - stamp));
      events++;
    }
  });
}
