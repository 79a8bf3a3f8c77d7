/** The arguments of `warren serve`: the settings, each as a flag. */
import type { Command } from "commander";

import type { CommandIo } from "./command-io.ts";
import type { ServeOptions } from "./serve-command.ts";
import { configOption, settingOption } from "./serve-options.ts";
import { SETTING_NAMES } from "./serve-settings.ts";

const NOTES = `
Every setting is also a member of warren.config.json and an environment variable: --max-sessions is maxSessions and WARREN_MAX_SESSIONS.
Flags count before the environment, the environment before the file. docs/configuration.md has them all.
Signals: the first ends admission and lets running turns finish, for --drain-ms; the second interrupts them, the third ends the process.
Exit code: 0 stopped in good order, 2 it could not begin, 130 and 143 a second signal interrupted running turns.`;

/** Add the command. @param settle - is given its exit code */
export function addServeCommand(program: Command, io: CommandIo, settle: (exitCode: number) => void): void {
  const command = program
    .command("serve")
    .description("serve a host over HTTP, with a dashboard, until a signal comes")
    .addOption(configOption());
  for (const name of SETTING_NAMES) command.addOption(settingOption(name));
  command
    .option("--print-config", "print what is in effect and where it is from, and do nothing", false)
    .option("--json", "the addresses, or the settings, as one line of JSON", false)
    .addHelpText("after", NOTES)
    .action(async (options: ServeOptions) => settle(await (await import("./serve-command.ts")).serveCommand(options, io)));
}
