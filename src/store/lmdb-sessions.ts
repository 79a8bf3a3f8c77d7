/**
 * What each call reads and writes of the tables. Keys are in lmdb-keys.ts, rows in lmdb-rows.ts.
 *
 *   L3. A call looks at everything it depends on before it writes, and runs in a group's transaction (group-commit.ts).
 *   L4. A write costs what it brings: the head, the turn's row, a row of log; the rest of the state only where it changed.
 */
import type { SessionId } from "../protocol/ids.ts";
import type { Message } from "../protocol/session-model.ts";
import type { PackedSession, PackedWrite } from "../protocol/store-calls.ts";
import { isCount } from "../protocol/shapes.ts";
import { StoreError } from "../protocol/store-error.ts";
import type { NewSession, SessionHead, StoredContext } from "../protocol/stored-session.ts";
import { encodeValue } from "../transport/codec.ts";
import { encodeOrigin } from "../transport/packed-session.ts";
import { packMessages, packRest, packTurn, packUsage, unpackUsage } from "../transport/packed-write.ts";
import { erase } from "./lmdb-doomed.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { appendEvents, lastEvent } from "./lmdb-events.ts";
import { findHead, partOf, putHead, tableOf, wholeHead } from "./lmdb-heads.ts";
import { rememberTurn } from "./lmdb-keyed.ts";
import { NUMBER_MAX, PART, idKey, partKey } from "./lmdb-keys.ts";
import { index, reindex, unindex } from "./lmdb-listing.ts";
import { appendLog, eraseLog, readLog, readPackedLog } from "./lmdb-log.ts";
import type { Log } from "./lmdb-log.ts";
import { damagedMeta, decodedMeta } from "./lmdb-meta.ts";
import { encodeContext } from "./lmdb-rows.ts";
import type { HeadRow } from "./lmdb-rows.ts";
import { archived, checkCreate, checkEvents, checkId, checkWrite, notFound } from "./session-rules.ts";
import type { EventWrite } from "./session-store.ts";

const NEXT_NUMBER = Buffer.from("next");

/** @returns the session's epoch */
export function create(env: LmdbEnv, session: NewSession): number {
  const { id, state, createdAt, labels, agent, request, messages } = session;
  checkId(id);
  const stored = findHead(env, id);
  checkCreate(stored && { ...stored, system: stored.hasSystem ? "" : undefined }, session);
  const log = packMessages(messages);
  const [origin, rest, turn] = [encodeOrigin({ agent, request }), packRest(state), packTurn(state)];
  const number = stored?.number ?? drawNumber(env);
  if (stored !== undefined) {
    unindex(env, id, stored);
    eraseLog(env, number, Number.POSITIVE_INFINITY);
    env.remove("parts", partKey(number, PART.context));
  }
  const { updatedAt, usage, lastSeq, contextTaken, system } = state;
  const head: HeadRow = {
    ...appendLog(env, id, emptyLog(number), log, messages.length),
    epoch: (stored?.epoch ?? env.epochs.of(id, 0)) + 1,
    version: 1,
    createdAt,
    labels,
    updatedAt,
    usage,
    lastSeq,
    contextTaken,
    hasSystem: system !== undefined,
    lastTicket: undefined,
    turn: turn.length > TURN_BYTES_MAX ? undefined : turn,
    isArchived: false,
  };
  env.put("parts", partKey(number, PART.origin), origin);
  env.put("parts", partKey(number, PART.state), rest);
  putTurn(env, number, turn);
  putHead(env, id, head);
  index(env, id, head);
  return head.epoch;
}

const emptyLog = (number: number): Log => ({ number, logLength: 0, tailFrom: 0, tailBytes: 0 });

/** @throws StoreError corrupt, also for a number that has been given out: two sessions would share their rows */
function drawNumber(env: LmdbEnv): number {
  const bytes = env.get("meta", NEXT_NUMBER);
  const number = bytes === undefined ? 1 : decodedMeta(bytes, undefined, "next");
  if (!isCount(number) || number < 1 || number > NUMBER_MAX || env.has("parts", partKey(number, PART.origin))) {
    throw damagedMeta(undefined, "next");
  }
  env.put("meta", NEXT_NUMBER, encodeValue(number + 1));
  return number;
}

/** @param isWritten - the epoch that it issues goes into the row (E3) */
export function open(env: LmdbEnv, id: SessionId, isWritten: boolean): { head: SessionHead; messages: Message[] } {
  const row = claimed(env, id);
  const opened = { head: wholeHead(env, id, row), messages: readLog(env, id, row, 0, row.logLength) };
  issue(env, id, row, isWritten);
  return opened;
}

/** As `open`, the parts beside the head as they are stored: they are looked into in the lane. */
export function openPacked(env: LmdbEnv, id: SessionId, isWritten: boolean): PackedSession {
  const row = claimed(env, id);
  const { number, epoch, version, createdAt, updatedAt, labels, lastSeq, contextTaken, logLength } = row;
  const origin = partOf(env, id, number, "origin");
  const rest = partOf(env, id, number, "state");
  const turn = row.turn ?? partOf(env, id, number, "turn");
  const log = readPackedLog(env, id, row);
  issue(env, id, row, isWritten);
  return [epoch, version, createdAt, updatedAt, packUsage(row.usage), labels, lastSeq, contextTaken, logLength, origin, rest, turn, log];
}

