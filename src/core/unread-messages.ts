/**
 * A session that was woken, its messages not read yet: most turns of most agents only add to them, and to read them is a fifth of what a
 * wake-up takes in its lane.
 */
import type { Message, Session } from "../protocol/session-model.ts";

export interface UnreadMessages {
  readonly length: number;
  /** As lastAssistantText of them. */
  readonly lastAssistantText: string | undefined;
  /** The same ones each time. Does not fail: whoever made this has looked at them. */
  read(): readonly Message[];
}

export interface UnreadSession extends Omit<Session, "messages"> {
  readonly unread: UnreadMessages;
}

export function readSession(resumed: Session | UnreadSession): Session {
  if (!("unread" in resumed)) return resumed;
  const { unread, version, id, createdAt, updatedAt, metadata, usage } = resumed;
  return { version, id, messages: [...unread.read()], createdAt, updatedAt, metadata, usage };
}
