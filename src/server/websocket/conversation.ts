/**
 * What one client asks over its WebSocket: many sessions, many turns, one connection.
 *
 *   Z1. Every message that has a `ref` is answered by one that carries it, or by the end of the connection.
 *   Z2. To a client that is subscribed to a session, a turn's events come before its result.
 *   Z3. The end of the connection ends its subscriptions, and no turn that did not ask for that.
 */
import { SessionError, notRunning } from "../../protocol/errors.ts";
import type { EventEnvelope } from "../../protocol/events.ts";
import { parseInput, refuse } from "../../protocol/parse.ts";
import type { CallOptions } from "../../protocol/requests.ts";
import { assertRole } from "../auth/authenticate.ts";
import type { ServerParts } from "../env.ts";
import { createRequestOf, turnRequestOf } from "../library-requests.ts";
import type { Principal } from "../principal.ts";
import { HttpError, problemOf } from "../problems.ts";
import type { Limited } from "../quotas/limited-work.ts";
import { createWithin, startWithin } from "../quotas/limited-work.ts";
import { Follower, PLACE } from "./follower.ts";
import type { Ref } from "./messages.ts";
import { ClientMessage } from "./messages.ts";
import type { StartTurn } from "../turn-answer.ts";
import { clientHasGone } from "../turn-answer.ts";
import type { Socket } from "./socket.ts";
import type { Wire } from "./wire.ts";

/** Subscriptions, and calls that are not answered yet, of one connection. */
const SUBSCRIPTIONS_MAX = 4096;
const CALLS_MAX = 1024;

type Of<Op extends ClientMessage["op"]> = Extract<ClientMessage, { op: Op }>;

export class Conversation {
  readonly #parts: ServerParts;
  readonly #principal: Principal;
  readonly #socket: Socket;
  readonly #wire: Wire;
  readonly #followers = new Map<string, Follower>();
  readonly #leaving = new AbortController();
  #calls = 0;

  constructor(parts: ServerParts, principal: Principal, socket: Socket, wire: Wire) {
    this.#parts = parts;
    this.#principal = principal;
    this.#socket = socket;
    this.#wire = wire;
  }

  /** Never throws: what is wrong is answered. */
  async receive(data: string | Uint8Array): Promise<void> {
    let message: unknown;
    try {
      message = this.#wire.decode(data);
    } catch {
      this.#refuse(undefined, new SessionError("INVALID_PARAMS", "invalid message: it cannot be decoded"));
      return;
    }
    const ref = refOf(message);
    if (this.#calls >= CALLS_MAX) {
      this.#refuse(ref, new HttpError("RATE_LIMITED", `${CALLS_MAX} calls of this connection are not answered yet`));
      return;
    }
    this.#calls++;
    try {
      this.#parts.authenticator.assertCurrent(this.#principal);
      await this.#answer(parseInput(ClientMessage, message, "message"));
    } catch (error) {
      this.#refuse(ref, error);
    } finally {
      this.#calls--;
    }
  }

  /** The connection has ended (Z3). */
  end(): void {
    this.#leaving.abort(clientHasGone());
    for (const follower of this.#followers.values()) void follower.leave();
    this.#followers.clear();
  }

  async #answer(message: ClientMessage): Promise<void> {
    switch (message.op) {
      case "subscribe":
        return this.#subscribe(message);
      case "unsubscribe":
        return this.#unsubscribe(message);
      case "create":
        return this.#create(message);
      case "start":
        return this.#start(message);
      case "interrupt":
        return this.#interrupt(message);
      default:
        return message satisfies never;
    }
  }

