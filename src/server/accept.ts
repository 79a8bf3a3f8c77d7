/** What kind of answer a client asked for. */
import { parseAccept } from "hono/utils/accept";

import { HttpError } from "./problems.ts";

const JSON_TYPES = ["application/json", "application/*", "*/*"];
const EVENT_TYPES = ["text/event-stream", "text/*"];

/** @throws HttpError NOT_ACCEPTABLE when the client takes no events */
export function assertTakesEvents(accept: string | undefined): void {
  const isTaken =
    accept === undefined || parseAccept(accept).some(({ type, q }) => q > 0 && [...EVENT_TYPES, "*/*"].includes(type.toLowerCase()));
  if (!isTaken) throw new HttpError("NOT_ACCEPTABLE", "the answer is text/event-stream");
}

/**
 * @param accept - the request's header
 * @returns whether events are wanted rather than JSON: named, and not less wanted
 * @throws HttpError NOT_ACCEPTABLE when neither is
 */
export function wantsEvents(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === "") return false;
  const wanted = parseAccept(accept).filter(({ q }) => q > 0);
  const best = (types: readonly string[]): number =>
    Math.max(0, ...wanted.filter(({ type }) => types.includes(type.toLowerCase())).map(({ q }) => q));
  const events = best(EVENT_TYPES);
  const json = best(JSON_TYPES);
  if (events === 0 && json === 0) throw new HttpError("NOT_ACCEPTABLE", "the answer is application/json or text/event-stream");
  return events > 0 && events >= json;
}
