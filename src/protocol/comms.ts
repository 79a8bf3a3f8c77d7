/**
 * Messages between sessions of one host, by name: how a session asks for a line to its peers, what it may send, and what it receives.
 *
 * A message's body crosses as bytes that only its recipient's lane reads, and checks; who sent it is said by the host.
 */
import * as z from "zod";

import type { CommsErrorKind } from "./comms-errors.ts";
import type { AgentEvent } from "./events.ts";
import type {
  CommsCommand,
  CommsReceipt,
  CommsRuntime,
  EventInjector,
  InteractionSubscription,
  PeerDescription,
  SubscribableInjector,
} from "./handles.ts";
import { InjectSourceParam } from "./handles.ts";
import { json } from "./json-schema.ts";
import { list } from "./list.ts";
import { parseInput } from "./parse.ts";
import type { PeerIngressRuntimeSnapshot } from "./snapshots.ts";

/** Characters of a name, of a realm, of an intent. */
const NAME_MAX = 256;
/** Names a session may trust. */
export const TRUSTED_MAX = 1024;
/** Messages of peers a session may have unread; more wait with their senders. */
export const INBOX_MAX = 1024;
/** Bytes of them. */
export const INBOX_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of one message as it crosses. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;
/** Messages a session may be sending. */
export const SENDING_MAX = 1024;
/** Bytes of them. */
export const SENDING_BYTES_MAX = 64 * 1024 * 1024;

const name = z.string().min(1).max(NAME_MAX);
export const PeerNameParam = name;

// ── asking for it ──

const CommsBuild = z.object({
  commsName: name,
  peerMeta: z
    .strictObject({
      description: z.string().max(4096).optional(),
      labels: z
        .record(z.string().min(1).max(256), z.string().max(4096))
        .refine((map) => Object.keys(map).length <= 64, "must have at most 64 entries")
        .optional(),
    })
    .optional(),
  trustedPeers: list(name)
    .refine((names) => (names as unknown[]).length <= TRUSTED_MAX, `must name at most ${TRUSTED_MAX}`)
    .optional(),
  realmId: z.string().max(NAME_MAX).optional(),
});

/** What a create request asks for with `build.commsName`. */
export interface CommsAsk {
  readonly name: string;
  /** Names are unique within a realm, and peers are of one realm. */
  readonly realm: string;
  readonly description?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly trusted: readonly string[];
}

/**
 * @param build - of a create request
 * @returns what it asks for; undefined: no line to peers
 * @throws SessionError INVALID_PARAMS naming the field
 */
export function commsAskOf(build: Readonly<Record<string, unknown>> | undefined): CommsAsk | undefined {
  if (build === undefined || build["commsName"] === undefined) return undefined;
  const { commsName, peerMeta, trustedPeers = [], realmId = "" } = parseInput(CommsBuild, build, "request.build");
  return {
    name: commsName,
    realm: realmId,
    ...(peerMeta?.description !== undefined && { description: peerMeta.description }),
    ...(peerMeta?.labels !== undefined && { labels: peerMeta.labels }),
    trusted: [...new Set(trustedPeers as string[])],
  };
}

// ── messages ──

const peerMessage = { kind: z.literal("peer_message"), body: json() };
const peerRequest = { kind: z.literal("peer_request"), intent: name, params: json().exactOptional() };
const peerResponse = {
  kind: z.literal("peer_response"),
  inReplyTo: name,
  status: z.enum(["accepted", "completed", "failed"]),
  result: json().exactOptional(),
};

/** What `send` takes. `input` goes to the session itself. */
export const CommsCommandSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("input"), body: json(), source: InjectSourceParam.optional() }),
  z.strictObject({ ...peerMessage, to: name }),
  z.strictObject({ ...peerRequest, to: name }),
  z.strictObject({ ...peerResponse, to: name }),
]);
export type CheckedCommand = z.output<typeof CommsCommandSchema>;

