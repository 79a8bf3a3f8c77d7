/**
 * Rows of a session as bytes: msgpack arrays whose first member is the version of their schema. What is read is checked for shape, since
 * a disk, or another version, wrote it: StoreError "schema" or "corrupt", naming the session and the row.
 *
 * | row     | members behind the version                                                                                              |
 * | ------- | ----------------------------------------------------------------------------------------------------------------------- |
 * | head    | number, epoch, version, createdAt, updatedAt, hasSystem, logLength, usage, labels, lastSeq, contextTaken, tailFrom, tailBytes, lastTicket, turn |
 * | origin  | agent, request                                                                                                          |
 * | state   | as packRest gives it                                                                                                    |
 * | turn    | as packTurn gives it                                                                                                    |
 * | context | staged, pending, seen                                                                                                   |
 */
import type { SessionId } from "../protocol/ids.ts";
import { isAbsentOr, isCount, isListOf, isRecord, isRecordOf, isText, isTime } from "../protocol/shapes.ts";
import type { Usage } from "../protocol/session-model.ts";
import type { SessionHead, StoredContext, StoredRequest } from "../protocol/stored-session.ts";
import { decodeValue, encodeValue } from "../transport/codec.ts";
import { PACKED_SCHEMA, packUsage, restOf, turnOf, usageOf } from "../transport/packed-write.ts";
import type { RestState, TurnState } from "../transport/packed-write.ts";
import { StoreError } from "../protocol/store-error.ts";
import { INDEX_MAX, NUMBER_MAX } from "./lmdb-keys.ts";

export const ROW_SCHEMA = PACKED_SCHEMA;

/** The row that every write of a session replaces, so it is small; what is small and changes with it is in it. */
export interface HeadRow {
  readonly number: number;
  readonly epoch: number;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly hasSystem: boolean;
  readonly logLength: number;
  readonly usage: Usage;
  readonly labels: Readonly<Record<string, string>>;
  readonly lastSeq: number;
  readonly contextTaken: number;
  /** Where the log's tail begins, the rows that are not merged yet, and the bytes of its messages. See lmdb-log.ts. */
  readonly tailFrom: number;
  readonly tailBytes: number;
  /** See Standing. */
  readonly lastTicket: number | undefined;
  /** The turn's row, where it is small; undefined: it is a row of its own. */
  readonly turn: Uint8Array | undefined;
  /** Not in the row: which of the two tables it is in says it. */
  readonly isArchived: boolean;
}

export type OriginRow = Pick<SessionHead, "agent" | "request">;

/** Where a row stands, for errors. */
export interface Where {
  readonly session: SessionId;
  readonly row: string;
}

export function encodeHead(head: HeadRow): Uint8Array {
  const { number, epoch, version, createdAt, updatedAt, hasSystem, logLength, usage, labels, lastSeq, contextTaken } = head;
  const { tailFrom, tailBytes, lastTicket, turn } = head;
  const counts = packUsage(usage);
  // One literal: spreading costs more than packing it.
  return encodeValue([
    ROW_SCHEMA,
    number,
    epoch,
    version,
    createdAt,
    updatedAt,
    hasSystem,
    logLength,
    counts,
    labels,
    lastSeq,
    contextTaken,
    tailFrom,
    tailBytes,
    lastTicket ?? null,
    turn ?? null,
  ]);
}

export function decodeHead(bytes: Uint8Array, session: SessionId, isArchived: boolean): HeadRow {
  const where = { session, row: "head" };
  // By index, not by destructuring: every call decodes a head, and iterating costs more than all the rest.
  const row = decodeRow(bytes, where, 16) as number[];
  for (const at of HEAD_COUNTS) if (!isCount(row[at])) throw misshapen(where);
  for (const at of HEAD_TIMES) if (!isTime(row[at])) throw misshapen(where);
  for (const at of HEAD_KEYS) if ((row[at] as number) > (at === 1 ? NUMBER_MAX : INDEX_MAX)) throw misshapen(where);
  const hasSystem = row[6] as unknown;
  const usage = usageOf(row[8]);
  const labels = row[9] as unknown;
  const lastTicket = row[14] as unknown;
  const turn = row[15] as unknown;
  if (typeof hasSystem !== "boolean" || !(lastTicket === null || isCount(lastTicket)) || !isLabels(labels) || usage === undefined)
    throw misshapen(where);
  if (!(turn === null || turn instanceof Uint8Array)) throw misshapen(where);
  return {
    number: row[1] as number,
    epoch: row[2] as number,
    version: row[3] as number,
    createdAt: row[4] as number,
    updatedAt: row[5] as number,
    hasSystem,
    logLength: row[7] as number,
    usage,
    labels,
    lastSeq: row[10] as number,
    contextTaken: row[11] as number,
    tailFrom: row[12] as number,
    tailBytes: row[13] as number,
    lastTicket: (lastTicket as number | null) ?? undefined,
    turn: (turn as Uint8Array | null) ?? undefined,
    isArchived,
  };
}
const HEAD_COUNTS = [1, 2, 3, 7, 10, 11, 12, 13] as const;
const HEAD_TIMES = [4, 5] as const;
/** What keys are made of: the session's number, the log's length and where its tail begins. */
const HEAD_KEYS = [1, 7, 12] as const;

