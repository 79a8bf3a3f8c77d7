/** The arguments of `warren run`. */
import type { Command } from "commander";
import { Option } from "commander";

import type { CommandIo } from "./command-io.ts";
import { UsageError } from "./command-io.ts";
import { LANES_MAX, filePath, integer, laneCount } from "./option-values.ts";
import type { RunOptions } from "./run-command.ts";

/** Bounds of options, as the host has them. */
const SESSIONS_MAX = 16_777_216;
const TIMEOUT_MS_MAX = 2_147_483_647;
/** As long as the host's shutdown gives them. */
const DRAIN_MS = 30_000;

const RUN_NOTES = `
Input: JSON Lines, one turn a line. Turns of a session run in the order of their lines, different sessions at the same time.
  {"session": "a", "prompt": "…", "id": "…", "labels": {"k": "v"}, "timeoutMs": 5000, "expect": {"text": "…"} or {"error": "CODE"}}
  Only session and prompt are needed. A session is created by its first line, which alone may set its labels. Ids are unique.
Output: JSON Lines, one result a line, in order of completion. A bad line is reported by its number, and the rest still runs.
Store: with --store sessions are kept, and the output is added to. Run again after a crash, with the same file, store and output: a
  line whose result is in the output is not run again, nor is a turn that was stored before its result could be written.
Signals: the first ends reading and lets running turns finish, for --drain-ms; the second interrupts them, the third ends the process.
Exit code: 0 every turn succeeded, 1 something failed, 2 called wrongly, 130 cut short by SIGINT, 143 by SIGTERM.`;

/** Runs the command; tests put their own. */
export type RunCommand = (file: string, options: RunOptions, io: CommandIo) => Promise<number>;

// Loaded when it is called: see program.ts.
const runCommand: RunCommand = async (...args) => (await import("./run-command.ts")).runCommand(...args);

/** Add the command. @param settle - is given its exit code */
export function addRunCommand(program: Command, io: CommandIo, settle: (exitCode: number) => void, run: RunCommand = runCommand): void {
  program
    .command("run")
    .description("run the turns of a file through an agent and print what comes out")
    .argument("<file>", "turns as JSON Lines; - is standard input")
    .option("--agent <agent>", "echo, interpreter, or the path or name of a module that exports an agent", "interpreter")
    .option("--lanes <n>", `worker threads, 1 to ${LANES_MAX}, or auto: one a core`, laneCount, "auto")
    .option("--max-sessions <n>", "live sessions at most; a line that needs one more fails, with --store it waits", integer(SESSIONS_MAX))
    .option("--timeout-ms <n>", "milliseconds a turn may take that has no timeoutMs of its own", integer(TIMEOUT_MS_MAX))
    .option("--drain-ms <n>", "milliseconds running turns may take after a signal", integer(TIMEOUT_MS_MAX), DRAIN_MS)
    .option("--events", "print the turns' events too, each turn's ahead of its result", false)
    .option("--output <file>", "write results there instead of to standard output", filePath)
    .option("--store <dir>", "keep the sessions in this folder and go on where an earlier run stopped; needs --output", filePath)
    .addOption(
      new Option("--durability <level>", "what a stored turn and its result survive: fsync, the loss of power; commit, the process's death")
        .choices(["fsync", "commit"])
        .default("fsync"),
    )
    .option("--quiet", "no progress, no table at the end", false)
    .option("--json", "no progress, and the table as one line of JSON on standard error", false)
    .addHelpText("after", RUN_NOTES)
    .action(async (file: string, options: RunOptions, command: Command) => {
      if (options.store === undefined && command.getOptionValueSource("durability") === "cli")
        throw new UsageError("option '--durability <level>' needs '--store <dir>': without it nothing is stored");
      settle(await run(file, options, io));
    });
}