  async #subscribe({ ref, sessionId, after }: Of<"subscribe">): Promise<void> {
    const { service, tenancy, feeds } = this.#parts;
    await tenancy.assertOwn(this.#principal, sessionId);
    await service.read(sessionId);
    if (!this.#socket.isOpen) return;
    if (this.#followers.has(sessionId)) refuse("message.sessionId", "it is subscribed to already");
    if (this.#followers.size >= SUBSCRIPTIONS_MAX) {
      throw new HttpError("RATE_LIMITED", `a connection may have ${SUBSCRIPTIONS_MAX} subscriptions`);
    }
    const reader = feeds.open(sessionId, after);
    const seen = typeof after === "number" && reader.mayGoBack !== true ? after : 0;
    const follower = new Follower(sessionId, reader, this.#socket, seen);
    this.#followers.set(sessionId, follower);
    this.#socket.send({ type: "ok", ref });
    void follower.run().then(() => {
      if (this.#followers.get(sessionId) === follower) this.#followers.delete(sessionId);
    });
  }

  async #unsubscribe({ ref, sessionId }: Of<"unsubscribe">): Promise<void> {
    const follower = this.#followers.get(sessionId);
    if (follower === undefined) refuse("message.sessionId", "it is not subscribed to");
    this.#followers.delete(sessionId);
    await follower.leave();
    this.#socket.send({ type: "ok", ref });
  }

  async #create({ ref, request }: Of<"create">): Promise<void> {
    this.#assertMayRun();
    const { service, tenancy } = this.#parts;
    const { cancelOnDisconnect } = request;
    const create = await createRequestOf(tenancy, this.#principal, request);
    await this.#turn(ref, undefined, cancelOnDisconnect, (onEvent, call) =>
      createWithin(this.#limited(), service, { ...create, onEvent }, call),
    );
  }

  async #start({ ref, sessionId, request }: Of<"start">): Promise<void> {
    this.#assertMayRun();
    const { service, tenancy } = this.#parts;
    await tenancy.assertOwn(this.#principal, sessionId);
    const turn = turnRequestOf(request);
    await this.#turn(ref, sessionId, request.cancelOnDisconnect, (onEvent, call) =>
      startWithin(this.#limited(), service, sessionId, { ...turn, onEvent }, call),
    );
  }

  async #turn(ref: Ref, sessionId: string | undefined, cancelOnDisconnect: boolean | undefined, start: StartTurn): Promise<void> {
    const named = sessionId !== undefined && { sessionId };
    // Only who follows when an event comes will have it: one that subscribes later may never see its number.
    let last: { follower: Follower; seq: number } | undefined;
    const onEvent = ({ seq }: EventEnvelope): void => {
      const follower = sessionId === undefined ? undefined : this.#followers.get(sessionId);
      if (follower !== undefined) last = { follower, seq };
    };
    const call: CallOptions = {
      onAdmitted: (ticket) => this.#socket.send({ type: "admitted", ref, ...named, ticket }),
      onQueued: (position) => this.#socket.send({ type: "queued", ref, position }),
      ...(cancelOnDisconnect === true && { signal: this.#leaving.signal }),
    };
    let settled: () => void;
    try {
      const result = await start(onEvent, call);
      settled = () => this.#socket.send({ type: "result", ref, result });
    } catch (error) {
      settled = () => this.#refuse(ref, error);
    }
    await last?.follower.upTo(last.seq); // Z2
    settled();
  }

  async #interrupt({ ref, sessionId, ticket }: Of<"interrupt">): Promise<void> {
    this.#assertMayRun();
    const { service, tenancy } = this.#parts;
    await tenancy.assertOwn(this.#principal, sessionId);
    if (ticket === undefined) await service.interrupt(sessionId);
    else if (!(await service.interruptTurn(sessionId, ticket))) throw notRunning(sessionId);
    this.#socket.send({ type: "ok", ref });
  }

  #limited(): Limited {
    return { quotas: this.#parts.quotas, tenant: this.#principal.tenant };
  }

  #assertMayRun(): void {
    assertRole(this.#principal, "run");
  }

  #refuse(ref: Ref | undefined, error: unknown): void {
    const { problem } = problemOf(error, PLACE);
    if (problem.code === "INTERNAL_ERROR")
      this.#parts.logger?.error({ cause: String(error) }, "a message failed by a mistake of the server's");
    this.#socket.send({ type: "problem", ...(ref !== undefined && { ref }), problem });
  }
}

/** Even a message that is wrong is answered by its name (Z1). */
function refOf(message: unknown): Ref | undefined {
  const ref: unknown = typeof message === "object" && message !== null && "ref" in message ? message.ref : undefined;
  return typeof ref === "number" || (typeof ref === "string" && ref.length <= 128) ? ref : undefined;
}
