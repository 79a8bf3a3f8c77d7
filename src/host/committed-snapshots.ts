/**
 * Snapshots of sessions that a runtime has committed elsewhere, and that the store takes over. While one is taken no turn of its session
 * is admitted; a live session ends before the lock is free again, so that its next turn begins from the snapshot.
 */
import { isDeepStrictEqual } from "node:util";

import { ticketWord } from "../core/tickets.ts";
import { unlock } from "../core/turn-lock.ts";
import { SessionError, agentFailure, notFound } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import { parseInput } from "../protocol/parse.ts";
import { SnapshotParam } from "../protocol/runtime.ts";
import { Session, lastAssistantText } from "../protocol/session-model.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionHost } from "./session-host.ts";
import type { StoredSessions } from "./stored-sessions.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** @returns the session a snapshot holds. @throws SessionError INVALID_PARAMS, AGENT_ERROR internal_error when it is not one, or another's */
export function sessionOfSnapshot(id: SessionId, snapshot: Uint8Array): Session {
  const bytes = parseInput(SnapshotParam, snapshot, "snapshot");
  let problem: string;
  try {
    const session = Session.parse(JSON.parse(UTF8.decode(bytes)));
    if (session.id === id) return session;
    problem = `it is one of session ${session.id}`;
  } catch (error) {
    problem = `it does not decode: ${String(error)}`;
  }
  throw agentFailure("internal_error", `committed runtime session snapshot of session ${id}: ${problem}`, { sessionId: id });
}

/** @param entry - the session, if it is live. @throws SessionError SESSION_BUSY, SESSION_NOT_FOUND, SESSION_STORE_ERROR */
export async function takeSnapshot(
  host: SessionHost,
  stored: StoredSessions,
  entry: SessionEntry | undefined,
  session: Session,
): Promise<void> {
  const word = entry && ticketWord(host.turns.admit(entry));
  let isOver = false;
  try {
    const known = await stored.session(session.id);
    if (known === undefined || known.metadata["session_archived"] === true) throw notFound(session.id);
    if (isDeepStrictEqual(JSON.parse(JSON.stringify(known)), JSON.parse(JSON.stringify(session)))) return;
    isOver = true; // from here on the live session may be fenced
    if (await stored.ask(session.id, "adopt", session, lastAssistantText(session.messages))) return;
    isOver = false;
    const details = { reason: "checkpoints_cancelled" };
    throw new SessionError("SESSION_STORE_ERROR", "store error: checkpoints are cancelled", { sessionId: session.id, details });
  } finally {
    if (entry !== undefined && word !== undefined) {
      unlock(host.table, entry.slot, word);
      if (isOver && entry.state === "live") host.leave(entry, "discard");
      host.lines.look(entry.id);
    }
  }
}
