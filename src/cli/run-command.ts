/**
 * `warren run`: opens the input, the host and the output, runs the batch, closes everything, and gives the exit code.
 *
 * What cannot be opened is a usage error. Signals end the run in steps: read no more, interrupt, and then their default effect.
 */
import { EphemeralSessionService } from "../host/ephemeral-service.ts";
import { PersistentSessionService } from "../host/persistent-service.ts";
import type { SessionService } from "../host/session-service.ts";
import { agentModule, agentName, openingRefusal } from "./agent-option.ts";
import { Batch } from "./batch.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError } from "./command-io.ts";
import type { EarlierResults } from "./earlier-results.ts";
import type { Input } from "./files.ts";
import { openInput, openOutput, openResults } from "./files.ts";
import { Progress, progressStyle } from "./progress.ts";
import { ResultFile } from "./result-file.ts";
import type { ResultSink } from "./result-writer.ts";
import { ResultWriter } from "./result-writer.ts";
import { RunReport } from "./run-report.ts";
import { StopSignals } from "./stop-signals.ts";
import { StoredNames } from "./stored-names.ts";
import { LINE_BYTES_MAX } from "./turn-line.ts";

/** Options of the command, as the program parsed them. */
export interface RunOptions {
  readonly agent: string;
  readonly lanes: number | "auto";
  readonly maxSessions?: number;
  readonly timeoutMs?: number;
  readonly events: boolean;
  readonly output?: string;
  /** Folder of the store; undefined: sessions live as long as the run. */
  readonly store?: string;
  readonly durability: "fsync" | "commit";
  /** Milliseconds running turns may take after a first signal. */
  readonly drainMs: number;
  readonly quiet: boolean;
  /** The summary as a line of JSON. */
  readonly json: boolean;
}

/** Where results go. */
interface Output {
  /** A file of ours, not stdout. */
  readonly isFile: boolean;
  /** Of a run whose sessions are stored. */
  readonly earlier?: EarlierResults;
  /** @param onFailed - nobody will get what is written from now on */
  sink(onFailed: (error: NodeJS.ErrnoException) => void): ResultSink;
}

/** The interpreter gives its programs a share of the thread's stack; with this, some 3,000 calls of their own functions. */
const LANE_STACK_MB = 16;

/** Milliseconds; the host's longest. Whoever reads our output may pause as long as he likes, and no event may be lost over it. */
const NEVER_STALLED_MS = 2_147_483_647;

/**
 * @param file - path of the input, `-` for standard input
 * @returns the exit code
 * @throws UsageError when the input, the agent or the output cannot be opened
 */
export async function runCommand(file: string, options: RunOptions, io: CommandIo): Promise<number> {
  if (options.store !== undefined && options.output === undefined) {
    throw new UsageError("option '--store <dir>' needs '--output <file>', from which a later run learns what is done");
  }
  const input = await openInput(file, io.stdin);
  try {
    const service = await openHost(options);
    try {
      const output = await openSink(input, options, io);
      return await runBatch(input, service, output, options, io);
    } finally {
      await service.shutdown({ deadlineMs: 0 });
    }
  } finally {
    input.chunks.destroy();
  }
}

async function openHost({ agent, lanes, maxSessions, store, durability }: RunOptions): Promise<SessionService> {
  const module = agentModule(agent);
  const options = {
    lanes: { count: lanes, resourceLimits: { stackSizeMb: LANE_STACK_MB } },
    maxSessions,
    maxPromptBytes: LINE_BYTES_MAX,
    consumerStallMs: NEVER_STALLED_MS,
  };
  try {
    if (store === undefined) return await EphemeralSessionService.open({ ...options, agent: module });
    return await PersistentSessionService.open({
      ...options,
      agent: { [agentName(agent)]: module },
      store: { kind: "lmdb", path: store },
      durability,
    });
  } catch (error) {
    throw openingRefusal(error, agent);
  }
}

async function openSink(input: Input, { output, store, durability }: RunOptions, io: CommandIo): Promise<Output> {
  if (output === undefined) return { isFile: false, sink: (onFailed) => new ResultWriter(io.stdout, onFailed) };
  if (store === undefined) {
    const stream = await openOutput(output, input);
    return { isFile: true, sink: (onFailed) => new ResultWriter(stream, onFailed) };
  }
  const { handle, earlier } = await openResults(output, input);
  return { isFile: true, earlier, sink: (onFailed) => new ResultFile(handle, durability === "fsync", onFailed) };
}

async function runBatch(input: Input, service: SessionService, output: Output, options: RunOptions, io: CommandIo): Promise<number> {
  const { stderr } = io;
  const report = new RunReport();
  let outputError: NodeJS.ErrnoException | undefined;
  const { isFile: isOurs, earlier } = output;
  const writer = output.sink((error) => {
    outputError = error;
    batch.interrupt(); // nobody will see what comes out
  });
  const stored = earlier && { names: new StoredNames(service, agentName(options.agent)), earlier, maxSessions: options.maxSessions };
  const batch = new Batch({ input, service, writer, report, timeoutMs: options.timeoutMs, hasEvents: options.events, stored });
  const style = progressStyle(options.quiet || options.json, stderr.isTTY === true, !isOurs && io.stdout.isTTY === true);
  const progress = new Progress({ stream: stderr, style, counts: report.counts, totalBytes: input.sizeBytes });
  const signals = new StopSignals(
    io.signals,
    {
      finish: () => {
        progress.stop();
        batch.stop();
        if (!options.quiet && !options.json)
          stderr.write(`stopping: waiting for turns that run (${batch.running}); once more interrupts them\n`);
      },
      interrupt: () => batch.interrupt(),
    },
    options.drainMs,
  );
  try {
    const inputError = await batch.run();
    const { elapsedS } = progress;
    await (isOurs ? writer.end() : writer.flush());
    progress.stop();
    // A reader that has seen enough (`| head`) is no mishap, and wants to hear no more.
    const isLeft = !isOurs && outputError?.code === "EPIPE";
    if (options.json) stderr.write(`${JSON.stringify(report.summary(service.inspect(), elapsedS))}\n`);
    else if (!options.quiet && !isLeft) stderr.write(report.render(service.inspect(), elapsedS));
    if (outputError !== undefined && !isLeft)
      stderr.write(`error: cannot write ${options.output ?? "standard output"}: ${outputError.message}\n`);
    if (inputError !== undefined) stderr.write(`error: ${inputError}\n`);
    if (outputError !== undefined || inputError !== undefined) return EXIT.failed;
    if (signals.first !== undefined && !batch.isComplete) return EXIT[signals.first];
    return report.isClean ? EXIT.ok : EXIT.failed;
  } catch (error) {
    if (isOurs) await writer.end();
    throw error;
  } finally {
    progress.stop();
    signals.settled();
  }
}
