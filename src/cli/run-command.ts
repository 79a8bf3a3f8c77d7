/**
 * `warren run`: opens the input, the host and the output, runs the batch, closes everything, and gives the exit code.
 *
 * What cannot be opened is a usage error. Signals end the run in steps: read no more, interrupt, and then their default effect.
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { Writable } from "node:stream";
import { pathToFileURL } from "node:url";

import { builtinAgents } from "../agents/index.ts";
import { EphemeralSessionService } from "../host/ephemeral-service.ts";
import { hasErrorCode } from "../protocol/errors.ts";
import { Batch } from "./batch.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError } from "./command-io.ts";
import type { Input } from "./files.ts";
import { openInput, openOutput } from "./files.ts";
import { Progress, progressStyle } from "./progress.ts";
import { ResultWriter } from "./result-writer.ts";
import { RunReport } from "./run-report.ts";
import { StopSignals } from "./stop-signals.ts";
import { LINE_BYTES_MAX } from "./turn-line.ts";

/** Options of the command, as the program parsed them. */
export interface RunOptions {
  readonly agent: string;
  readonly lanes: number | "auto";
  readonly maxSessions?: number;
  readonly timeoutMs?: number;
  readonly events: boolean;
  readonly output?: string;
  readonly quiet: boolean;
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
  const input = await openInput(file, io.stdin);
  try {
    const service = await openHost(options);
    try {
      const output = options.output === undefined ? undefined : await openOutput(options.output, input);
      return await runBatch(input, service, output, options, io);
    } finally {
      await service.shutdown({ deadlineMs: 0 });
    }
  } finally {
    input.chunks.destroy();
  }
}

async function openHost({ agent, lanes, maxSessions }: RunOptions): Promise<EphemeralSessionService> {
  try {
    return await EphemeralSessionService.open({
      agent: agentModule(agent),
      lanes: { count: lanes, resourceLimits: { stackSizeMb: LANE_STACK_MB } },
      maxSessions,
      maxPromptBytes: LINE_BYTES_MAX,
      consumerStallMs: NEVER_STALLED_MS,
    });
  } catch (error) {
    if (!hasErrorCode(error) || error.code !== "INVALID_PARAMS") throw error;
    const { module, reason = error.message } = error.details as { module?: string; reason?: string };
    throw new UsageError(`option '--agent <agent>': ${agent} does not load${module === undefined ? "" : ` from ${module}`}: ${reason}`);
  }
}

function agentModule(agent: string): URL | string {
  if (agent === "echo" || agent === "interpreter") return builtinAgents[agent];
  return statSync(agent, { throwIfNoEntry: false })?.isFile() ? pathToFileURL(resolve(agent)) : agent;
}

/** @param file - where results go instead of to stdout */
async function runBatch(
  input: Input,
  service: EphemeralSessionService,
  file: Writable | undefined,
  options: RunOptions,
  io: CommandIo,
): Promise<number> {
  const { stderr } = io;
  const report = new RunReport();
  let outputError: NodeJS.ErrnoException | undefined;
  const writer = new ResultWriter(file ?? io.stdout, (error) => {
    outputError = error;
    batch.interrupt(); // nobody will see what comes out
  });
  const batch = new Batch({ input, service, writer, report, timeoutMs: options.timeoutMs, hasEvents: options.events });
  const style = progressStyle(options.quiet, stderr.isTTY === true, file === undefined && io.stdout.isTTY === true);
  const progress = new Progress({ stream: stderr, style, counts: report.counts, totalBytes: input.sizeBytes });
  const signals = new StopSignals(io.signals, {
    finish: () => {
      progress.stop();
      batch.stop();
      if (!options.quiet) stderr.write(`stopping: waiting for turns that run (${batch.running}); once more interrupts them\n`);
    },
    interrupt: () => batch.interrupt(),
  });
  try {
    const inputError = await batch.run();
    const { elapsedS } = progress;
    await (file === undefined ? writer.flush() : writer.end());
    progress.stop();
    // A reader that has seen enough (`| head`) is no mishap, and wants to hear no more.
    const isLeft = file === undefined && outputError?.code === "EPIPE";
    if (!options.quiet && !isLeft) stderr.write(report.render(service.inspect(), elapsedS));
    if (outputError !== undefined && !isLeft)
      stderr.write(`error: cannot write ${options.output ?? "standard output"}: ${outputError.message}\n`);
    if (inputError !== undefined) stderr.write(`error: ${inputError}\n`);
    if (outputError !== undefined || inputError !== undefined) return EXIT.failed;
    if (signals.count > 0 && !batch.isComplete) return EXIT.interrupted;
    return report.isClean ? EXIT.ok : EXIT.failed;
  } finally {
    progress.stop();
    signals.remove();
  }
}
