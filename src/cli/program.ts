/**
 * The command line: which commands and options there are, and what a wrong one is told. Nothing is run before every option is
 * understood.
 */
import { Command, CommanderError, Help, InvalidArgumentError, Option } from "commander";

import { packageVersion } from "../server/version.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError } from "./command-io.ts";
import { addKeysCommands } from "./keys-program.ts";
import { filePath, integer } from "./option-values.ts";
import { printableLines } from "./printable.ts";
import type { RunOptions } from "./run-command.ts";
import { addSessionsCommands } from "./sessions-program.ts";

/** Bounds of options, as the host has them. */
const LANES_MAX = 512;
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

/** Runs one command; tests put their own. */
export type RunCommand = (file: string, options: RunOptions, io: CommandIo) => Promise<number>;

/** Each command loads what it needs when it is called: the host and its schemas take longer to load than a look into a store takes. */
const runCommand: RunCommand = async (...args) => (await import("./run-command.ts")).runCommand(...args);

/**
 * Understand the arguments and run what they ask for.
 *
 * @param args - without the program's own name
 * @returns the exit code; rejects for bugs only
 */
export async function runProgram(args: readonly string[], io: CommandIo, run: RunCommand = runCommand): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = new Command("warren")
    .description("A multi-core session host for agents.")
    .version(packageVersion(), "-V, --version", "print the version")
    .configureOutput({ writeOut: (text) => void io.stdout.write(text), writeErr: (text) => void io.stderr.write(text) })
    .configureHelp({ optionDescription: (option) => new Help().optionDescription(option).replace(" (default: false)", "") })
    .showHelpAfterError("(--help shows what there is)")
    .exitOverride();
  program
    .command("run")
    .description("run the turns of a file through an agent and print what comes out")
    .argument("<file>", "turns as JSON Lines; - is standard input")
    .option("--agent <agent>", "echo, interpreter, or the path or name of a module that exports an agent", "interpreter")
    .option("--lanes <n>", `worker threads, 1 to ${LANES_MAX}, or auto: one a core`, lanes, "auto")
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
    .addHelpText("after", RUN_NOTES)
    .action(async (file: string, options: RunOptions, command: Command) => {
      if (options.store === undefined && command.getOptionValueSource("durability") === "cli")
        throw new UsageError("option '--durability <level>' needs '--store <dir>': without it nothing is stored");
      exitCode = await run(file, options, io);
    });
  addSessionsCommands(program, io, (code) => (exitCode = code));
  addKeysCommands(program, io, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // it has said why itself
    if (!(error instanceof UsageError)) throw error;
    io.stderr.write(`error: ${printableLines(error.message)}\n`);
    return EXIT.usage;
  }
}

function lanes(text: string): number | "auto" {
  if (text === "auto") return text;
  try {
    return integer(LANES_MAX)(text);
  } catch {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${LANES_MAX}, or auto.`);
  }
}