const id = z.string().min(1).max(NAME_MAX);
/** What a message between sessions is when its bytes are read. */
export const PeerBody = z.discriminatedUnion("kind", [
  z.strictObject({ ...peerMessage, id }),
  z.strictObject({ ...peerRequest, id }),
  z.strictObject({ ...peerResponse, id }),
]);
export type PeerBody = z.output<typeof PeerBody>;

const inputBody = z.strictObject({ kind: z.literal("input"), body: json(), source: InjectSourceParam, id });
type FromPeer = { readonly from: string };
/** One thing that came in: a peer's message, request or response, or what somebody injected. */
export type Interaction = z.output<typeof inputBody> | (PeerBody & FromPeer);

// ── the agent's side ──

export interface WaitOptions {
  /** Aborted: the wait ends with the signal's reason. A message that was being sent may have arrived all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** Events of one interaction on their way to whoever subscribed to it. */
export interface InteractionTap {
  /** Best effort: when the reader is 4,096 events behind, the event is lost and a marker takes its place. */
  event(event: AgentEvent): void;
  /** The last event. It waits for room, for 5 s at most. */
  end(event: AgentEvent): void;
}

/** What waits in a session's inbox, and whom it takes messages from. */
export interface PeerIngress extends PeerIngressRuntimeSnapshot {
  readonly selfPeerId: string;
  /** Messages of peers that are not trusted are refused. */
  readonly authRequired: boolean;
  /** What became of the last message: none came, it waits, it was no message, the agent has it. */
  readonly authorityPhase: "absent" | "received" | "dropped" | "delivered";
  readonly trustedPeers: readonly string[];
  /** Messages the session is sending. */
  readonly submissionQueueLen: number;
  readonly queue: {
    readonly total: number;
    readonly actionable: number;
    readonly response: number;
    readonly lifecycle: number;
    readonly silentRequest: number;
    readonly ack: number;
    readonly plainEvent: number;
    readonly queuedEntries: readonly { readonly id: string; readonly kind: string; readonly from?: string }[];
  };
}

/**
 * A session's line to its peers, as its lane gives it to the agent that asked for one (`build.commsName`). Its functions need no `this`.
 * What fails rejects with AgentError of a kind `comms_…`.
 */
export interface LaneComms extends CommsRuntime {
  readonly name: string;
  /** Undefined: the host says who sends. */
  readonly publicKey: () => undefined;
  readonly addTrustedPeer: (peer: PeerDescription) => Promise<void>;
  /** @returns whether it was trusted */
  readonly removeTrustedPeer: (name: string) => Promise<boolean>;
  /** Resolves when the message is in the recipient's inbox. */
  readonly send: (command: CommsCommand, options?: WaitOptions) => Promise<CommsReceipt>;
  /** As `send` of an `input`, with the events of the interaction that it becomes. */
  readonly sendAndStream: (command: CommsCommand) => Promise<{ receipt: CommsReceipt; events: InteractionSubscription["events"] }>;
  /** Trusted, and live. */
  readonly peers: () => Promise<readonly PeerDescription[]>;
  readonly peerCount: () => Promise<number>;
  /** The next interaction, as soon as there is one. */
  readonly receive: (options?: WaitOptions) => Promise<Interaction>;
  /** Take everything that waits. */
  readonly drainMessages: () => readonly Interaction[];
  /** Have the host-mode run end when it is done with what it is at. @returns whether there is one */
  readonly dismissReceived: () => boolean;
  /** Whoever subscribed to the events of that interaction. */
  readonly tap: (interactionId: string) => InteractionTap | undefined;
  readonly peerIngressRuntimeSnapshot: () => PeerIngress;
  readonly eventInjector: () => EventInjector;
  readonly interactionEventInjector: () => SubscribableInjector;
}

/** Why a call about peers failed, as it crosses. */
export type CommsFailure = readonly [kind: CommsErrorKind, message: string];
