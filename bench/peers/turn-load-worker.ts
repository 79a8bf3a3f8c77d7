/** Posts turns over connections that are kept alive, each the next when the last is answered, and times them. */
import type { Request } from "autocannon";
import autocannon from "autocannon";
import { encodeIntoCompressedBase64 } from "hdr-histogram-js";

import { newHistogram } from "../harness/load.ts";
import { obey } from "./client-process.ts";

export interface TurnLoad {
  readonly url: string;
  /** Connection → paths it posts to, one after the other: no two share one. */
  readonly paths: readonly (readonly string[])[];
  readonly body: string;
  readonly durationMs: number;
}

export interface TurnsDone {
  readonly turns: number;
  readonly perSecond: number;
  /** HDR histogram of nanoseconds, compressed, base64. */
  readonly latencies: string;
}

const LOOK_MS = 50;
/** Far beyond any answer. */
const TIMEOUT_S = 60;

obey<TurnLoad>(async ({ url, paths, body, durationMs }): Promise<TurnsDone> => {
  const latencies = newHistogram();
  const startedAt = performance.now();
  let [turns, lastAt, connection] = [0, startedAt, 0];
  const { non2xx, errors, timeouts } = await autocannon({
    url,
    connections: paths.length,
    duration: durationMs / 1000,
    sampleInt: LOOK_MS,
    timeout: TIMEOUT_S,
    setupClient: (client) => {
      client.setRequests((paths[connection++] as readonly string[]).map((path) => requestOf(path, body)));
      client.on("response", (_status, _bytes, ms) => {
        turns++;
        lastAt = performance.now();
        latencies.recordValue(Math.max(1, Math.round(ms * 1e6)));
      });
    },
  });
  if (non2xx + errors + timeouts > 0)
    throw new Error(`of ${turns} turns ${non2xx} were refused, and ${errors} connections failed (${timeouts} waited too long)`);
  return { turns, perSecond: turns / ((lastAt - startedAt) / 1000), latencies: encodeIntoCompressedBase64(latencies) };
});

function requestOf(path: string, body: string): Request {
  return { method: "POST", path, headers: { "content-type": "application/json" }, body };
}
