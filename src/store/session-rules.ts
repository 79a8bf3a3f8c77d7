/** What every store refuses, and what a listing takes: the same for all stores of ours. Pure. */
import { answerKeyProblem, answerProblem } from "../protocol/answers.ts";
import type { Answer } from "../protocol/answers.ts";
import type { SessionId } from "../protocol/ids.ts";
import { messageCountOf } from "../protocol/stored-session.ts";
import type { NewSession, SessionHead, StoredQuery, StoredSummary } from "../protocol/stored-session.ts";
import { StoreError } from "../protocol/store-error.ts";

/** What a refusal depends on. */
export interface Standing {
  readonly epoch: number;
  readonly version: number;
  readonly isArchived: boolean;
  /** Of the turn that ran when the session was archived, until its write was taken. */
  readonly lastTicket: number | undefined;
}

/** Bytes of an id in UTF-8, at most: it is a key. */
export const ID_BYTES_MAX = 1024;

/** @throws StoreError invalid. Of an id with half a surrogate pair UTF-8 makes something else: two such ids would be one */
export function checkId(id: SessionId): void {
  if (typeof id !== "string" || id === "") throw new StoreError("invalid", "a session's id is a non-empty text");
  if (/\p{Surrogate}/u.test(id)) throw new StoreError("invalid", "a session's id must be well-formed Unicode", { session: id });
  if (Buffer.byteLength(id) > ID_BYTES_MAX) {
    throw new StoreError("invalid", `a session's id must not be longer than ${ID_BYTES_MAX} bytes`, { session: id.slice(0, 100) });
  }
}

export function notFound(id: SessionId): StoreError {
  return new StoreError("not_found", `session ${id} is not stored`, { session: id });
}

export function archived(id: SessionId): StoreError {
  return new StoreError("archived", `session ${id} is archived`, { session: id });
}

/** @throws StoreError exists, archived, stale */
export function checkCreate(stored: (Summed & { readonly isArchived: boolean }) | undefined, session: NewSession): void {
  const { id } = session;
  if (stored === undefined) return;
  if (session.replaces !== true) throw new StoreError("exists", `session ${id} is stored already`, { session: id });
  if (stored.isArchived) throw archived(id);
  const offered: Summed = { updatedAt: session.state.updatedAt, system: session.state.system, logLength: session.messages.length };
  if (isNewer(stored, offered)) {
    throw new StoreError("stale", `session ${id} is stored as of ${stored.updatedAt}, which is newer than ${offered.updatedAt}`, {
      session: id,
      storedAt: stored.updatedAt,
      offeredAt: offered.updatedAt,
    });
  }
}

type Summed = Pick<SessionHead, "updatedAt" | "system" | "logLength">;
const isNewer = (a: Summed, b: Summed): boolean =>
  a.updatedAt !== b.updatedAt ? a.updatedAt > b.updatedAt : messageCountOf(a) > messageCountOf(b);

/**
 * Whether a write by the holder of `epoch` is taken. Fencing comes first (B3).
 *
 * @param version - that the write follows; undefined: it follows no version
 * @throws StoreError not_found, fenced, archived, version
 */
export function checkWrite<S extends Standing>(
  stored: S | undefined,
  write: { readonly id: SessionId; readonly epoch: number; readonly version?: number; readonly ticket?: number | undefined },
): asserts stored is S {
  const { id, epoch, version, ticket } = write;
  if (stored === undefined) throw notFound(id);
  if (epoch !== stored.epoch) {
    throw new StoreError("fenced", `session ${id} was made live elsewhere: its epoch is ${stored.epoch}, the write's ${epoch}`, {
      session: id,
      epoch: stored.epoch,
      given: epoch,
    });
  }
  if (stored.isArchived && (ticket === undefined || ticket !== stored.lastTicket)) throw archived(id);
  if (version !== undefined && version !== stored.version) {
    throw new StoreError("version", `session ${id} is at version ${stored.version}, the write follows ${version}`, {
      session: id,
      version: stored.version,
      given: version,
    });
  }
}

/** @throws StoreError version, when the events do not grow from behind `lastSeq` on */
export function checkEvents(id: SessionId, lastSeq: number, events: readonly { readonly seq: number }[]): void {
  let last = lastSeq;
  for (const { seq } of events) {
    if (!Number.isSafeInteger(seq) || seq <= last) {
      throw new StoreError("version", `event ${seq} of session ${id} does not follow event ${last}`, { session: id, last, given: seq });
    }
    last = seq;
  }
}

/** @throws StoreError invalid */
export function checkAnswer(key: string, answer?: Answer): void {
  const problem = answerKeyProblem(key);
  if (problem !== undefined) throw new StoreError("invalid", `an answer's key ${problem}`);
  const wrong = answer && answerProblem(answer);
  if (wrong !== undefined) throw new StoreError("invalid", `an answer's ${wrong.field} ${wrong.problem}`, { field: wrong.field });
}

/** @returns the row of a listing */
export function summaryOf(head: Omit<StoredSummary, "messageCount"> & Pick<SessionHead, "system" | "logLength">): StoredSummary {
  const { id, createdAt, updatedAt, usage, labels, isArchived } = head;
  return { id, createdAt, updatedAt, messageCount: messageCountOf(head), usage: { ...usage }, labels: { ...labels }, isArchived };
}

/** @returns whether a session is among those a query asks for, `after`, offset and limit aside */
export function isAskedFor(session: Omit<StoredSummary, "messageCount" | "usage" | "id">, query: StoredQuery): boolean {
  if (session.isArchived !== (query.archived ?? false)) return false;
  if (query.createdAfter !== undefined && session.createdAt < query.createdAfter) return false;
  if (query.updatedAfter !== undefined && session.updatedAt < query.updatedAfter) return false;
  return Object.entries(query.labels ?? {}).every(([key, value]) => Object.hasOwn(session.labels, key) && session.labels[key] === value);
}

/** Order of ids: by their bytes in UTF-8, which for all but rare ids is the order of `<`. For `Array.sort`. */
export function compareIds(a: SessionId, b: SessionId): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Order of a listing. For `Array.sort`. By "updated" the latest comes first, of equal times the one whose id sorts last. */
export function compareListed(order: StoredQuery["order"]): (a: Listed, b: Listed) => number {
  return order === "updated" ? (a, b) => b.updatedAt - a.updatedAt || compareIds(b.id, a.id) : (a, b) => compareIds(a.id, b.id);
}
type Listed = Pick<StoredSummary, "id" | "updatedAt">;
