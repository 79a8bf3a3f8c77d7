/**
 * What an agent holds of its session's line to its peers. Its members are getters that give functions, so that it may be taken apart.
 *
 *   J1. An agent that was given up, or has left, sends and receives nothing: its messages are its successor's.
 *   J2. What a turn waits for through `turn.comms` ends with the turn's interrupt; a message it still waits for, with the turn.
 */
import type { CheckedCommand, Interaction, InteractionTap, LaneComms, PeerIngress, WaitOptions } from "../../protocol/comms.ts";
import { CommsCommandSchema, MESSAGE_BYTES_MAX, PeerNameParam } from "../../protocol/comms.ts";
import type {
  CommsCommand,
  CommsReceipt,
  EventInjector,
  InjectOutcome,
  InteractionSubscription,
  PeerDescription,
  SubscribableInjector,
} from "../../protocol/handles.ts";
import { isInstance } from "../../protocol/foreign.ts";
import type { JsonValue } from "../../protocol/json.ts";
import { NotJsonError, cloneJson } from "../../protocol/json.ts";
import { encodeValue } from "../../transport/codec.ts";
import { AgentError } from "../agent-errors.ts";
import type { Interruptible } from "../lane-context.ts";
import { RECEIVING_MAX } from "./inbox.ts";
import type { Receiving } from "./inbox.ts";
import { assertIn } from "./session-comms.ts";
import type { SessionComms } from "./session-comms.ts";

/** Of one agent: over when it is the session's no longer. */
interface Life {
  isOver: boolean;
}

/** What a kind of interaction counts as in a snapshot. */
const QUEUES = { peer_message: "actionable", peer_request: "actionable", peer_response: "response", input: "plainEvent" } as const;

export class AgentComms implements LaneComms {
  readonly #session: SessionComms;
  readonly #life: Life;
  /** J2 */
  readonly #signal: (() => AbortSignal) | undefined;

  constructor(session: SessionComms, life: Life = { isOver: false }, signal?: () => AbortSignal) {
    this.#session = session;
    this.#life = life;
    this.#signal = signal;
  }

