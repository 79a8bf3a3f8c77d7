/**
 * Handles of an agent on the main thread: async wrappers around a port to its lane, never raw proxies.
 *
 *   H1. A call settles by the agent's answer or by the session's leaving; then, and for every later call, with SESSION_NOT_FOUND.
 *   H2. A handle's port is closed when its session leaves.
 *   H3. A session has one open handle of a kind, which all who ask for it hold. It has at most CALLS_MAX calls waiting; the next is
 *       refused.
 *   H4. When the last of them has given it back, its port is closed, and it holds the session no longer. What one who gave it back still
 *       asks or waits for is refused, whoever else holds it.
 */
import type { MessagePort } from "node:worker_threads";
import { MessageChannel } from "node:worker_threads";

import type { HandleApi, HandleOutcome } from "../lane/handle-server.ts";
import { SessionError, fromWire, notFound } from "../protocol/errors.ts";
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
import type { SessionId } from "../protocol/ids.ts";
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
  readonly #kind: HandleKind;
  readonly #port: MessagePort;
  readonly #waiting = new Set<(error: SessionError) => void>();
  readonly api: RemoteApi;
  readonly #opened: Promise<boolean>;
  /** H4 */
  #holders = 0;
  #isDead = false;

  private constructor(entry: SessionEntry, kind: HandleKind) {
    const { port1, port2 } = new MessageChannel();
    this.#entry = entry;
    this.#kind = kind;
    this.#port = port1;
    this.api = connectTo<HandleApi>(port1) as unknown as RemoteApi;
    port1.unref(); // an open handle is no reason to keep a process
    this.#opened = this.#open(port2);
  }

  /** H3. @returns a hold of the handle, or undefined when the agent does not offer it or the session left meanwhile */
  static async hold(entry: SessionEntry, kind: HandleKind): Promise<HandleHold | undefined> {
    if ((entry.handleBits & HANDLE_BITS[kind]) === 0) return undefined;
    entry.remotes ??= new Map();
    let handle = entry.remotes.get(kind);
    if (handle === undefined) entry.remotes.set(kind, (handle = new RemoteHandle(entry, kind)));
    handle.#holders++;
    return (await handle.#opened) ? new HandleHold(handle) : undefined;
  }

  async #open(port: MessagePort): Promise<boolean> {
    const { lane, slot, generation } = this.#entry;
    try {
      if (await this.race(lane.thread.control.openHandle(slot, generation, this.#kind, handOver(port)))) return true;
    } catch {
      // The session left while the handle was being opened: there is none.
    }
    this.#close();
    return false;
  }

  get sessionId(): SessionId {
    return this.#entry.id;
  }

  /** One of those that hold it does not any more (H4). */
  release(): void {
    if (--this.#holders === 0) this.#close();
  }

  #close(): void {
    if (this.#entry.remotes?.get(this.#kind) === this) this.#entry.remotes.delete(this.#kind);
    this.die();
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

  /** H3. @throws SessionError HOST_OVERLOADED */
  assertRoom(): void {
    if (this.#waiting.size >= CALLS_MAX) throw overloaded("handle_calls", `a handle has ${CALLS_MAX} calls waiting`, CALLS_MAX);
  }

  /** Settle like `call`, or reject when the session leaves. */
  race<T>(call: Promise<T>): Promise<T> {
    if (this.#isDead) return Promise.reject(notFound(this.#entry.id));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      void call.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }
}

/** What one caller holds of an open handle. */
export class HandleHold {
  readonly #handle: RemoteHandle;
  readonly #waiting = new Set<(error: SessionError) => void>();
  readonly #streams = new Set<number>();
  #isClosed = false;

  constructor(handle: RemoteHandle) {
    this.#handle = handle;
  }

  /** H4. A second time does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const reject of this.#waiting) reject(this.#closed());
    for (const stream of this.#streams) void this.#leave(stream);
    this.#handle.release();
  }

  #closed(): SessionError {
    const { sessionId } = this.#handle;
    return new SessionError("SESSION_UNSUPPORTED", "unsupported: the handle was closed", {
      sessionId,
      details: { reason: "handle_closed" },
    });
  }

  async call(method: string, ...args: unknown[]): Promise<JsonValue | undefined> {
    return this.#ask((api) => api.call(method, args));
  }

  async subscribe(body: string, source: InjectSource): Promise<RemoteInteractionSubscription> {
    const { id, stream } = (await this.#ask((api) => api.subscribe(body, source))) as { id: string; stream: number };
    this.#streams.add(stream);
    const step = async (): Promise<IteratorResult<JsonValue, undefined>> => {
      const next = (await this.#ask((api) => api.next(stream))) as { done: true } | { done: false; value: JsonValue };
      if (!next.done) return { done: false, value: next.value };
      this.#streams.delete(stream);
      return { done: true, value: undefined };
    };
    const leave = async (): Promise<IteratorResult<JsonValue, undefined>> => {
      await this.#leave(stream); // left either way
      return { done: true, value: undefined };
    };
    return { id, events: { [Symbol.asyncIterator]: () => ({ next: step, return: leave }) } };
  }

  async #leave(stream: number): Promise<void> {
    if (this.#streams.delete(stream)) await this.#handle.race(this.#handle.api.leave(stream)).catch(() => {});
  }

  async #ask(call: (api: RemoteApi) => Promise<HandleOutcome>): Promise<JsonValue | undefined> {
    if (this.#isClosed) throw this.#closed();
    this.#handle.assertRoom();
    const answer = this.#handle.race(call(this.#handle.api));
    const outcome = await new Promise<HandleOutcome>((resolve, reject) => {
      this.#waiting.add(reject);
      void answer.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
    if (outcome.ok) return outcome.value;
    throw fromWire(outcome.error, this.#handle.sessionId);
  }
}

/** What every wrapper has. */
const givenBack = (hold: HandleHold): Pick<RemoteCommsRuntime, "close" | typeof Symbol.asyncDispose> => ({
  close: async () => hold.close(),
  [Symbol.asyncDispose]: async () => hold.close(),
});

/** The wrapper of an injector; `injectWithSubscription` answers SESSION_UNSUPPORTED unless the agent's is subscribable. */
export function remoteInjector(handle: HandleHold): RemoteSubscribableInjector {
  return {
    ...givenBack(handle),
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

export function remoteComms(handle: HandleHold): RemoteCommsRuntime {
  return {
    ...givenBack(handle),
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
