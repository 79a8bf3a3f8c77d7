/** What may become of a message between sessions: kinds of AGENT_ERROR, which `docs/errors.md` lists with the others. */
import type { Disposition } from "./errors.ts";

export const COMMS_ERRORS = {
  comms_peer_not_found: { disposition: "give-up", summary: "the name is not among those the session trusts" },
  comms_peer_offline: {
    disposition: "retry",
    summary: "the peer is trusted, but no live session has its name, or it left while the message waited",
  },
  comms_peer_not_sendable: { disposition: "give-up", summary: "the peer does not trust the sender" },
  comms_input_closed: { disposition: "give-up", summary: "the session is not live yet, or leaves: its inbox takes and gives nothing" },
  comms_input_full: { disposition: "retry", summary: "the peer's inbox stayed full for 30 s, or too many messages wait already" },
  comms_unsupported: { disposition: "give-up", summary: "the session has no line to its peers, or the runtime does not do this" },
  comms_validation: { disposition: "bug", summary: "the command is not one, or its message is larger than 1 MiB" },
  comms_internal: { disposition: "bug", summary: "the host failed to carry the message" },
} as const satisfies Record<`comms_${string}`, { disposition: Disposition; summary: string }>;

export type CommsErrorKind = keyof typeof COMMS_ERRORS;
