/** The arguments of `warren doctor`. */
import type { Command } from "commander";

import type { CommandIo } from "./command-io.ts";
import type { DoctorOptions } from "./doctor-command.ts";
import { filePath } from "./option-values.ts";
import { configOption, settingOption } from "./serve-options.ts";

const NOTES = `
It takes the settings as warren serve would, from the file, the environment and the flags, and looks at what they name.
Exit code: 0 nothing failed (there may be warnings), 1 something failed, 2 called wrongly.`;

/** Add the command. @param settle - is given its exit code */
export function addDoctorCommand(program: Command, io: CommandIo, settle: (exitCode: number) => void): void {
  const command = program
    .command("doctor")
    .description("look whether this machine, the settings, the store, the port and the agent are fit to serve, and say what to do")
    .addOption(configOption());
  for (const name of ["store", "agent", "host", "port"] as const) command.addOption(settingOption(name));
  command
    .option("--prompt <text>", "have each agent take a turn with it; without it only those that ship take one", filePath)
    .option("--json", "one line of JSON instead", false)
    .addHelpText("after", NOTES)
    .action(async (options: DoctorOptions) => settle(await (await import("./doctor-command.ts")).doctorCommand(options, io)));
}
