/** The arguments of `warren bench`. */
import type { Command } from "commander";

import type { BenchOptions } from "./bench-command.ts";
import type { CommandIo } from "./command-io.ts";
import { integer, laneCount } from "./option-values.ts";
import { keyOption, urlOption } from "./remote-options.ts";

const SECONDS = 3;
const IN_FLIGHT = 256;
const NOTES = `
Exit code: 0 every turn succeeded, 1 some failed, 2 called wrongly, 130 and 143 ended by a signal.`;

/** Add the command. @param settle - is given its exit code */
export function addBenchCommand(program: Command, io: CommandIo, settle: (exitCode: number) => void): void {
  program
    .command("bench")
    .description("measure turns a second and their latency, of a host on this machine or of a server")
    .addOption(urlOption())
    .addOption(keyOption())
    .option("--agent <agent>", "echo, interpreter, or the path or name of a module (default: echo); with --url one of the server's")
    .option("--prompt <text>", "of every turn", "1")
    .option("--lanes <n>", "worker threads of a host here, or auto: one a core", laneCount, "auto")
    .option("--in-flight <n>", "turns at a time, each in a session of its own", integer(100_000), IN_FLIGHT)
    .option("--seconds <n>", "of each of two measurements", integer(3600), SECONDS)
    .option("--json", "one line of JSON", false)
    .addHelpText("after", NOTES)
    .action(async (options: BenchOptions) => settle(await (await import("./bench-command.ts")).benchCommand(options, io)));
}
