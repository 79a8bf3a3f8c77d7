/** `warren sessions archive` and `purge`: sessions taken out of service, and removed. Each id is done for itself. */
import type { SessionsCommand } from "./sessions-store.ts";

export async function archiveSessions({ store, out, complain }: SessionsCommand, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    if (await store.archive(id, undefined)) await out.print(`archived ${id}\n`);
    else complain(`there is no session ${id}`);
  }
}

/** Only archived ones. */
export async function purgeSessions({ store, out, complain }: SessionsCommand, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const head = await store.head(id);
    if (head === undefined) complain(`there is no session ${id}`);
    else if (!head.isArchived) complain(`session ${id} is not archived: only archived ones are purged`);
    else {
      await store.remove(id);
      await out.print(`purged ${id}\n`);
    }
  }
}
