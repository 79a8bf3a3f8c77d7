/** `warren bench`: a short measurement of this machine, or of a server. */
import { cpus, loadavg } from "node:os";

import type { LoadResult } from "./bench-load.ts";
import { measure } from "./bench-load.ts";
import type { BenchTarget } from "./bench-targets.ts";
import { openLocalTarget, openRemoteTarget } from "./bench-targets.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT } from "./command-io.ts";
import { openClient, remoteUrl } from "./remote.ts";
import type { RemoteOptions } from "./remote.ts";
import { StopSignals } from "./stop-signals.ts";

export interface BenchOptions extends RemoteOptions {
  readonly agent?: string;
  readonly lanes: number | "auto";
  readonly prompt: string;
  /** Of each of the two measurements. */
  readonly seconds: number;
  readonly inFlight: number;
  readonly json: boolean;
}

const AGENT = "echo";
/** From the first signal until turns that still run are no longer waited for. */
const DRAIN_MS = 10_000;
/** Of the time of a measurement, ahead of it: code is compiled and connections are opened. */
const WARM_UP = 0.25;

/** @returns EXIT.failed when a turn failed. @throws UsageError */
export async function benchCommand(options: BenchOptions, io: CommandIo): Promise<number> {
  const { agent, lanes, prompt, inFlight, seconds, json } = options;
  const url = remoteUrl(options, io.env);
  const stop = new AbortController();
  const giveUp = new AbortController();
  const signals = new StopSignals(io.signals, { finish: () => stop.abort(), interrupt: () => giveUp.abort() }, DRAIN_MS);
  const busyBefore = loadavg()[0] ?? 0;
  let target: BenchTarget | undefined;
  try {
    target =
      url === undefined
        ? await openLocalTarget(agent ?? AGENT, lanes, inFlight, prompt)
        : await openRemoteTarget(openClient(options, io.env), url, agent, inFlight, prompt, giveUp.signal);
    const forMs = seconds * 1000;
    const run = (callers: number, ms: number): Promise<LoadResult> =>
      measure({
        inFlight: callers,
        forMs: ms,
        turn: (caller) => (target as BenchTarget).turn(caller),
        signal: stop.signal,
        giveUp: giveUp.signal,
      });
    await run(1, forMs * WARM_UP);
    const lone = await run(1, forMs);
    await run(inFlight, forMs * WARM_UP);
    const many = await run(inFlight, forMs);
    if (signals.first !== undefined) return EXIT[signals.first];
    const { name, lanes: laneCount } = target;
    const machine = { node: process.versions.node, cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, loadBefore: busyBefore };
    const report = { target: name, lanes: laneCount, seconds, lone, inFlight, many, machine };
    io.stdout.write(json ? `${JSON.stringify(report)}\n` : reportLines(report));
    return lone.failed + many.failed === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await target?.close();
    signals.settled();
  }
}

interface Report {
  readonly target: string;
  readonly lanes: number;
  readonly seconds: number;
  readonly lone: LoadResult;
  readonly inFlight: number;
  readonly many: LoadResult;
  readonly machine: { readonly node: string; readonly cpu: string; readonly cores: number; readonly loadBefore: number };
}

function reportLines({ target, lanes, seconds, lone, inFlight, many, machine }: Report): string {
  const ms = (value: number): string => `${value < 10 ? value.toFixed(3) : value.toFixed(1)} ms`;
  const line = (name: string, { turnsPerS, p50Ms, p99Ms, failed }: LoadResult): string =>
    `${name.padEnd(20)} ${turnsPerS.toFixed(0).padStart(9)} turns/s   p50 ${ms(p50Ms)}   p99 ${ms(p99Ms)}${failed > 0 ? `   ${failed} failed` : ""}\n`;
  const isBusy = machine.loadBefore > machine.cores / 2;
  return `${target}${lanes > 0 ? `, ${lanes} lanes` : ""}; Node ${machine.node}, ${machine.cpu}, ${machine.cores} cores; ${seconds} s each
${line("one turn at a time", lone)}${line(`${inFlight} at a time`, many)}${isBusy ? `The machine was busy before it began (load ${machine.loadBefore.toFixed(1)}): the figures are too low.\n` : ""}
Measured from a call to its result, each session with one turn at a time, callers on the same machine as this command. With the echo agent
that is what a host adds to a turn, not what an agent takes. The caller's own work is in it. Runs differ by 10 % and more: compare several.
`;
}
