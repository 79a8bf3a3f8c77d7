/**
 * How a turn is answered: with its result, or with its events as they come and then the result.
 *
 *   A1. A client that reads slowly, or not at all, holds no turn back: its events wait in a ring that loses the oldest and says how many.
 *   A2. A client that leaves ends no turn, unless it asked for that.
 *   A3. What is refused before the turn is admitted is answered with a problem document and its status; what fails later, in the stream.
 *       Who waits for one that another request began has a stream at once, so that it is not silent.
 */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";

import { EventRing } from "../host/event-ring.ts";
import type { SessionError } from "../protocol/errors.ts";
import { agentFailure } from "../protocol/errors.ts";
import type { EventEnvelope } from "../protocol/events.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { CallOptions, OnEvent } from "../protocol/requests.ts";
import type { RunResult } from "../protocol/views.ts";
import { wantsEvents } from "./accept.ts";
import type { Ctx, ServerParts } from "./env.ts";
import { eventFrame } from "./event-frames.ts";
import { sendJson } from "./json-answer.ts";
import { problemOf } from "./problems.ts";
import type { SseStream } from "./sse.ts";
import { sseEvent } from "./sse.ts";

/** Events of a turn that may wait for its client. */
const RELAY_EVENTS = 4096;
/** Characters written at a time. */
const BATCH_CHARS = 65_536;

/** Starts the turn. @param onJoin - told when another request began it already, and is waited for */
export type StartTurn = (onEvent: OnEvent | undefined, call: CallOptions, onJoin?: () => void) => Promise<RunResult>;

export interface TurnAnswer {
  /** Undefined: it is created with the turn. */
  readonly sessionId?: SessionId;
  readonly status: 200 | 201;
  readonly cancelOnDisconnect: boolean | undefined;
}

/** Why a turn ends whose client has gone: the same before it is admitted as afterwards. Nobody is there to be told, but logs and counts are. */
export function clientHasGone(): SessionError {
  return agentFailure("cancelled", "the client has gone", { details: { reason: "signal" } });
}

export async function answerTurn(c: Ctx, { streams }: ServerParts, start: StartTurn, answer: TurnAnswer): Promise<Response> {
  const { outgoing } = c.env;
  const isStream = wantsEvents(c.req.header("accept"));
  if (isStream) streams.assertRoom();
  const leaving = answer.cancelOnDisconnect === true ? new AbortController() : undefined;
  const onClose = (): void => leaving?.abort(clientHasGone());
  outgoing.once("close", onClose);
  if (outgoing.destroyed) onClose(); // it left while its request was looked at
  try {
    if (!isStream) {
      const result = await start(undefined, { signal: leaving?.signal });
      if (answer.status === 201) c.header("location", `/v1/sessions/${encodeURIComponent(result.sessionId)}`);
      return sendJson(c, result, answer.status);
    }
    const relay = new TurnRelay(() => streams.open(outgoing, c.res.headers, true));
    const named = answer.sessionId !== undefined && { sessionId: answer.sessionId };
    const onAdmitted = (ticket: number): void => relay.say(sseEvent("admitted", JSON.stringify({ ...named, ticket })));
    const onQueued = (position: number): void => relay.say(sseEvent("queued", JSON.stringify({ position })));
    const call: CallOptions = { signal: leaving?.signal, onAdmitted, onQueued };
    let last: string;
    try {
      const onJoin = (): void => void relay.open();
      last = sseEvent("result", JSON.stringify(await start((envelope) => relay.push(envelope), call, onJoin)));
    } catch (error) {
      if (!relay.isOpen) throw error; // A3
      last = sseEvent("problem", JSON.stringify(problemOf(error, c.req.path).problem));
    }
    await relay.finish(last);
    return RESPONSE_ALREADY_SENT;
  } finally {
    outgoing.off("close", onClose);
  }
}

/** What a turn says, on its way to the client. */
class TurnRelay {
  readonly #begin: () => SseStream;
  #stream: SseStream | undefined;
  #ring: EventRing | undefined;
  #pumping: Promise<void> | undefined;

  /** @param begin - begins the answer */
  constructor(begin: () => SseStream) {
    this.#begin = begin;
  }

  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  open(): SseStream {
    return (this.#stream ??= this.#begin());
  }

  say(text: string): void {
    this.open().send(text);
  }

  /** A1: never waits. */
  push(envelope: EventEnvelope): void {
    (this.#ring ??= new EventRing(envelope.sourceId, RELAY_EVENTS)).push(envelope);
    this.#pumping ??= this.#pump().finally(() => (this.#pumping = undefined));
  }

  async #pump(): Promise<void> {
    const stream = this.open();
    const ring = this.#ring as EventRing;
    while (!ring.isEmpty && (await stream.ready())) {
      let text = "";
      for (let envelope; text.length < BATCH_CHARS && (envelope = ring.shift()) !== undefined;) text += eventFrame(envelope);
      stream.send(text);
    }
  }

  /** Waits until the client has been sent everything, or has gone. */
  async finish(last: string): Promise<void> {
    await this.#pumping;
    this.open().end(last);
  }
}
