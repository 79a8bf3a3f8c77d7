/** An envelope as a server-sent event: a plain message with an id that a client can come back with, or a gap. */
import type { EventEnvelope } from "../protocol/events.ts";
import type { SessionId } from "../protocol/ids.ts";
import { cursorOf, eventIdTail, parseCursor } from "../protocol/ids.ts";
import type { EventCursor } from "../protocol/requests.ts";
import { sseEvent } from "./sse.ts";

/** Many streams may show the same event: it is written out once. */
const frames = new WeakMap<EventEnvelope, string>();

/** @returns its text. A gap has no id, so that a client that comes back names the last event it has seen */
export function eventFrame(envelope: EventEnvelope): string {
  if (envelope.seq === 0) return sseEvent("gap", JSON.stringify(envelope));
  let frame = frames.get(envelope);
  if (frame === undefined) frames.set(envelope, (frame = sseEvent(undefined, JSON.stringify(envelope), frameId(envelope))));
  return frame;
}

/**
 * The event's number; with an event log, and what of its cursor the number does not say behind it. After a crash, which of two events of
 * one number a client has seen is told by nothing else.
 */
function frameId({ seq, cursor }: EventEnvelope): string {
  const epoch = cursor === undefined ? undefined : parseCursor(cursor)?.epoch;
  return epoch === undefined ? String(seq) : `${seq}-${epoch}`;
}

/** @param text - what a client that comes back says: an event's id, its number, or its cursor. @returns what a subscription takes */
export function afterOf(id: SessionId, text: string): EventCursor {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const [, seq, epoch] = /^(\d{1,15})-(\d{1,15})$/.exec(text) ?? [];
  return epoch === undefined ? text : cursorOf(eventIdTail(id), Number(epoch), Number(seq));
}
