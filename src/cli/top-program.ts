/** The arguments of `warren top`. */
import type { Command } from "commander";

import type { CommandIo } from "./command-io.ts";
import { integer } from "./option-values.ts";
import { keyOption, urlOption } from "./remote-options.ts";
import type { TopOptions } from "./top-command.ts";

const INTERVAL_MS = 1000;
const INTERVAL_MS_MAX = 86_400_000;
const NOTES = `
Without --url and WARREN_URL it looks at http://127.0.0.1:8787. Where keys are needed, it takes one of the role admin.`;

/** Add the command. @param settle - is given its exit code */
export function addTopCommand(program: Command, io: CommandIo, settle: (exitCode: number) => void): void {
  program
    .command("top")
    .description("watch a server: lanes and their load, sessions, turns a second, latency")
    .addOption(urlOption())
    .addOption(keyOption())
    .option("--interval-ms <n>", "milliseconds between looks", integer(INTERVAL_MS_MAX), INTERVAL_MS)
    .option("--once", "one look, over one interval", false)
    .option("--json", "a line of JSON for each look", false)
    .addHelpText("after", NOTES)
    .action(async (options: TopOptions) => settle(await (await import("./top-command.ts")).topCommand(options, io)));
}
