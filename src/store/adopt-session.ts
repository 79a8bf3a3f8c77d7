/** A stored session becomes what a snapshot of it says: for one that was committed elsewhere. */
import type { Session } from "../protocol/session-model.ts";
import { StoreError } from "../protocol/store-error.ts";
import { apart, metadataOf } from "../protocol/stored-session.ts";
import type { SessionStore } from "./session-store.ts";

/** Whoever owned the session is fenced, also when this fails. Rejects with StoreError not_found, archived, and whatever a rewrite does */
export async function adoptSession(store: SessionStore, session: Session, lastAssistantText: string | undefined): Promise<void> {
  const { id, messages, updatedAt, usage } = session;
  const head = await store.fence(id);
  if (head === undefined) throw new StoreError("not_found", `there is no session ${id}`, { session: id });
  const { system, log } = apart(messages);
  const { epoch, version, lastSeq, contextTaken } = head;
  const state = { updatedAt, usage, lastAssistantText, system, metadata: metadataOf(session), lastSeq, contextTaken };
  await store.rewrite({ id, epoch, version, state, messages: log });
}