/** The head as it is when the session has become its caller's. @throws StoreError not_found, archived */
function claimed(env: LmdbEnv, id: SessionId): HeadRow {
  const stored = findHead(env, id);
  if (stored === undefined) throw notFound(id);
  if (stored.isArchived) throw archived(id);
  return { ...stored, epoch: stored.epoch + 1 };
}

function issue(env: LmdbEnv, id: SessionId, row: HeadRow, isWritten: boolean): void {
  if (isWritten) putHead(env, id, row);
  else env.epochs.issue(id, row.epoch);
}

export function fence(env: LmdbEnv, id: SessionId, isWritten: boolean): SessionHead | undefined {
  const stored = findHead(env, id);
  if (stored === undefined) return undefined;
  const row = { ...stored, epoch: stored.epoch + 1 };
  const head = wholeHead(env, id, row);
  issue(env, id, row, isWritten);
  return head;
}

/** By index, not by destructuring: every turn comes through here, and iterating costs more than it looks. */
export function writeTurn(env: LmdbEnv, write: PackedWrite, how: "append" | "rewrite"): void {
  const id = write[0];
  const epoch = write[1];
  const isRestNew = write[13];
  const events = write[14];
  const keyed = write[15];
  const stored = findHead(env, id);
  checkWrite(stored, { id, epoch, version: write[2], ticket: write[3] ?? undefined });
  const { number } = stored;
  if (events !== null && events.length > 0) checkEvents(id, lastEvent(env, id, number)?.seq ?? 0, events);
  if (how === "rewrite") eraseLog(env, number, Number.POSITIVE_INFINITY);
  const head = headAfter(stored, write, appendLog(env, id, how === "append" ? stored : emptyLog(number), write[9], write[10]));
  putTurn(env, number, write[11]);
  if (isRestNew) putIfNew(env, partKey(number, PART.state), write[12]);
  putHead(env, id, head);
  reindex(env, id, stored, head);
  if (events !== null) appendEvents(env, number, epoch, events);
  if (keyed !== null) rememberTurn(env, number, id, keyed, write[11]);
}

/** A row that is larger than this is not put into the head's. */
const TURN_BYTES_MAX = 1024;

function putTurn(env: LmdbEnv, number: number, turn: Uint8Array): void {
  if (turn.length > TURN_BYTES_MAX) env.put("parts", partKey(number, PART.turn), turn);
}

function putIfNew(env: LmdbEnv, key: Uint8Array, row: Uint8Array): void {
  const before = env.get("parts", key);
  if (before === undefined || Buffer.compare(before, row) !== 0) env.put("parts", key, row);
}

/** The head of a session whose log is now that one. Member by member: V8 takes 2 µs for each that is added to a spread object. */
function headAfter(stored: HeadRow, write: PackedWrite, log: Log): HeadRow {
  return {
    number: stored.number,
    epoch: stored.epoch,
    version: stored.version + 1,
    createdAt: stored.createdAt,
    updatedAt: write[4],
    hasSystem: write[8],
    logLength: log.logLength,
    usage: unpackUsage(write[5]),
    labels: stored.labels,
    lastSeq: write[6],
    contextTaken: write[7],
    tailFrom: log.tailFrom,
    tailBytes: log.tailBytes,
    lastTicket: undefined,
    turn: write[11].length > TURN_BYTES_MAX ? undefined : write[11],
    isArchived: stored.isArchived,
  };
}

/** @returns the number of the last event in the log */
export function addEvents(env: LmdbEnv, { id, epoch, events, ticket }: EventWrite): number {
  const stored = findHead(env, id);
  checkWrite(stored, { id, epoch, ticket });
  const last = lastEvent(env, id, stored.number)?.seq ?? 0;
  checkEvents(id, last, events);
  appendEvents(env, stored.number, epoch, events);
  return events.at(-1)?.seq ?? last;
}

/** @returns whether there is such a session */
export function archive(env: LmdbEnv, id: SessionId, runningTicket: number | undefined): boolean {
  const head = findHead(env, id);
  if (head === undefined || head.isArchived) return head !== undefined;
  const marked = { ...head, isArchived: true, lastTicket: runningTicket };
  unindex(env, id, head);
  env.remove("heads", idKey(id));
  putHead(env, id, marked);
  index(env, id, marked);
  return true;
}

export function putContext(env: LmdbEnv, id: SessionId, context: StoredContext): void {
  const head = findHead(env, id);
  if (head === undefined) throw notFound(id);
  if (head.isArchived) throw archived(id);
  env.put("parts", partKey(head.number, PART.context), encodeContext(context));
}

/** @returns whether there was such a session, and whether rows of it are left to be erased */
export function remove(env: LmdbEnv, id: SessionId): { wasThere: boolean; isLeft: boolean } {
  const table = tableOf(env, id);
  if (table === undefined) return { wasThere: false, isLeft: false };
  const head = readable(env, id);
  env.remove(table, idKey(id));
  if (head === undefined) return { wasThere: true, isLeft: false };
  unindex(env, id, head);
  return { wasThere: true, isLeft: erase(env, head.number) };
}

/** The head, or undefined when it cannot be read. */
function readable(env: LmdbEnv, id: SessionId): HeadRow | undefined {
  try {
    return findHead(env, id);
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}
