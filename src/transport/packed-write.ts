/**
 * A write of a session as it crosses to the store thread. What a store has no need to look into is msgpack already, made once, in the
 * lane: a store that keeps msgpack puts those bytes away as they are, for any other they are unpacked. There is one store thread for all
 * lanes, so what is done in a lane is done side by side.
 *
 *   X1. What is packed and unpacked again is equal to what was packed, members that are undefined aside.
 */
import type { Message, Usage } from "../protocol/session-model.ts";
import type { PackedUsage, PackedWrite } from "../protocol/store-calls.ts";
import type { KeyedRequest, SavedTurn, SessionState, SessionWrite, StoredResult } from "../protocol/stored-session.ts";
import { isAbsentOr, isCount, isRecord, isText, isTime } from "../protocol/shapes.ts";
import { StoreError } from "../protocol/store-error.ts";
import { FrameError, decodeValue, decodeValues, encodeValue } from "./codec.ts";

/** Version of the formats below, which are those of rows too: the first member of each. */
export const PACKED_SCHEMA = 1;

export type TurnState = Pick<SessionState, "lastAssistantText" | "lastTurn">;
export type RestState = Pick<SessionState, "system" | "metadata">;

/** @param rest - of the write's state, packed. @throws StoreError invalid, for what msgpack cannot hold */
export function packWrite(write: SessionWrite, rest = packRest(write.state), isRestNew = true): PackedWrite {
  const { id, epoch, version, ticket, state, messages, events, keyed } = write;
  const { updatedAt, lastSeq, contextTaken } = state;
  return [
    id,
    epoch,
    version,
    ticket ?? null,
    updatedAt,
    packUsage(state.usage),
    lastSeq,
    contextTaken,
    state.system !== undefined,
    packMessages(messages),
    messages.length,
    packTurn(state),
    rest,
    isRestNew,
    events ?? null,
    keyed === undefined ? null : [keyed.key, keyed.fingerprint, keyed.at],
  ];
}

/** @throws StoreError invalid, when it is not what packWrite gives */
export function unpackWrite(packed: PackedWrite): SessionWrite {
  try {
    const [id, epoch, version, ticket, updatedAt, counts, lastSeq, contextTaken, , packedMessages, count, turn, rest, , events, key] =
      packed;
    const usage = usageOf(counts);
    if (
      !isText(id) ||
      ![epoch, version, ticket === null ? 0 : ticket, lastSeq, contextTaken].every(isCount) ||
      !isTime(updatedAt) ||
      usage === undefined
    )
      throw new FrameError("its members are others");
    const messages = unpackMessages(packedMessages);
    if (messages.length !== count || !messages.every(isRecord)) throw new FrameError("its messages are others");
    if (!(events === null || Array.isArray(events))) throw new FrameError("its events are no list");
    const keyed = key === null ? undefined : keyedOf(key);
    if (key !== null && keyed === undefined) throw new FrameError("its key is none");
    return {
      id,
      epoch,
      version,
      state: { updatedAt, usage, lastSeq, contextTaken, ...unpack(turn, turnOf), ...unpack(rest, restOf) },
      messages: messages as Message[],
      ...(ticket !== null && { ticket }),
      ...(events !== null && { events }),
      ...(keyed && { keyed }),
    };
  } catch (cause) {
    throw new StoreError("invalid", `what was to be stored is not a write of a session: ${String(cause)}`, {}, cause);
  }
}

/** @returns undefined when it is not what packWrite gives */
export function keyedOf(packed: unknown): KeyedRequest | undefined {
  if (!Array.isArray(packed) || packed.length !== 3) return undefined;
  const [key, fingerprint, at] = packed as unknown[];
  return isText(key) && isText(fingerprint) && isTime(at) ? { key, fingerprint, at } : undefined;
}

function unpack<T>(bytes: Uint8Array, read: (row: readonly unknown[]) => T | undefined): T {
  const row = decodeValue(bytes);
  const value = Array.isArray(row) && row[0] === PACKED_SCHEMA ? read(row as unknown[]) : undefined;
  if (value === undefined) throw new FrameError("a row is none");
  return value;
}

/** @returns the messages one behind the other */
export function packMessages(messages: readonly Message[]): Uint8Array {
  if (messages.length === 0) return NOTHING;
  return pack(messages).subarray(arrayHeader(messages.length));
}
const NOTHING = new Uint8Array(0);
/** Bytes of msgpack's header of an array. */
const arrayHeader = (length: number): number => (length < 16 ? 1 : length < 0x10000 ? 3 : 5);

