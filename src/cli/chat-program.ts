/** The arguments of `warren chat`. */
import type { Command } from "commander";
import { Option } from "commander";

import type { ChatOptions } from "./chat-command.ts";
import type { CommandIo } from "./command-io.ts";
import { keyOption, urlOption } from "./remote-options.ts";
import { filePath, integer, label } from "./option-values.ts";

const TIMEOUT_MS_MAX = 2_147_483_647;
const NOTES = `
At the prompt: a line is a turn, /help shows the rest, Ctrl-C interrupts the turn that runs, Ctrl-D leaves. Without a terminal lines are
read from standard input to its end.
Exit code: 0 (without a terminal: every turn succeeded), 1 a turn failed, 2 called wrongly, 130 and 143 ended by a signal.`;

/** Add the command. @param settle - is given its exit code */
export function addChatCommand(program: Command, io: CommandIo, settle: (exitCode: number) => void): void {
  program
    .command("chat")
    .description("talk to an agent, here or on a server: a line is a turn of one session, and what it says is printed as it comes")
    .option(
      "--agent <agent>",
      "echo, interpreter, or the path or name of a module that exports an agent (default: interpreter); with --url one of the server's",
    )
    .addOption(urlOption())
    .addOption(keyOption())
    .option("--store <dir>", "keep the session in this folder", filePath)
    .option("--session <id>", "go on with this session", filePath)
    .option("--label <name=value>", "of a new session; may be given several times", label)
    .option("--timeout-ms <n>", "milliseconds a turn may take", integer(TIMEOUT_MS_MAX))
    .addOption(
      new Option("--on-busy <what>", "when somebody else's turn runs in the session").choices([
        "reject",
        "enqueue",
        "interrupt",
        "rollback",
        "latest",
        "merge",
      ] satisfies ChatOptions["onBusy"][]),
    )
    .option("--json", "a line of JSON for each turn, nothing streamed", false)
    .addHelpText("after", NOTES)
    .action(async (options: ChatOptions) => settle(await (await import("./chat-command.ts")).chatCommand(options, io)));
}
