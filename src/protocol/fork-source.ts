/** What a fork of a session is made from: its lane says it of a live session, the store of one that sleeps. */
import type { Session } from "./session-model.ts";
import type { StoredRequest } from "./stored-session.ts";

export interface ForkSource {
  /** Name of its agent. */
  readonly agent: string;
  /** As its agent was built with. */
  readonly request: StoredRequest;
  /** With no more messages than the fork is to have. */
  readonly session: Session;
  /** How many messages the session has. */
  readonly messageCount: number;
}
