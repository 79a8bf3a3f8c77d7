/**
 * A session as it crosses from the store thread to the lane that opens it. What a store has of it as bytes crosses as bytes, and is looked
 * into in the lane: there is one store thread for all lanes. A disk, or another version, wrote those rows: what is read of them is checked
 * for shape, and StoreError "schema" or "corrupt" names the session and the row.
 *
 * | row    | members behind the version |
 * | ------ | -------------------------- |
 * | origin | agent, request             |
 * | state  | as packRest gives it       |
 * | turn   | as packTurn gives it       |
 */
import type { SessionId } from "../protocol/ids.ts";
import { isAbsentOr, isCount, isListOf, isRecord, isRecordOf, isText } from "../protocol/shapes.ts";
import type { Message } from "../protocol/session-model.ts";
import type { PackedSession } from "../protocol/store-calls.ts";
import type { SessionHead, StoredRequest } from "../protocol/stored-session.ts";
import { encodeValue } from "./codec.ts";
import { PACKED_SCHEMA, packMessages, packRest, packTurn, packUsage, restOf, turnOf, unpackUsage } from "./packed-write.ts";
import type { RestState, TurnState } from "./packed-write.ts";
import { decodeRow, misshapen } from "./stored-row.ts";

export type OriginRow = Pick<SessionHead, "agent" | "request">;

/** For a store that keeps no bytes. @throws StoreError invalid, for what msgpack cannot hold */
export function packSession(head: SessionHead, messages: readonly Message[]): PackedSession {
  const { epoch, version, createdAt, updatedAt, usage, labels, lastSeq, contextTaken, logLength } = head;
  const parts = [encodeOrigin(head), packRest(head), packTurn(head), packMessages(messages)] as const;
  return [epoch, version, createdAt, updatedAt, packUsage(usage), labels, lastSeq, contextTaken, logLength, ...parts];
}

/** @returns also the log, which is not looked into, and the state's row. @throws StoreError corrupt, schema */
export function unpackSession(id: SessionId, packed: PackedSession): { head: SessionHead; rest: Uint8Array; log: Uint8Array } {
  const [epoch, version, createdAt, updatedAt, counts, labels, lastSeq, contextTaken, logLength, origin, state, turn, log] = packed;
  const usage = unpackUsage(counts);
  const numbers = { epoch, version, createdAt, updatedAt, logLength, usage, labels, lastSeq, contextTaken, isArchived: false };
  return { head: headOf(id, numbers, { origin, state, turn }), rest: state, log };
}

/** What of a head stands in no row that is packed. */
type HeadNumbers = Omit<SessionHead, "id" | "agent" | "request" | "system" | "metadata" | "lastAssistantText" | "lastTurn">;

/** A head of its rows. @throws StoreError corrupt, schema */
export function headOf(id: SessionId, numbers: HeadNumbers, rows: Readonly<Record<"origin" | "state" | "turn", Uint8Array>>): SessionHead {
  const { agent, request } = decodeOrigin(rows.origin, id);
  const { system, metadata } = decodeState(rows.state, id);
  const { lastAssistantText, lastTurn } = decodeTurn(rows.turn, id);
  return { id, ...numbers, agent, request, metadata, system, lastAssistantText, lastTurn };
}

export const encodeOrigin = ({ agent, request }: OriginRow): Uint8Array => encodeValue([PACKED_SCHEMA, agent, request]);
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
