/** HOST_OVERLOADED: which bound was met, and when to try again. */
import { SessionError } from "../protocol/errors.ts";

/** @param reason - the bound, in one word; @param limit - its value */
export function overloaded(reason: string, message: string, limit: number, retryAfterMs = 100): SessionError {
  return new SessionError("HOST_OVERLOADED", message, { details: { reason, limit, retryAfterMs } });
}
