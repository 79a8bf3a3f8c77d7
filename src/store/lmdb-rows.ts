/**
 * Rows of a session as bytes: msgpack arrays whose first member is the version of their schema. What is read is checked for shape, since
 * a disk, or another version, wrote it: StoreError "schema" or "corrupt", naming the session and the row. Those that a lane looks into are
 * in transport/packed-session.ts.
 *
 * | row     | members behind the version                                                                                              |
 * | ------- | ----------------------------------------------------------------------------------------------------------------------- |
 * | head    | number, epoch, version, createdAt, updatedAt, hasSystem, logLength, usage, labels, lastSeq, contextTaken, tailFrom, tailBytes, lastTicket, turn |
 * | context | staged, pending, seen                                                                                                   |
 */
import type { SessionId } from "../protocol/ids.ts";
import { isAbsentOr, isCount, isListOf, isRecord, isRecordOf, isText, isTime } from "../protocol/shapes.ts";
import type { Usage } from "../protocol/session-model.ts";
import type { StoredContext } from "../protocol/stored-session.ts";
import { encodeValue } from "../transport/codec.ts";
import { PACKED_SCHEMA, packUsage, usageOf } from "../transport/packed-write.ts";
import { decodeRow, misshapen } from "../transport/stored-row.ts";
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

const isLabels = (value: unknown): value is Record<string, string> => isRecordOf(value, isText);
