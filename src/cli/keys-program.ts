/** The arguments of `warren keys …`. */
import type { Command } from "commander";
import { Option } from "commander";

import type { CommandIo } from "./command-io.ts";
import type { CreateKeyOptions } from "./keys-commands.ts";
import { duration, filePath } from "./option-values.ts";

const NOTES = `
A key is shown once, when it is created: the file keeps what it takes to recognize it, and cannot give it back. Servers read the file
again within seconds of a change.
Roles: read sees the tenant's sessions, run changes them too, admin sees and changes those of all tenants, and the host.
Exit code: 0 all was done, 1 something was not, 2 called wrongly, or the file cannot be used.`;

// Loaded when it is called: see program.ts.
const commands = () => import("./keys-commands.ts");

/** Add the commands. @param settle - is given the exit code of the one that was run */
export function addKeysCommands(program: Command, io: CommandIo, settle: (exitCode: number) => void): void {
  const keys = program.command("keys").description("make and withdraw the keys that a server's callers show").addHelpText("after", NOTES);
  const add = (usage: string, description: string): Command =>
    keys.command(usage).description(description).requiredOption("--file <file>", "file of the keys", filePath);

  add("create", "make a key and print it; makes the file if there is none")
    .option("--tenant <name>", "whose sessions it is for; every role but admin needs one")
    .addOption(new Option("--role <role>", "what it may do").choices(["read", "run", "admin"]).default("run"))
    .option("--name <name>", "a note for people")
    .option("--expires <time>", "how long it is good for: 90d, 12h; without it until it is revoked", duration)
    .option("--json", "print it with all that is known of it, as JSON", false)
    .action(async (options: CreateKeyOptions) => settle(await (await commands()).createKey(options, io)));
  add("list", "list the keys, their secrets aside")
    .option("--json", "a line of JSON each instead of a table", false)
    .action(async (options: { file: string; json: boolean }) => settle(await (await commands()).listKeys(options, io)));
  add("revoke <id...>", "take keys out of the file")
    .option("--json", "a line of JSON each", false)
    .action(async (ids: string[], options: { file: string; json: boolean }) =>
      settle(await (await commands()).revokeKeys(ids, options, io)),
    );
}
