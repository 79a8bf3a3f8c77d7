/**
 * Serves one handle of an agent (injector or comms runtime) over a port of its own. Outcomes travel as data, so that no error loses
 * its code; streams are pulled, one event a call, so that nothing piles up in the port.
 */
import type { MessagePort } from "node:worker_threads";

import type { WireError } from "../protocol/errors.ts";
import { SessionError } from "../protocol/errors.ts";
import type { HandleKind, InteractionSubscription } from "../protocol/handles.ts";
import type { JsonValue } from "../protocol/json.ts";
import { cloneJson } from "../protocol/json.ts";
import { exposeOn } from "../transport/comlink-port.ts";
import { AgentError, buildFailure } from "./agent-errors.ts";
import type { SessionActor } from "./session-actor.ts";

export type HandleOutcome = { ok: true; value: JsonValue | undefined } | { ok: false; error: WireError };

/** What the main thread may call on a handle's port. */
export interface HandleApi {
  /** Call a method of the handle. */
  call(method: string, args: unknown[]): Promise<HandleOutcome>;
  /** Inject and keep the interaction's events here. Value: `{ id, stream }`. */
  subscribe(body: string, source: string): Promise<HandleOutcome>;
  /** Next event of a stream. Value: `{ done: true }` or `{ done: false, value }`. */
  next(stream: number): Promise<HandleOutcome>;
  /** Nobody reads the stream any more. */
  leave(stream: number): Promise<void>;
  /** Nobody calls any more. */
  end(): Promise<void>;
}

/** Serve a handle on the port until that closes. */
export function serveHandle(port: MessagePort, actor: SessionActor, kind: HandleKind): void {
  const api = handleApi(actor, kind);
  exposeOn(port, api);
  port.once("close", () => void api.end());
}

/** Methods a caller may name, by kind: a handle is not a door to everything the agent's object can do. */
const METHODS: Readonly<Record<HandleKind, readonly string[]>> = {
  eventInjector: ["inject"],
  interactionEventInjector: ["inject"],
  commsRuntime: [
    "publicKey",
    "addTrustedPeer",
    "removeTrustedPeer",
    "send",
    "peers",
    "peerCount",
    "drainMessages",
    "dismissReceived",
    "peerIngressRuntimeSnapshot",
  ],
};

export function handleApi(actor: SessionActor, kind: HandleKind): HandleApi {
  const streams = new Map<number, AsyncIterator<unknown>>();
  let lastStream = 0;
  const attempt = async (work: () => unknown): Promise<HandleOutcome> => {
    try {
      const value = await work();
      return { ok: true, value: value === undefined ? undefined : cloneJson(value) };
    } catch (error) {
      return { ok: false, error: buildFailure(error) };
    }
  };
  const method = (name: string): ((...args: unknown[]) => unknown) => {
    if (actor.tenure.isVacant) throw new AgentError("internal_error", "the session has no agent now: the last one was given up");
    const handle = actor.tenure.handles?.[kind] as unknown as Record<string, unknown> | undefined;
    const found = METHODS[kind].includes(name) || name === "injectWithSubscription" ? handle?.[name] : undefined;
    if (typeof found !== "function") throw new SessionError("SESSION_UNSUPPORTED", `unsupported: the agent's ${kind} has no ${name}`);
    return (...args) => actor.entered(() => Reflect.apply(found, handle, args) as unknown);
  };
  return {
    call: (name, args) => attempt(() => method(name)(...args)),
    subscribe: (body, source) =>
      attempt(() => {
        const { id, events } = method("injectWithSubscription")(body, source) as InteractionSubscription;
        streams.set(++lastStream, events[Symbol.asyncIterator]());
        return { id, stream: lastStream };
      }),
    next: (stream) =>
      attempt(async () => {
        const step = await streams.get(stream)?.next();
        if (step === undefined || step.done === true) {
          streams.delete(stream);
          return { done: true };
        }
        return { done: false, value: step.value };
      }),
    leave: async (stream) => {
      const iterator = streams.get(stream);
      streams.delete(stream);
      await attempt(() => iterator?.return?.().then(() => undefined));
    },
    end: async () => {
      const iterators = [...streams.values()];
      streams.clear();
      await Promise.all(iterators.map((iterator) => attempt(() => iterator.return?.().then(() => undefined))));
    },
  };
}
