/**
 * The event logs: a row for each batch of events, keyed by the number of the first one.
 *
 * A row is [1, epoch, event, …], an event [number since the one before, milliseconds since the one before, payload]; before the first
 * event are number 0 and time 0. The payload of `{ type: "text_delta", delta }` is the delta alone: nearly all events are of that kind.
 */
import { textDelta } from "../protocol/text-delta.ts";
import type { AgentEvent } from "../protocol/events.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { LoggedEvent, StoredEvent } from "../protocol/stored-session.ts";
import { encodeValue } from "../transport/codec.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { eventKey, seqOf } from "./lmdb-keys.ts";
import { isCount, isRecord, isText, isTime } from "../protocol/shapes.ts";
import { decodeRow, misshapen } from "../transport/stored-row.ts";
import type { Where } from "../transport/stored-row.ts";
import { ROW_SCHEMA } from "./lmdb-rows.ts";

export function appendEvents(env: LmdbEnv, number: number, epoch: number, events: readonly StoredEvent[]): void {
  if (events.length === 0) return;
  const row: unknown[] = [ROW_SCHEMA, epoch];
  let last = { seq: 0, timestampMs: 0 };
  for (const event of events) {
    row.push([event.seq - last.seq, event.timestampMs - last.timestampMs, textDelta(event.payload) ?? event.payload]);
    last = event;
  }
  env.put("events", eventKey(number, (events[0] as StoredEvent).seq), encodeValue(row));
}

/** Events from number `seq` on, `limit` at most. @throws StoreError corrupt, schema */
export function readEvents(env: LmdbEnv, session: SessionId, number: number, seq: number, limit: number): LoggedEvent[] {
  const found: LoggedEvent[] = [];
  const first = lastRow(env, number, seq);
  const from = first === undefined ? seq : seqOf(first.key);
  if (from < 0) throw misshapen({ session, row: `events of ${seq}` });
  const start = eventKey(number, from);
  for (const { key, value } of env.entries("events", { start, end: eventKey(number + 1, 0) })) {
    for (const event of eventsOf(value, { session, row: `events ${seqOf(key)}` })) {
      if (found.length >= limit) return found;
      if (event.seq >= seq) found.push(event);
    }
  }
  return found;
}

/** The last event of a log that was written under `maxEpoch` or before. Reads backwards until there is one. */
export function lastEvent(
  env: LmdbEnv,
  session: SessionId,
  number: number,
  maxEpoch = Number.POSITIVE_INFINITY,
): { seq: number; epoch: number } | undefined {
  let row = lastRow(env, number, Number.POSITIVE_INFINITY);
  while (row !== undefined) {
    const last = eventsOf(row.value, { session, row: `events ${seqOf(row.key)}` }).at(-1);
    if (last !== undefined && last.epoch <= maxEpoch) return { seq: last.seq, epoch: last.epoch };
    row = lastRow(env, number, seqOf(row.key) - 1);
  }
  return undefined;
}

/** Remove rows of an event log, `limit` at most. @returns how many */
export function eraseEvents(env: LmdbEnv, number: number, limit: number): number {
  const keys = [...env.keys("events", { start: eventKey(number, 0), end: eventKey(number + 1, 0), limit })];
  for (const key of keys) env.remove("events", key);
  return keys.length;
}

/** The last row that begins at `seq` or before. */
function lastRow(env: LmdbEnv, number: number, seq: number): { key: Uint8Array; value: Uint8Array } | undefined {
  if (seq < 0) return undefined;
  // No event has number 0, so the key of 0 lies before all rows of the session.
  const range = { start: eventKey(number, seq), end: eventKey(number, 0), reverse: true, limit: 1 };
  for (const row of env.entries("events", range)) return row;
  return undefined;
}

function eventsOf(value: Uint8Array, where: Where): LoggedEvent[] {
  const row = decodeRow(value, where, undefined);
  const epoch = row[1];
  if (!isCount(epoch) || row.length < 3) throw misshapen(where);
  let last = { seq: 0, timestampMs: 0 };
  return row.slice(2).map((event) => {
    if (!Array.isArray(event) || event.length !== 3) throw misshapen(where);
    const [steps, ms, stored] = event as unknown[];
    const payload = isText(stored) ? { type: "text_delta", delta: stored } : stored;
    if (!isCount(steps) || typeof ms !== "number" || !isRecord(payload) || !isText(payload["type"])) throw misshapen(where);
    last = { seq: last.seq + steps, timestampMs: last.timestampMs + ms };
    if (!isCount(last.seq) || !isTime(last.timestampMs)) throw misshapen(where);
    return { ...last, epoch, payload: payload as AgentEvent };
  });
}
