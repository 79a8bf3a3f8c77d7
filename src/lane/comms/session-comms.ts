/**
 * A session's line to its peers, in its lane: the inbox, what is being sent, and whom it trusts. It is the session's, and outlives an
 * agent that is given up; what an agent holds of it is an AgentComms.
 *
 *   L1. Every call settles: by main's answer, by its signal, or when the session leaves.
 *   L2. What peers send is checked here, where it is read for the first time. What is no message is dropped, and told as a stray error.
 */
import type { CommsAsk, CommsFailure, Interaction } from "../../protocol/comms.ts";
import { PeerBody, SENDING_BYTES_MAX, SENDING_MAX } from "../../protocol/comms.ts";
import type { CommsVerb } from "../../protocol/frames.ts";
import { REPORTS } from "../../protocol/frames.ts";
import type { InjectOutcome, InjectSource } from "../../protocol/handles.ts";
import { IdSource } from "../../protocol/ids.ts";
import type { JsonValue } from "../../protocol/json.ts";
import { decodeValue } from "../../transport/codec.ts";
import { AgentError, describeError } from "../agent-errors.ts";
import type { LaneContext } from "../lane-context.ts";
import { AbortWaits } from "./abort-waits.ts";
import { Inbox } from "./inbox.ts";
import { InteractionTaps, TAPS_MAX } from "./interaction-taps.ts";

interface Call {
  readonly bytes: number;
  /** Takes its signals' listeners away. */
  readonly over: () => void;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

/** The session it is of. */
export interface CommsSeat {
  readonly lane: Pick<LaneContext, "outbox" | "now" | "reportStray" | "running">;
  readonly slot: number;
  readonly generation: number;
}

const closed = (what: string): AgentError => new AgentError("comms_input_closed", what);
const ids = new IdSource();

export class SessionComms {
  readonly ask: CommsAsk;
  readonly inbox: Inbox;
  readonly taps: InteractionTaps;
  readonly trusted: Set<string>;
  /** What became of the last message of a peer. */
  phase: "absent" | "received" | "dropped" | "delivered" = "absent";
  /** Asks the host-mode run that waits or works to end. */
  dismiss: (() => void) | undefined;
  readonly #seat: CommsSeat;
  /** What ends with a signal. */
  readonly aborts = new AbortWaits();
  readonly #calls = new Map<number, Call>();
  #lastCall = 0;
  #callBytes = 0;
  /** What calls are told instead of being made. */
  #refusal: AgentError | undefined = closed("the session is not live yet");
  #isHeld = false;
  #wasHeld = false;

  constructor(seat: CommsSeat, ask: CommsAsk) {
    this.#seat = seat;
    this.ask = ask;
    this.trusted = new Set(ask.trusted);
    const { lane, slot, generation } = seat;
    this.inbox = new Inbox({
      taken: (count, bytes) => {
        if (this.inbox.size === 0) this.phase = "delivered";
        lane.outbox.append([REPORTS.PEER_TAKEN.op, slot, generation, count, bytes]);
      },
      held: (isHeld) => this.#held(isHeld),
    });
    this.taps = new InteractionTaps((id) => lane.reportStray(`the end of interaction ${id} was not read in time by its subscriber`));
  }

  /** Told at once, so that it is known before the turn's end is. That it is over can wait: an agent that waits at each message soon waits again. */
  #held(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (isHeld) this.#tellHeld();
    else setImmediate(() => this.#tellHeld());
  }

