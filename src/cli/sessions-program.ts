/** The arguments of `warren sessions …`. */
import type { Command } from "commander";
import { Option } from "commander";

import type { CommandIo } from "./command-io.ts";
import { UsageError } from "./command-io.ts";
import { openInput } from "./files.ts";
import { count, filePath, integer, label } from "./option-values.ts";
import { keyOption, urlOption } from "./remote-options.ts";
import type { RemoteOptions } from "./remote.ts";
import type { ChangeOptions, PurgeOptions } from "./sessions-change.ts";
import { archiveSessions, purgeSessions } from "./sessions-change.ts";
import type { HistoryOptions, ListOptions } from "./sessions-read.ts";
import type { EventsOptions, ForkOptions, RemoteCommand } from "./sessions-remote.ts";
import type { SessionsCommand, StoreAccess } from "./sessions-store.ts";
import { withStore } from "./sessions-store.ts";

const NOTES = `
With --store the sessions of a store: list, show, history and export read it, also while a host has it open; archive, purge and import
need it for themselves. With --url those of a server, which alone can interrupt, fork, and tell events as they come.
Exit code: 0 all was done, 1 something was not, 2 called wrongly, or the store or the server cannot be used.`;
const LISTED = 100;
const LIMIT_MAX = 1_000_000_000;

type WithStore = { readonly store: string };
type Anywhere = RemoteOptions & { readonly store?: string };

// Loaded when they are called: see program.ts.
const reading = () => import("./sessions-read.ts");
const transfer = () => import("./sessions-transfer.ts");
const remote = () => import("./sessions-remote.ts");

/** Add the commands. @param settle - is given the exit code of the one that was run */
export function addSessionsCommands(program: Command, io: CommandIo, settle: (exitCode: number) => void): void {
  const sessions = program
    .command("sessions")
    .description("look at and change sessions of a store or a server")
    .addHelpText("after", NOTES);
  const stored = (usage: string, description: string): Command =>
    sessions.command(usage).description(description).requiredOption("--store <dir>", "folder of the store", filePath);
  const served = (usage: string, description: string): Command =>
    sessions.command(usage).description(description).addOption(urlOption()).addOption(keyOption());
  const anywhere = (usage: string, description: string): Command =>
    served(usage, description).option("--store <dir>", "folder of the store", filePath);
  const inStore = async ({ store }: WithStore, access: StoreAccess, act: (command: SessionsCommand) => Promise<void>): Promise<void> =>
    settle(await withStore(store, access, io, act));
  const onServer = async (options: RemoteOptions, act: (command: RemoteCommand) => Promise<void>): Promise<void> =>
    settle(await (await remote()).withServer(options, io, act));
  /** Where the caller says, or else where WARREN_URL says. */
  const run = async (
    options: Anywhere,
    access: StoreAccess,
    act: (command: SessionsCommand) => Promise<void>,
    actOnServer: (command: RemoteCommand) => Promise<void>,
  ): Promise<void> => {
    const { store, url } = options;
    if (store !== undefined && url !== undefined) throw new UsageError("option '--url <url>' does not go with '--store <dir>'");
    if (store !== undefined) return inStore({ store }, access, act);
    if (url === undefined && (io.env["WARREN_URL"] ?? "") === "") throw new UsageError("option '--store <dir>' or '--url <url>' is needed");
    return onServer(options, actOnServer);
  };

  anywhere("list", "list sessions")
    .option("--limit <n>", "as many at most", integer(LIMIT_MAX), LISTED)
    .option("--after <id>", "those behind this id")
    .option("--label <name=value>", "those with this label; may be given several times", label)
    .option("--archived", "archived ones of a store instead", false)
    .addOption(new Option("--order <order>", "by id, or of a store the last written first").choices(["id", "updated"]).default("id"))
    .option("--json", "a line of JSON each instead of a table", false)
    .action((options: ListOptions & Anywhere) =>
      run(
        options,
        "read",
        async (command) => (await reading()).listSessions(command, options),
        async (command) => (await remote()).listRemote(command, options),
      ),
    );
  anywhere("show <id>", "show what is known of a session, its messages aside")
    .option("--json", "as JSON", false)
    .action((id: string, options: { json: boolean } & Anywhere) =>
      run(
        options,
        "read",
        async (command) => (await reading()).showSession(command, id, options),
        async (command) => (await remote()).showRemote(command, id, options),
      ),
    );
  anywhere("history <id>", "print the messages of a session")
    .option("--offset <n>", "from this one on, counted from 0", count, 0)
    .option("--limit <n>", "as many at most", integer(LIMIT_MAX))
    .option("--json", "a line of JSON each", false)
    .action((id: string, options: HistoryOptions & Anywhere) =>
      run(
        options,
        "read",
        async (command) => (await reading()).showHistory(command, id, options),
        async (command) => (await remote()).showRemoteHistory(command, id, options),
      ),
    );
  const eachJson = ["--json", "a line of JSON for each of them", false] as const;
  anywhere("archive <id...>", "take sessions out of service; they stay readable")
    .option(...eachJson)
    .action((ids: string[], options: ChangeOptions & Anywhere) =>
      run(
        options,
        "change",
        (command) => archiveSessions(command, ids, options),
        async (command) => (await remote()).changeEach(command, ids, "archived", options.json, (id) => command.client.archive(id)),
      ),
    );
  anywhere("purge <id...>", "remove archived sessions for good; on a server archived or not")
    .option("--damaged", "those of a store too whose rows cannot be read", false)
    .option(...eachJson)
    .action((ids: string[], options: PurgeOptions & Anywhere) =>
      run(
        options,
        "change",
        (command) => purgeSessions(command, ids, options),
        async (command) =>
          (await remote()).changeEach(command, ids, "purged", options.json, (id) => command.client.archive(id, { purge: true })),
      ),
    );
  served("interrupt <id...>", "stop the running turns of sessions")
    .option(...eachJson)
    .action((ids: string[], options: ChangeOptions & RemoteOptions) =>
      onServer(options, async (command) =>
        (await remote()).changeEach(command, ids, "interrupted", options.json, (id) => command.client.interrupt(id)),
      ),
    );
  served("fork <id>", "make a new session with the messages of this one, and print its id")
    .option("--messages <n>", "only the first ones, so many", count)
    .option("--label <name=value>", "of the new session; may be given several times", label)
    .option("--json", "as JSON", false)
    .action((id: string, options: ForkOptions & RemoteOptions) =>
      onServer(options, async (command) => (await remote()).forkRemote(command, id, options)),
    );
  served("events <id>", "print the events of a session as they come, until it is out of service")
    .option("--after <cursor>", "those behind this one too, as far as they are kept; 0 is all")
    .option("--json", "a line of JSON each", false)
    .action((id: string, options: EventsOptions & RemoteOptions) =>
      onServer(options, async (command) => (await remote()).followRemote(command, id, options)),
    );
  stored("export [id...]", "write sessions as JSON Lines, all if none is named; without their event logs")
    .option("--output <file>", "write there instead of to standard output", filePath)
    .action((ids: string[], options: { output?: string } & WithStore) =>
      inStore(options, "read", async (command) => (await transfer()).exportSessions(command, ids.length === 0 ? undefined : ids, options)),
    );
  stored("import <file>", "read sessions that export wrote; - is standard input")
    .option("--replace", "put them in the place of stored ones of the same ids", false)
    .action(async (file: string, options: { replace: boolean } & WithStore) => {
      const input = await openInput(file, io.stdin);
      try {
        await inStore(options, "fill", async (command) => (await transfer()).importSessions(command, input, options));
      } finally {
        input.chunks.destroy();
      }
    });
}