  /** The same line; what waits ends with `signal` too. */
  within(signal: () => AbortSignal): AgentComms {
    return new AgentComms(this.#session, this.#life, signal);
  }

  /** J1. Whom it answers, and who could end its host-mode run, are told. */
  end(): void {
    this.#life.isOver = true;
    const { inbox, taps } = this.#session;
    const waiting = new Set<string>();
    for (const { id } of inbox) waiting.add(id);
    inbox.stop(this.#life, OVER());
    taps.close(OVER(), waiting);
    this.#session.dismiss = undefined;
  }

  /** J2. The turn whose line it is has ended. */
  endTurn(): void {
    this.#session.inbox.stop(this, new AgentError("comms_input_closed", "the turn has ended"));
  }

  get name(): string {
    return this.#session.ask.name;
  }

  get publicKey(): () => undefined {
    return () => undefined;
  }

  // ── whom it trusts ──

  get addTrustedPeer(): (peer: PeerDescription) => Promise<void> {
    return async (peer) => {
      const name = nameOf(peer?.name);
      await this.#call("trust", name);
      this.#session.trusted.add(name);
    };
  }

  get removeTrustedPeer(): (name: string) => Promise<boolean> {
    return async (name) => {
      const wasTrusted = (await this.#call("distrust", nameOf(name))) === true;
      this.#session.trusted.delete(name);
      return wasTrusted;
    };
  }

  get peers(): () => Promise<readonly PeerDescription[]> {
    return async () => (await this.#call("peers")) as PeerDescription[];
  }

  get peerCount(): () => Promise<number> {
    return async () => (await this.peers()).length;
  }

  // ── sending ──

  get send(): (command: CommsCommand, options?: WaitOptions) => Promise<CommsReceipt> {
    return async (command, options) => {
      const checked = checkedCommand(command);
      const { kind } = checked;
      if (kind === "input") return this.#input(checked);
      const { to, ...rest } = checked;
      const id = this.#session.newId();
      const message = encodeValue({ ...rest, id });
      if (message.byteLength > MESSAGE_BYTES_MAX)
        throw new AgentError("comms_validation", `a message is at most ${MESSAGE_BYTES_MAX} bytes, not ${message.byteLength}`);
      await this.#call("send", to, message, options);
      return { kind, id, to };
    };
  }

  #input({ body, source = "rpc" }: Extract<CheckedCommand, { kind: "input" }>): CommsReceipt {
    this.#assertOn();
    const { outcome, id } = this.#session.inject(body as JsonValue, source);
    assertIn(outcome);
    return { kind: "input", id, to: this.name };
  }

  get sendAndStream(): (command: CommsCommand) => Promise<{ receipt: CommsReceipt; events: InteractionSubscription["events"] }> {
    return async (command) => {
      const checked = checkedCommand(command);
      if (checked.kind !== "input") throw new AgentError("comms_unsupported", "the events of a peer's interaction are not to be had");
      this.#assertOn();
      const { id, events } = this.#session.subscribe(checked.body as JsonValue, checked.source ?? "rpc");
      return { receipt: { kind: "input", id, to: this.name }, events };
    };
  }

  async #call(verb: "send" | "trust" | "distrust" | "peers", name?: string, message?: Uint8Array, options?: WaitOptions): Promise<unknown> {
    this.#assertOn();
    return this.#session.call(verb, name, message, this.#signalsOf(options));
  }

  /** What ends a wait. @throws the reason of one that has aborted */
  #signalsOf(options: WaitOptions | undefined): AbortSignal[] {
    const signals: AbortSignal[] = [];
    for (const signal of [options?.signal, this.#signal?.()]) if (signal !== undefined) signals.push(signal);
    for (const signal of signals) signal.throwIfAborted();
    return signals;
  }

  // ── receiving ──

  get receive(): (options?: WaitOptions) => Promise<Interaction> {
    return (options) => {
      const received = this.#receive(options);
      received.catch(() => {}); // one that is left waiting is nobody's failure
      return received;
    };
  }

  async #receive(options: WaitOptions | undefined): Promise<Interaction> {
    const signals = this.#signalsOf(options);
    const { next, stop } = this.wait();
    const over = this.#session.aborts.onAny(signals, stop);
    try {
      return await next;
    } finally {
      over();
    }
  }

  /** The next interaction, and the way to wait for it no longer. @throws AgentError */
  wait(): Receiving {
    this.#assertOn();
    const { inbox } = this.#session;
    if (inbox.receiving >= RECEIVING_MAX) throw new AgentError("comms_validation", `${RECEIVING_MAX} calls wait for messages already`);
    return inbox.receive(this.#life, this);
  }

  get drainMessages(): () => readonly Interaction[] {
    return () => {
      this.#assertOn();
      return this.#session.inbox.takeAll();
    };
  }

  get dismissReceived(): () => boolean {
    return () => {
      const { dismiss } = this.#session;
      dismiss?.();
      return dismiss !== undefined;
    };
  }

  /** Whom to tell that the host-mode run is to end. */
  onDismiss(dismiss: (() => void) | undefined): void {
    if (!this.#life.isOver) this.#session.dismiss = dismiss;
  }

  /** Where a run that waits is found when the lane is told to look at its interrupt and its boundary. */
  get running(): Set<Interruptible> {
    return this.#session.running;
  }

  get isClosed(): boolean {
    return this.#session.inbox.isClosed;
  }

  get tap(): (interactionId: string) => InteractionTap | undefined {
    return (interactionId) => this.#session.taps.at(interactionId);
  }

  get peerIngressRuntimeSnapshot(): () => PeerIngress {
    return () => {
      const { ask, trusted, phase, calling, inbox } = this.#session;
      const queue = { total: 0, actionable: 0, response: 0, lifecycle: 0, silentRequest: 0, ack: 0, plainEvent: 0 };
      const queuedEntries: { id: string; kind: string; from?: string }[] = [];
      for (const interaction of inbox) {
        queue.total++;
        queue[QUEUES[interaction.kind]]++;
        const { id, kind } = interaction;
        queuedEntries.push("from" in interaction ? { id, kind, from: interaction.from } : { id, kind });
      }
      return {
        selfPeerId: ask.name,
        authRequired: true,
        authorityPhase: phase,
        trustedPeers: [...trusted],
        submissionQueueLen: calling,
        queue: { ...queue, queuedEntries },
      };
    };
  }

  // ── injecting ──

  get eventInjector(): () => EventInjector {
    return () => ({ inject: (body, source) => this.#inject(body, source) });
  }

  get interactionEventInjector(): () => SubscribableInjector {
    return () => ({
      inject: (body, source) => this.#inject(body, source),
      injectWithSubscription: (body, source) => {
        this.#assertOn();
        return this.#session.subscribe(body, source);
      },
    });
  }

  #inject(body: string, source: Parameters<EventInjector["inject"]>[1]): InjectOutcome {
    return this.#life.isOver ? "closed" : this.#session.inject(body, source).outcome;
  }

  #assertOn(): void {
    if (this.#life.isOver) throw OVER();
  }
}

const OVER = (): AgentError => new AgentError("comms_input_closed", "the agent is its session's no longer");

/** Members that are undefined are left out. @throws AgentError comms_validation naming the member */
function checkedCommand(command: unknown): CheckedCommand {
  let problem: string;
  try {
    const parsed = CommsCommandSchema.safeParse(cloneJson(command));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    problem = `${issue?.path.map(String).join(".") || "it"}: ${issue?.message ?? "is not one"}`;
  } catch (error) {
    problem = isInstance(error, NotJsonError) ? `${error.path.join(".") || "it"}: ${error.message}` : "it cannot be read";
  }
  throw new AgentError("comms_validation", `command: ${problem}`);
}

/** @throws AgentError comms_validation */
function nameOf(name: unknown): string {
  const parsed = PeerNameParam.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new AgentError("comms_validation", "a peer's name is text of 1 to 256 characters");
}
