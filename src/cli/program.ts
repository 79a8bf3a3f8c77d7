/**
 * The command line: which commands there are, and what a wrong call is told. Nothing is run before every option is understood. Each command
 * loads what it needs when it is called: the host and its schemas take longer to load than a look into a store takes.
 */
import { Command, CommanderError, Help } from "commander";

import { packageVersion } from "../server/version.ts";
import { addBenchCommand } from "./bench-program.ts";
import { addChatCommand } from "./chat-program.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError } from "./command-io.ts";
import { addKeysCommands } from "./keys-program.ts";
import { addCompletionCommand } from "./completion-program.ts";
import { addDoctorCommand } from "./doctor-program.ts";
import { printableLines } from "./printable.ts";
import type { RunCommand } from "./run-program.ts";
import { addRunCommand } from "./run-program.ts";
import { addServeCommand } from "./serve-program.ts";
import { addSessionsCommands } from "./sessions-program.ts";
import { addTopCommand } from "./top-program.ts";

/**
 * Understand the arguments and run what they ask for.
 *
 * @param args - without the program's own name
 * @returns the exit code; rejects for bugs only
 */
export async function runProgram(args: readonly string[], io: CommandIo, run?: RunCommand): Promise<number> {
  let exitCode: number = EXIT.ok;
  const settle = (code: number): void => void (exitCode = code);
  const program = new Command("warren")
    .description("A multi-core session host for agents.")
    .version(packageVersion(), "-V, --version", "print the version")
    .configureOutput({ writeOut: (text) => void io.stdout.write(text), writeErr: (text) => void io.stderr.write(text) })
    .configureHelp({ optionDescription: (option) => new Help().optionDescription(option).replace(" (default: false)", "") })
    .showHelpAfterError("(--help shows what there is)")
    .exitOverride();
  addServeCommand(program, io, settle);
  addRunCommand(program, io, settle, run);
  addSessionsCommands(program, io, settle);
  addChatCommand(program, io, settle);
  addTopCommand(program, io, settle);
  addBenchCommand(program, io, settle);
  addDoctorCommand(program, io, settle);
  addCompletionCommand(program, io);
  addKeysCommands(program, io, settle);
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
