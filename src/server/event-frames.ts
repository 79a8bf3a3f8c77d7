/** An envelope as a server-sent event: a plain message with its number as id, or a gap. */
import type { EventEnvelope } from "../protocol/events.ts";
import { sseEvent } from "./sse.ts";

/** Many streams may show the same event: it is written out once. */
const frames = new WeakMap<EventEnvelope, string>();

/** @returns its text. A gap has no id, so that a client that comes back names the last event it has seen */
export function eventFrame(envelope: EventEnvelope): string {
  if (envelope.seq === 0) return sseEvent("gap", JSON.stringify(envelope));
  let frame = frames.get(envelope);
  if (frame === undefined) frames.set(envelope, (frame = sseEvent(undefined, JSON.stringify(envelope), envelope.seq)));
  return frame;
}
