/** A session on its way from one lane to another: the first packs it, main passes it on unread, the second builds its agent from it. */
import type { AgentEvent } from "./events.ts";
import type { WireCreateRequest } from "./frames.ts";
import type { Session } from "./session-model.ts";
import type { KeyedTurn, StoredResult } from "./stored-session.ts";

export interface MovedSession {
  /** Name of its agent. */
  readonly agent: string;
  /** As its agent was built with. */
  readonly request: WireCreateRequest;
  readonly session: Session;
  /** Number of its last event. */
  readonly lastSeq: number;
  /** The last good turn, if its request had an idempotency key. */
  readonly lastTurn?: { readonly key: string; readonly fingerprint: string | undefined; readonly result: StoredResult } | undefined;
  /** Its turns that are remembered, oldest first. */
  readonly keyedTurns: readonly KeyedTurn[];
  /** Events emitted while no turn ran. */
  readonly held: readonly AgentEvent[];
}
