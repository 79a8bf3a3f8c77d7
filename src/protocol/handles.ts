/**
 * Handles an agent hands out while it lives in a lane, and their remote forms on the main thread.
 * A remote form is an async wrapper; it dies with a typed error when the session leaves its lane.
 */
import * as z from "zod";

import type { EventEnvelope } from "./events.ts";
import type { JsonValue } from "./json.ts";
import type { PeerIngressRuntimeSnapshot } from "./snapshots.ts";
import { json } from "./json-schema.ts";

export const InjectSourceParam = z.enum(["tcp", "uds", "stdin", "webhook", "rpc"]);
/** Where an injected body comes from. */
export type InjectSource = z.infer<typeof InjectSourceParam>;
export const TextParam = z.string();
/** A peer or a command: an object with one member that must be text, and any JSON beside it. */
export const PeerParam = z.object({ name: z.string() }).catchall(json());
export const CommsCommandParam = z.object({ kind: z.string() }).catchall(json());
/** Why an inject was refused, as a value: both are ordinary outcomes. */
export type InjectOutcome = "ok" | "full" | "closed";

/** Puts external events into a session's inbox. Never waits: a full or closed inbox says so. */
export interface EventInjector {
  inject(body: string, source: InjectSource): InjectOutcome | void;
}
export interface InteractionSubscription {
  readonly id: string;
  readonly events: AsyncIterable<JsonValue | EventEnvelope>;
}
export interface SubscribableInjector extends EventInjector {
  injectWithSubscription(body: string, source: InjectSource): InteractionSubscription;
}

export interface PeerDescription {
  readonly name: string;
  readonly publicKey?: string;
  readonly [member: string]: JsonValue | undefined;
}
/** `kind`: input, peer_message, peer_request or peer_response; the rest is the runtime's own. */
export interface CommsCommand {
  readonly kind: string;
  readonly [member: string]: JsonValue | undefined;
}
export type CommsReceipt = Readonly<Record<string, JsonValue | undefined>>;

/** An agent's line to its peers. Everything but `send` is optional; what is missing answers SESSION_UNSUPPORTED through the remote form. */
export interface CommsRuntime {
  publicKey?(): string | undefined;
  addTrustedPeer?(peer: PeerDescription): void | Promise<void>;
  removeTrustedPeer?(name: string): boolean | Promise<boolean>;
  send?(command: CommsCommand): CommsReceipt | Promise<CommsReceipt>;
  peers?(): readonly PeerDescription[] | Promise<readonly PeerDescription[]>;
  peerCount?(): number | Promise<number>;
  drainMessages?(): readonly JsonValue[] | Promise<readonly JsonValue[]>;
  dismissReceived?(): boolean | Promise<boolean>;
  /** A SESSION_UNSUPPORTED that it throws counts as not having it. */
  peerIngressRuntimeSnapshot?(): PeerIngressRuntimeSnapshot | Promise<PeerIngressRuntimeSnapshot>;
}

/** What a caller holds of a session's handle. As long as anybody holds one, the session stays in its lane. */
export interface RemoteHold extends AsyncDisposable {
  /** Give it back. Calls that wait, and every later one, reject with SESSION_UNSUPPORTED (details.reason "handle_closed"); its streams end so too. */
  close(): Promise<void>;
}
export interface RemoteEventInjector extends RemoteHold {
  inject(body: string, source: InjectSource): Promise<InjectOutcome>;
}
export interface RemoteInteractionSubscription {
  readonly id: string;
  readonly events: AsyncIterable<JsonValue | EventEnvelope>;
}
export interface RemoteSubscribableInjector extends RemoteEventInjector {
  injectWithSubscription(body: string, source: InjectSource): Promise<RemoteInteractionSubscription>;
}
/** Members the agent's runtime does not have reject with SESSION_UNSUPPORTED. */
export interface RemoteCommsRuntime extends RemoteHold {
  publicKey(): Promise<string | undefined>;
  addTrustedPeer(peer: PeerDescription): Promise<void>;
  removeTrustedPeer(name: string): Promise<boolean>;
  send(command: CommsCommand): Promise<CommsReceipt>;
  peers(): Promise<readonly PeerDescription[]>;
  peerCount(): Promise<number>;
  drainMessages(): Promise<readonly JsonValue[]>;
  dismissReceived(): Promise<boolean>;
  peerIngressRuntimeSnapshot(): Promise<PeerIngressRuntimeSnapshot>;
}

/** Which handles an agent has, as bits in the lane's answer to a create. */
export const HANDLE_BITS = { eventInjector: 1, interactionEventInjector: 2, commsRuntime: 4 } as const;
export type HandleKind = keyof typeof HANDLE_BITS;
