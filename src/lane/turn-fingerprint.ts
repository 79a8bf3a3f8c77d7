/** What tells the request of a turn from another one that has the same idempotency key. */
import { createHash } from "node:crypto";

import type { TurnCommand } from "../protocol/frames.ts";
import { TURN_FLAGS } from "../protocol/frames.ts";

/** Hexadecimal digits: 128 bits. */
const LENGTH = 32;

/**
 * Of what decides what the agent does: prompt, host mode, skills, tools, kind, context. Not of what only the caller sees: its consumer, its
 * timeout, whether it wants a receipt. Stored: what another version makes of the same request is another request for a day.
 */
export function fingerprintOf([, , , , prompt, flags = 0, extras]: TurnCommand): string {
  const { skillReferences = [], overlay, executionKind = "content_turn", contextAppends = [] } = extras ?? {};
  const asked = [
    prompt,
    (flags & TURN_FLAGS.hostMode) !== 0,
    skillReferences.map(({ sourceUuid, skillName }) => [sourceUuid, skillName]),
    overlay && [overlay.allowedTools ?? null, overlay.blockedTools ?? null],
    executionKind,
    contextAppends.map(({ text, source, idempotencyKey }) => [text, source, idempotencyKey]),
  ];
  return createHash("sha256").update(JSON.stringify(asked)).digest("hex").slice(0, LENGTH);
}
