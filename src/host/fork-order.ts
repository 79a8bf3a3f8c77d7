/**
 * What a fork is created from: the session it begins as, and the request its agent is built with.
 *
 *   FK1. A fork is a session of its own: a new id, times that begin now, events numbered from 1, no name among peers, nothing staged, no
 *        turn's key. All else is what the other has: agent, create request, usage, metadata, and labels unless others are given. Nothing runs.
 *   FK2. It begins with the first messages, wherever they are cut off; more than there are is refused.
 *   FK3. They are those of one boundary: a running turn is waited for, a session that sleeps is not woken. What cannot be exported cannot
 *        be forked.
 *   FK4. It comes to be as every new session does: one that is answered is there, in the store too, and one that is refused leaves nothing.
 */
import type { ForkSource } from "../protocol/fork-source.ts";
import type { SessionId } from "../protocol/ids.ts";
import { refuse } from "../protocol/parse.ts";
import type { ForkOptions } from "../protocol/requests.ts";
import { metadataOf } from "../protocol/stored-session.ts";
import type { CreateOrder } from "./session-creator.ts";

/**
 * FK1, FK2
 *
 * @param newId - the id it gets
 * @param nowMs - epoch milliseconds
 * @throws SessionError INVALID_PARAMS when the session has fewer messages than the fork is to have
 */
export function forkOrder(source: ForkSource, newId: SessionId, { messages, labels }: ForkOptions, nowMs: number): CreateOrder {
  const { agent, request, session, messageCount } = source;
  if (messages !== undefined && messages > messageCount) refuse("options.messages", `is ${messages}, the session has ${messageCount}`);
  const { commsName: _, ...build } = request.build ?? {};
  const kept = labels ?? request.labels;
  const metadata = { ...metadataOf(session), ...(kept && Object.keys(kept).length > 0 && { session_labels: { ...kept } }) };
  const resumeSession = { ...session, id: newId, createdAt: nowMs, updatedAt: nowMs, metadata };
  return {
    request: { ...request, prompt: "", initialTurn: "defer", labels: kept, build: { ...build, resumeSession } },
    agent,
    resumeId: undefined,
    newId,
    firstTurn: undefined,
    signal: undefined,
  };
}