/** @throws FrameError for bytes that are not whole values */
export function unpackMessages(packed: Uint8Array): unknown[] {
  return decodeValues(packed);
}

/** [schema, text, turn], the turn [ticket, key, text, turns, toolCalls, usage, whatever else a result has]; a text that is repeated is null. */
export function packTurn({ lastAssistantText, lastTurn }: TurnState): Uint8Array {
  if (lastTurn === undefined) return pack([PACKED_SCHEMA, lastAssistantText ?? null, null]);
  const { ticket, key, result } = lastTurn;
  const { text, turns, toolCalls, usage } = result;
  const told = text === lastAssistantText ? null : text;
  return pack([PACKED_SCHEMA, lastAssistantText ?? null, [ticket, key ?? null, told, turns, toolCalls, packUsage(usage), moreOf(result)]]);
}

type More = Pick<StoredResult, "structuredOutput" | "schemaWarnings" | "skillDiagnostics">;
function moreOf({ structuredOutput, schemaWarnings, skillDiagnostics }: More): More | null {
  if (structuredOutput === undefined && schemaWarnings === undefined && skillDiagnostics === undefined) return null;
  return {
    ...(structuredOutput !== undefined && { structuredOutput }),
    ...(schemaWarnings !== undefined && { schemaWarnings }),
    ...(skillDiagnostics !== undefined && { skillDiagnostics }),
  };
}

/** @returns undefined when the row is not one that packTurn gives */
export function turnOf([, text, turn]: readonly unknown[]): TurnState | undefined {
  if (!(text === null || isText(text))) return undefined;
  const state = text === null ? {} : { lastAssistantText: text };
  if (turn === null) return state;
  const lastTurn = savedTurnOf(turn, text);
  return lastTurn && { ...state, lastTurn };
}

function savedTurnOf(turn: unknown, lastText: string | null): SavedTurn | undefined {
  if (!Array.isArray(turn) || turn.length !== 7) return undefined;
  const [ticket, key, told, turns, toolCalls, counts, more] = turn as unknown[];
  const text = told ?? lastText;
  const usage = usageOf(counts);
  if (!isCount(ticket) || !isCount(turns) || !isCount(toolCalls) || !isText(text) || usage === undefined) return undefined;
  if (!(key === null || isText(key)) || !(more === null || isMore(more))) return undefined;
  return { ticket, result: { text, turns, toolCalls, usage, ...(more && moreOf(more)) }, ...(key !== null && { key }) };
}

const isMore = (more: unknown): more is StoredResult => isRecord(more) && isAbsentOr(more["schemaWarnings"], Array.isArray);

/** [schema, system, metadata], in bytes of their own: they are held for as long as the session lives, and packed values share buffers of megabytes. */
export function packRest({ system, metadata }: RestState): Uint8Array {
  return new Uint8Array(pack([PACKED_SCHEMA, system ?? null, metadata]));
}

/** @returns undefined when the row is not one that packRest gives */
export function restOf([, system, metadata]: readonly unknown[]): RestState | undefined {
  if (!(system === null || isText(system)) || !isRecord(metadata)) return undefined;
  return { ...(system !== null && { system }), metadata: metadata as RestState["metadata"] };
}

export function packUsage({ inputTokens, outputTokens, cacheCreationTokens, cacheReadTokens }: Usage): PackedUsage {
  return [inputTokens, outputTokens, cacheCreationTokens ?? null, cacheReadTokens ?? null];
}

/** @returns undefined when it is not what packUsage gives */
export function usageOf(counts: unknown): Usage | undefined {
  if (!Array.isArray(counts) || counts.length !== 4) return undefined;
  for (let at = 0; at < 4; at++) if (!(isCount(counts[at]) || (at > 1 && counts[at] === null))) return undefined;
  return unpackUsage(counts as unknown as PackedUsage);
}

export function unpackUsage(counts: PackedUsage): Usage {
  const usage: Usage = { inputTokens: counts[0], outputTokens: counts[1] };
  if (counts[2] !== null) usage.cacheCreationTokens = counts[2];
  if (counts[3] !== null) usage.cacheReadTokens = counts[3];
  return usage;
}

function pack(value: unknown): Uint8Array {
  try {
    return encodeValue(value);
  } catch (cause) {
    throw new StoreError("invalid", `what was to be stored cannot be encoded: ${String(cause)}`, {}, cause);
  }
}
