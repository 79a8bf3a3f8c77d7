/**
 * What a session is at a boundary, as its receipt says it. The JSON is defined in docs/runtime.md: members in the order of the schema,
 * absent ones left out, no white space, and strings as UTF-8 has them, so that a session that was stored and read again has the same.
 */
import { createHash } from "node:crypto";

import type { SessionBoundary } from "../protocol/frames.ts";
import { Session } from "../protocol/session-model.ts";
import { decodeValue, encodeValue } from "../transport/codec.ts";

/** In JSON: half of a surrogate pair, or text that looks like one. UTF-8 has no such thing. */
const LONE_SURROGATE = /\\ud[89a-f]/;
const UTF8 = new TextEncoder();

/** @throws ZodError when it is not a session */
export function boundaryOf(given: unknown): SessionBoundary {
  let session = Session.parse(given);
  let messages = JSON.stringify(session.messages);
  if (LONE_SURROGATE.test(messages)) {
    session = decodeValue(encodeValue(session)) as Session; // as it comes back from a store
    messages = JSON.stringify(session.messages);
  }
  return {
    digest: createHash("sha256").update(messages).digest("hex"),
    messageCount: session.messages.length,
    snapshot: UTF8.encode(JSON.stringify(session)),
  };
}
