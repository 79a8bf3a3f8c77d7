/** The arguments of `warren completion`. */
import type { Command } from "commander";
import { Argument } from "commander";

import type { CommandIo } from "./command-io.ts";
import type { Shell } from "./completion.ts";

const NOTES = `
  bash: eval "$(warren completion bash)"       in ~/.bashrc
  zsh:  eval "$(warren completion zsh)"        in ~/.zshrc, behind compinit
  fish: warren completion fish | source        in ~/.config/fish/config.fish`;

/** Add the command; it completes all that the program has when it is called. */
export function addCompletionCommand(program: Command, io: CommandIo): void {
  program
    .command("completion")
    .description("print a script that completes commands and options in your shell")
    .addArgument(new Argument("<shell>", "which").choices(["bash", "zsh", "fish"] satisfies Shell[]))
    .addHelpText("after", NOTES)
    .action(async (shell: Shell) => {
      const { completionScript } = await import("./completion.ts");
      io.stdout.write(completionScript(shell, program));
    });
}
