/**
 * Handles of an agent on the main thread: async wrappers around a port to its lane, never raw proxies.
 *
 *   H1. A call settles by the agent's answer or by the session's leaving; then, and for every later call, with SESSION_NOT_FOUND.
 *   H2. A handle's port is closed when its session leaves.
 *   H3. A session has one open handle of a kind, which is given to all who ask for it. It has at most CALLS_MAX calls waiting; the next
 *       is refused.
 */
import type { MessagePort } from "node:worker_threads";
import { MessageChannel } from "node:worker_threads";

import type { HandleApi, HandleOutcome } from "../lane/handle-server.ts";

import type { SessionError } from "../protocol/errors.ts";
import { fromWire, notFound } from "../protocol/errors.ts";
import type {
  CommsCommand,
  CommsReceipt,
  HandleKind,
  InjectOutcome,
  InjectSource,
  PeerDescription,
  RemoteCommsRuntime,
  RemoteInteractionSubscription,
  RemoteSubscribableInjector,
} from "../protocol/handles.ts";
import { CommsCommandParam, HANDLE_BITS, InjectSourceParam, PeerParam, TextParam } from "../protocol/handles.ts";
import type { JsonValue } from "../protocol/json.ts";
import { parseInput } from "../protocol/parse.ts";
import type { PeerIngressRuntimeSnapshot } from "../protocol/snapshots.ts";
import { connectTo, handOver } from "../transport/comlink-port.ts";
import { overloaded } from "./overloaded.ts";
import type { SessionEntry } from "./session-entry.ts";

/** Calls of a handle that may wait for its agent. */
export const CALLS_MAX = 1024;

type RemoteApi = { [M in keyof HandleApi]: (...args: Parameters<HandleApi[M]>) => Promise<Awaited<ReturnType<HandleApi[M]>>> };

/** One open handle: calls that can be cut short together. */
export class RemoteHandle {
  readonly #entry: SessionEntry;
  readonly #port: MessagePort;
  readonly #api: RemoteApi;
  readonly #waiting = new Set<(error: SessionError) => void>();
  #isDead = false;

  readonly #opened: Promise<RemoteHandle | undefined>;

  private constructor(entry: SessionEntry, kind: HandleKind) {
    const { port1, port2 } = new MessageChannel();
    this.#entry = entry;
    this.#port = port1;
    this.#api = connectTo<HandleApi>(port1) as unknown as RemoteApi;
    port1.unref(); // an open handle is no reason to keep a process
    this.#opened = this.#open(kind, port2);
  }

  /** H3. @returns the handle, or undefined when the agent does not offer it or the session left meanwhile */
  static async open(entry: SessionEntry, kind: HandleKind): Promise<RemoteHandle | undefined> {
    if ((entry.handleBits & HANDLE_BITS[kind]) === 0) return undefined;
    entry.remotes ??= new Map();
    let handle = entry.remotes.get(kind);
    if (handle === undefined) entry.remotes.set(kind, (handle = new RemoteHandle(entry, kind)));
    return handle.#opened;
  }

  async #open(kind: HandleKind, port: MessagePort): Promise<RemoteHandle | undefined> {
    const { lane, slot, generation } = this.#entry;
    try {
      if (await this.#race(lane.thread.control.openHandle(slot, generation, kind, handOver(port)))) return this;
    } catch {
      // The session left while the handle was being opened: there is none.
    }
    if (this.#entry.remotes?.get(kind) === this) this.#entry.remotes.delete(kind);
    this.die();
    return undefined;
  }

  /** The session has left (H1, H2). */
  die(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    const error = notFound(this.#entry.id);
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
    this.#port.close();
  }

  async call(method: string, ...args: unknown[]): Promise<JsonValue | undefined> {
    this.#assertRoom();
    return this.#value(await this.#race(this.#api.call(method, args)));
  }

  async subscribe(body: string, source: InjectSource): Promise<RemoteInteractionSubscription> {
    this.#assertRoom();
    const { id, stream } = this.#value(await this.#race(this.#api.subscribe(body, source))) as { id: string; stream: number };
    const step = async (): Promise<IteratorResult<JsonValue, undefined>> => {
      this.#assertRoom();
      const next = this.#value(await this.#race(this.#api.next(stream))) as { done: true } | { done: false; value: JsonValue };
      return next.done ? { done: true, value: undefined } : { done: false, value: next.value };
    };
    const leave = async (): Promise<IteratorResult<JsonValue, undefined>> => {
      if (!this.#isDead) await this.#race(this.#api.leave(stream)).catch(() => {}); // left either way
      return { done: true, value: undefined };
    };
    return { id, events: { [Symbol.asyncIterator]: () => ({ next: step, return: leave }) } };
  }

  /** H3 */
  #assertRoom(): void {
    if (this.#waiting.size >= CALLS_MAX) throw overloaded("handle_calls", `a handle has ${CALLS_MAX} calls waiting`, CALLS_MAX);
  }

  #value(outcome: HandleOutcome): JsonValue | undefined {
    if (outcome.ok) return outcome.value;
    throw fromWire(outcome.error, this.#entry.id);
  }

  #race<T>(call: Promise<T>): Promise<T> {
    if (this.#isDead) return Promise.reject(notFound(this.#entry.id));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      void call.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }
}

/** The wrapper of an injector; `injectWithSubscription` answers SESSION_UNSUPPORTED unless the agent's is subscribable. */
export function remoteInjector(handle: RemoteHandle): RemoteSubscribableInjector {
  return {
    inject: async (body: string, source: InjectSource) => {
      checkInjection(body, source);
      return ((await handle.call("inject", body, source)) ?? "ok") as InjectOutcome;
    },
    injectWithSubscription: async (body: string, source: InjectSource) => {
      checkInjection(body, source);
      return handle.subscribe(body, source);
    },
  };
}

function checkInjection(body: unknown, source: unknown): void {
  parseInput(TextParam, body, "body");
  parseInput(InjectSourceParam, source, "source");
}

export function remoteComms(handle: RemoteHandle): RemoteCommsRuntime {
  return {
    publicKey: async () => (await handle.call("publicKey")) as string | undefined,
    addTrustedPeer: async (peer: PeerDescription) => void (await handle.call("addTrustedPeer", parseInput(PeerParam, peer, "peer"))),
    removeTrustedPeer: async (name: string) => (await handle.call("removeTrustedPeer", parseInput(TextParam, name, "name"))) === true,
    send: async (command: CommsCommand) => (await handle.call("send", parseInput(CommsCommandParam, command, "command"))) as CommsReceipt,
    peers: async () => ((await handle.call("peers")) ?? []) as unknown as PeerDescription[],
    peerCount: async () => Number(await handle.call("peerCount")),
    drainMessages: async () => ((await handle.call("drainMessages")) ?? []) as JsonValue[],
    dismissReceived: async () => (await handle.call("dismissReceived")) === true,
    peerIngressRuntimeSnapshot: async () => (await handle.call("peerIngressRuntimeSnapshot")) as unknown as PeerIngressRuntimeSnapshot,
  };
}
