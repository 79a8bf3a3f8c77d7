/** The arguments of `warren sessions …`. */
import type { Command } from "commander";
import { Option } from "commander";

import type { CommandIo } from "./command-io.ts";
import { openInput } from "./files.ts";
import { count, filePath, integer, label } from "./option-values.ts";
import type { PurgeOptions } from "./sessions-change.ts";
import { archiveSessions, purgeSessions } from "./sessions-change.ts";
import type { HistoryOptions, ListOptions } from "./sessions-read.ts";
import type { SessionsCommand, StoreAccess } from "./sessions-store.ts";
import { withStore } from "./sessions-store.ts";

const NOTES = `
list, show, history and export read the store, also while a host has it open; archive, purge and import need it for themselves.
Exit code: 0 all was done, 1 something was not, 2 called wrongly, or the store cannot be opened.`;
const LISTED = 100;
const LIMIT_MAX = 1_000_000_000;

type WithStore = { readonly store: string };

// Loaded when they are called: see program.ts.
const reading = () => import("./sessions-read.ts");
const transfer = () => import("./sessions-transfer.ts");

/** Add the commands. @param settle - is given the exit code of the one that was run */
export function addSessionsCommands(program: Command, io: CommandIo, settle: (exitCode: number) => void): void {
  const sessions = program.command("sessions").description("look at and change what a store keeps").addHelpText("after", NOTES);
  const add = (usage: string, description: string): Command =>
    sessions.command(usage).description(description).requiredOption("--store <dir>", "folder of the store", filePath);
  const run = async ({ store }: WithStore, access: StoreAccess, act: (command: SessionsCommand) => Promise<void>): Promise<void> =>
    settle(await withStore(store, access, io, act));

  add("list", "list sessions")
    .option("--limit <n>", "as many at most", integer(LIMIT_MAX), LISTED)
    .option("--after <id>", "those behind this id")
    .option("--label <name=value>", "those with this label; may be given several times", label)
    .option("--archived", "archived ones instead", false)
    .addOption(new Option("--order <order>", "by id, or the last written first").choices(["id", "updated"]).default("id"))
    .option("--json", "a line of JSON each instead of a table", false)
    .action((options: ListOptions & WithStore) =>
      run(options, "read", async (command) => (await reading()).listSessions(command, options)),
    );
  add("show <id>", "show what is known of a session, its messages aside")
    .option("--json", "as JSON", false)
    .action((id: string, options: { json: boolean } & WithStore) =>
      run(options, "read", async (command) => (await reading()).showSession(command, id, options)),
    );
  add("history <id>", "print the messages of a session")
    .option("--offset <n>", "from this one on, counted from 0", count, 0)
    .option("--limit <n>", "as many at most", integer(LIMIT_MAX))
    .option("--json", "a line of JSON each", false)
    .action((id: string, options: HistoryOptions & WithStore) =>
      run(options, "read", async (command) => (await reading()).showHistory(command, id, options)),
    );
  add("archive <id...>", "take sessions out of service; they stay readable").action((ids: string[], options: WithStore) =>
    run(options, "change", (command) => archiveSessions(command, ids)),
  );
  add("purge <id...>", "remove archived sessions for good")
    .option("--damaged", "those too whose rows cannot be read", false)
    .action((ids: string[], options: PurgeOptions & WithStore) =>
      run(options, "change", (command) => purgeSessions(command, ids, options)),
    );
  add("export [id...]", "write sessions as JSON Lines, all if none is named; without their event logs")
    .option("--output <file>", "write there instead of to standard output", filePath)
    .action((ids: string[], options: { output?: string } & WithStore) =>
      run(options, "read", async (command) => (await transfer()).exportSessions(command, ids.length === 0 ? undefined : ids, options)),
    );
  add("import <file>", "read sessions that export wrote; - is standard input")
    .option("--replace", "put them in the place of stored ones of the same ids", false)
    .action(async (file: string, options: { replace: boolean } & WithStore) => {
      const input = await openInput(file, io.stdin);
      try {
        await run(options, "fill", async (command) => (await transfer()).importSessions(command, input, options));
      } finally {
        input.chunks.destroy();
      }
    });
}