export const encodeOrigin = ({ agent, request }: OriginRow): Uint8Array => encodeValue([ROW_SCHEMA, agent, request]);
export function decodeOrigin(bytes: Uint8Array, session: SessionId): OriginRow {
  const where = { session, row: "origin" };
  const [, agent, request] = decodeRow(bytes, where, 3);
  if (!isText(agent) || !isRequest(request)) throw misshapen(where);
  return { agent, request };
}

/** Members that are not known are another version's. */
function isRequest(request: unknown): request is StoredRequest {
  return isRecord(request) && Object.entries(REQUEST).every(([member, is]) => isAbsentOr(request[member], is));
}
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const REQUEST: Readonly<Record<keyof StoredRequest, (value: unknown) => boolean>> = {
  prompt: isText,
  agent: isText,
  model: isText,
  systemPrompt: isText,
  maxTokens: isCount,
  initialTurn: isText,
  hostMode: isBoolean,
  labels: (labels) => isRecordOf(labels, isText),
  skillReferences: (keys) => isListOf(keys, (key) => isRecord(key) && isText(key["sourceUuid"]) && isText(key["skillName"])),
  isolation: (kind) => kind === "shared" || kind === "dedicated",
  resourceLimits: (limits) => isRecordOf(limits, (limit) => limit === undefined || (typeof limit === "number" && limit > 0)),
  build: isRecord,
};

export function decodeState(bytes: Uint8Array, session: SessionId): RestState {
  const where = { session, row: "state" };
  const state = restOf(decodeRow(bytes, where, 3));
  if (state === undefined) throw misshapen(where);
  return state;
}

export function decodeTurn(bytes: Uint8Array, session: SessionId): TurnState {
  const where = { session, row: "turn" };
  const state = turnOf(decodeRow(bytes, where, 3));
  if (state === undefined) throw misshapen(where);
  return state;
}

export const encodeContext = ({ staged, pending, seen }: StoredContext): Uint8Array => encodeValue([ROW_SCHEMA, staged, pending, seen]);
export function decodeContext(bytes: Uint8Array, session: SessionId): StoredContext {
  const where = { session, row: "context" };
  const [, staged, pending, seen] = decodeRow(bytes, where, 4);
  if (!isCount(staged) || !isListOf(pending, isAppend) || !isRecordOf(seen, isSeen)) throw misshapen(where);
  const context = { staged, pending, seen } as StoredContext;
  if (context.pending.length > staged) throw misshapen(where);
  return context;
}
const isAppend = (append: unknown): boolean =>
  isRecord(append) &&
  isText(append["text"]) &&
  isAbsentOr(append["source"], isText) &&
  isAbsentOr(append["idempotencyKey"], isText) &&
  isAbsentOr(append["acceptedAt"], isTime);
const isSeen = (seen: unknown): boolean =>
  isRecord(seen) && isText(seen["text"]) && isAbsentOr(seen["source"], isText) && ["pending", "applied"].includes(seen["state"] as string);

/** @param length - of the row; undefined: any. @returns its members, the version first. @throws StoreError corrupt, schema */
export function decodeRow(bytes: Uint8Array, where: Where, length: number | undefined): unknown[] {
  let row: unknown;
  try {
    row = decodeValue(bytes);
  } catch (cause) {
    throw corrupt(where, `cannot be decoded: ${String(cause)}`, cause);
  }
  if (!Array.isArray(row)) throw misshapen(where);
  const found: unknown = row[0];
  if (found !== ROW_SCHEMA) {
    if (!isCount(found)) throw misshapen(where);
    throw new StoreError("schema", `row ${where.row} of session ${where.session} has schema ${found}, known is ${ROW_SCHEMA}`, {
      ...where,
      found,
      known: ROW_SCHEMA,
    });
  }
  if (length !== undefined && row.length !== length) throw misshapen(where);
  return row as unknown[];
}

export function corrupt(where: Where, problem: string, cause?: unknown): StoreError {
  return new StoreError("corrupt", `row ${where.row} of session ${where.session} ${problem}`, { ...where }, cause);
}
export const misshapen = (where: Where): StoreError => corrupt(where, "does not hold what it should");
const isLabels = (value: unknown): value is Record<string, string> => isRecordOf(value, isText);
