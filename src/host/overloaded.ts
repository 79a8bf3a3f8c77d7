/** HOST_OVERLOADED: which bound was met, and when to try again. */
import { SessionError } from "../protocol/errors.ts";

/**
 * Without a stack: it would say where the caller stood, which he knows, and cost more than the turn that is refused. A host that refuses
 * much must not fall further behind over it.
 *
 * @param reason - the bound, in one word; @param limit - its value
 */
export function overloaded(reason: string, message: string, limit: number, retryAfterMs = 100): SessionError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new SessionError("HOST_OVERLOADED", message, { details: { reason, limit, retryAfterMs } });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
