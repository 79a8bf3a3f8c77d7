/** `warren sessions archive` and `purge`: sessions taken out of service, and removed. Each id is done for itself. */
import { isDamage, isOfOneSession } from "./sessions-store.ts";
import type { SessionsCommand } from "./sessions-store.ts";

/** What became of an id. */
type Outcome = { readonly done: string } | { readonly problem: string };

export interface ChangeOptions {
  /** A line of JSON for each session instead of one of text. */
  readonly json: boolean;
}

export async function archiveSessions(command: SessionsCommand, ids: readonly string[], { json }: ChangeOptions): Promise<void> {
  await forEach(command, ids, json, async (id) => ((await command.store.archive(id, undefined)) ? { done: "archived" } : missing(id)));
}

export interface PurgeOptions extends ChangeOptions {
  /** Those too whose rows cannot be read, archived or not. */
  readonly damaged: boolean;
}

/** Only archived ones. */
export async function purgeSessions(command: SessionsCommand, ids: readonly string[], { damaged, json }: PurgeOptions): Promise<void> {
  const { store } = command;
  await forEach(command, ids, json, async (id) => {
    try {
      const head = await store.head(id);
      if (head === undefined) return missing(id);
      if (!head.isArchived) return { problem: `session ${id} is not archived: only archived ones are purged` };
    } catch (error) {
      if (!isDamage(error)) throw error;
      if (!damaged) return { problem: `${error.message} (--damaged purges it all the same)` };
    }
    await store.remove(id);
    return { done: "purged" };
  });
}

async function forEach(
  { out, complain }: SessionsCommand,
  ids: readonly string[],
  json: boolean,
  act: (id: string) => Promise<Outcome>,
): Promise<void> {
  for (const id of new Set(ids)) {
    try {
      const outcome = await act(id);
      if ("problem" in outcome) complain(outcome.problem);
      else await (json ? out.write({ id, outcome: outcome.done }) : out.print(`${outcome.done} ${id}\n`));
    } catch (error) {
      if (!isOfOneSession(error)) throw error;
      complain(error.message);
    }
  }
}

const missing = (id: string): Outcome => ({ problem: `there is no session ${id}` });