  #tellHeld(): void {
    if (this.#isHeld === this.#wasHeld || this.inbox.isClosed) return;
    this.#wasHeld = this.#isHeld;
    const { lane, slot, generation } = this.#seat;
    lane.outbox.append([REPORTS.COMMS_HELD.op, slot, generation, this.#isHeld]);
  }

  get running(): LaneContext["running"] {
    return this.#seat.lane.running;
  }

  newId(): string {
    return ids.next(this.#seat.lane.now());
  }

  // ── what main says ──

  /** Main has been told that the session is built. */
  begin(): void {
    if (!this.inbox.isClosed) this.#refusal = undefined;
  }

  seated(seat: "none" | "closed" | readonly string[]): void {
    if (seat === "closed") this.close();
    else if (seat === "none") this.#refuse(new AgentError("comms_unsupported", "the session has no line to its peers: its name was taken"));
    else {
      this.trusted.clear();
      for (const name of seat) this.trusted.add(name);
    }
  }

  replied(request: number, value: unknown, failure: CommsFailure | undefined): void {
    const call = this.#forget(request);
    if (failure === undefined) call?.resolve(value);
    else call?.reject(new AgentError(failure[0], failure[1]));
  }

  /** L2 */
  deliver(from: string, message: Uint8Array): void {
    if (this.inbox.isClosed) return;
    let interaction: Interaction;
    try {
      interaction = { ...PeerBody.parse(decodeValue(message)), from };
    } catch (error) {
      this.phase = "dropped";
      this.#seat.lane.reportStray(`what ${from} sent to ${this.ask.name} is no message: ${describeError(error)}`);
      this.inbox.discard(message.byteLength);
      return;
    }
    this.phase = "received";
    this.inbox.deliver(interaction, message.byteLength);
  }

  /** The session is about to leave: nothing comes in or goes out any more. What its agent is at may still be told. */
  close(): void {
    const reason = closed("the session leaves");
    this.#refuse(reason);
    for (const { id } of this.inbox.close(reason)) this.taps.at(id)?.fail(reason);
  }

  /** The session leaves. */
  dispose(): void {
    this.close();
    this.taps.close(closed("the session leaves"));
  }

  #refuse(reason: AgentError): void {
    this.#refusal = reason;
    for (const [request, { reject }] of this.#calls) {
      this.#forget(request);
      reject(reason);
    }
  }

  // ── what the agent does ──

  /** Calls that wait for main. */
  get calling(): number {
    return this.#calls.size;
  }

  /** Ask main. Rejects with AgentError comms_…, or the reason of a signal that aborts (L1) @param signals - none of which has aborted */
  call(verb: CommsVerb, name: string | undefined, message: Uint8Array | undefined, signals: readonly AbortSignal[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#refusal !== undefined) throw this.#refusal;
      const bytes = message?.byteLength ?? 0;
      if (this.#calls.size >= SENDING_MAX || this.#callBytes + bytes > SENDING_BYTES_MAX)
        throw new AgentError("comms_input_full", `${SENDING_MAX} calls, or ${SENDING_BYTES_MAX} bytes of them, wait already`);
      const request = ++this.#lastCall;
      const { lane, slot, generation } = this.#seat;
      const over = this.aborts.onAny(signals, (reason) => {
        this.#forget(request);
        if (verb === "send") lane.outbox.append([REPORTS.COMMS_CALL.op, slot, generation, request, "withdraw"]);
        reject(reason as Error);
      });
      this.#calls.set(request, { bytes, over, resolve, reject });
      this.#callBytes += bytes;
      lane.outbox.append([REPORTS.COMMS_CALL.op, slot, generation, request, verb, name, message], bytes);
    });
  }

  #forget(request: number): Call | undefined {
    const call = this.#calls.get(request);
    if (call === undefined) return undefined;
    this.#calls.delete(request);
    this.#callBytes -= call.bytes;
    call.over();
    return call;
  }

  /** Put something into the session's own inbox. @returns its id, when it is there */
  inject(body: JsonValue, source: InjectSource, id = this.newId()): { outcome: InjectOutcome; id: string } {
    return { outcome: this.inbox.inject({ kind: "input", id, source, body }), id };
  }

  /** As `inject`, with the events of the interaction. @throws AgentError comms_input_full, comms_input_closed; nothing is left behind */
  subscribe(body: JsonValue, source: InjectSource): { id: string; events: AsyncIterableIterator<JsonValue> } {
    if (this.taps.size >= TAPS_MAX) throw new AgentError("comms_input_full", `${TAPS_MAX} interactions are subscribed to`);
    const id = this.newId();
    const tap = this.taps.open(id);
    const { outcome } = this.inject(body, source, id);
    if (outcome !== "ok") void tap.return();
    assertIn(outcome);
    return { id, events: tap as unknown as AsyncIterableIterator<JsonValue> };
  }
}

/** @throws AgentError comms_input_full, comms_input_closed */
export function assertIn(outcome: InjectOutcome): void {
  if (outcome !== "ok") throw new AgentError(`comms_input_${outcome}`, `inbox ${outcome}`);
}
