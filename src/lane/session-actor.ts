/**
 * A session in its lane: one agent, one mailbox, one command at a time.
 *
 *   A1. The agent is never entered by two commands at once; commands run in the order they came.
 *   A2. Handles are taken from the agent exactly once, before it serves its first command.
 *   A3. A broken agent (throws, returns rubbish) harms its own command and leaves the session usable.
 *   A4. A session whose state could not be saved leaves the lane: what is queued for it fails, and its lock is main's to free.
 *   A5. A session whose agent was given up and could not be rebuilt is still there, at its last boundary: whatever needs its agent tries
 *       again to build one, and fails if there is none.
 *   A6. A turn that must not see what the run before it did in memory has an agent of its own, built from the last boundary.
 */
import { MAILBOX_MAX, Mailbox } from "../core/mailbox.ts";
import { writeSummary } from "../core/slot-summary.ts";
import { ticketWord } from "../core/tickets.ts";
import type { SessionAgent } from "../protocol/agent.ts";
import type { WireError } from "../protocol/errors.ts";
import { agentFailure, toWire } from "../protocol/errors.ts";
import type { AgentEvent } from "../protocol/events.ts";
import { commsAskOf } from "../protocol/comms.ts";
import { parseEvent } from "../protocol/events.ts";
import type { EventTail, TurnCommand } from "../protocol/frames.ts";
import { COMMANDS, REPORTS, TURN_FLAGS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import { Session as SessionSchema, SessionSnapshot } from "../protocol/session-model.ts";
import type { KeyedTurn } from "../protocol/stored-session.ts";
import { ordinarySnapshot } from "../protocol/shortcuts.ts";
import { AgentError, describeError, saveFailure, turnFailure } from "./agent-errors.ts";
import type { AgentOrder, AgentOwner } from "./agent-tenure.ts";
import { AgentTenure } from "./agent-tenure.ts";
import type { AnswerSeat, QueryCommand } from "./answer.ts";
import { answerOf, entersAgent } from "./answer.ts";
import { HeldEvents } from "./held-events.ts";
import { SessionComms } from "./comms/session-comms.ts";
import type { KeyedTurns } from "./keyed-turns.ts";
import type { LaneContext } from "./lane-context.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import type { SnapshotOutcome } from "./turn-end.ts";
import type { LastTurn, TurnSeat } from "./turn-seat.ts";
import { TurnRun } from "./turn-run.ts";

export type ActorCommand = TurnCommand | QueryCommand;

/** What a session begins with. */
export interface SessionSeat extends AgentOrder {
  readonly slot: number;
  readonly generation: number;
  readonly id: SessionId;
  /** Number of its last event so far. */
  readonly lastSeq: number;
}

export class SessionActor implements TurnSeat, AgentOwner, AnswerSeat {
  readonly lane: LaneContext;
  readonly slot: number;
  readonly generation: number;
  id: SessionId;
  /** Of a session that asked for a line to its peers. */
  readonly comms: SessionComms | undefined;
  readonly tenure: AgentTenure;
  /** The last good turn, if its request had an idempotency key. */
  lastTurn: LastTurn | undefined;
  #keyed: KeyedTurns | undefined;
  /** Of a session that is kept in a store. */
  keeper: SessionKeeper | undefined;
  readonly #onBroken: (actor: SessionActor) => void;
  #seq: number;
  #run: TurnRun | undefined;
  /** A command other than a turn is being saved, or one waits for an agent (A5). */
  #isOccupied = false;
  #mailbox: Mailbox<ActorCommand> | undefined;
  #held: HeldEvents | undefined;
  #onIdle: (() => void) | undefined;
  /** Set when the session is lost to this lane: why every further command fails. */
  #broken: WireError | undefined;
  /** It is asleep, or another's: its agent, which may still do something, saves nothing. */
  #hasLeft = false;

  /** @param onBroken - the session could not be saved and leaves (A4) */
  constructor(lane: LaneContext, seat: SessionSeat, onBroken: (actor: SessionActor) => void) {
    this.lane = lane;
    this.slot = seat.slot;
    this.generation = seat.generation;
    this.id = seat.id;
    this.#seq = seat.lastSeq;
    this.#onBroken = onBroken;
    const ask = commsAskOf(seat.request.build);
    this.comms = ask && new SessionComms(this, ask);
    this.tenure = new AgentTenure(this, seat);
  }

  get agent(): SessionAgent {
    return this.tenure.agent;
  }

  get agentName(): string {
    return this.tenure.agentName;
  }

  get hasAgent(): boolean {
    return !this.tenure.isVacant;
  }

  get keyed(): KeyedTurns | undefined {
    return (this.#keyed ??= this.keeper === undefined ? this.lane.remembered.ofSession() : this.keeper.keyedTurns());
  }

  /** Those that are only here, oldest first. */
  get keyedTurns(): readonly KeyedTurn[] {
    return this.#keyed?.all ?? [];
  }

  contextTaken(count: number): void {
    if (this.keeper !== undefined) this.keeper.contextTaken += count;
    this.lane.outbox.append([REPORTS.CONTEXT_TAKEN.op, this.slot, this.generation, count]);
  }

  /** After a run was given up. Never rejects. */
  async rebuild(): Promise<void> {
    await this.#renew();
  }

  /** @returns why there is no agent */
  async #renew(): Promise<WireError | undefined> {
    const problem = await this.tenure.renew(this.id);
    void this.keeper?.agentRenewed();
    if (problem === undefined) return undefined;
    const error = toWire(agentFailure("internal_error", `the agent could not be rebuilt: ${problem}`));
    if (!this.tenure.hasBoundary) this.#broken = error;
    return error;
  }

  /** Of an agent's checkpointer: what goes wrong is told to the log, never to the agent. */
  async checkpoint(session: unknown): Promise<void> {
    if (this.keeper === undefined || this.#hasLeft) return;
    try {
      const parsed = session === undefined ? undefined : SessionSchema.parse(session);
      const taken = this.takeSnapshot();
      if (parsed !== undefined) await this.keeper.checkpoint(parsed, taken.ok ? taken.snapshot.revision : undefined);
      else if (taken.ok) await this.keeper.checkpointAgent(taken.snapshot);
      else throw new AgentError("internal_error", taken.error.message);
    } catch (error) {
      this.lane.reportStray(`checkpoint of session ${this.id} failed: ${describeError(error)}`);
    }
  }

  // ── commands ──

  /**
   * The caller says that this session is entered (RUNNING_SLOT).
   *
   * @throws Error when the mailbox is full: main keeps to its bound, so more is a bug of ours
   */
  receive(command: ActorCommand): void {
    if (this.isIdle) this.#execute(command);
    else if (!(this.#mailbox ??= new Mailbox(MAILBOX_MAX)).push(command)) throw new Error(`mailbox of slot ${this.slot} overflows`);
  }

  get isIdle(): boolean {
    return this.#run === undefined && !this.#isOccupied;
  }

  get currentRun(): TurnRun | undefined {
    return this.#run;
  }

  turnEnded(run: TurnRun): void {
    if (this.#run !== run) return;
    this.#run = undefined;
    this.#next();
  }

  #next(): void {
    let next: ActorCommand | undefined;
    while (this.isIdle && (next = this.#mailbox?.shift()) !== undefined) this.#enter(next);
    if (!this.isIdle) return;
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    onIdle?.();
  }

  #enter(command: ActorCommand): void {
    this.entered(() => this.#execute(command));
  }

  /** Call `then` once, when no turn runs and the mailbox is empty: now, or later. */
  whenIdle(then: () => void): void {
    if (this.isIdle) then();
    else this.#onIdle = then;
  }

  /** What the session is could not be saved (A4): `error` is what everything queued fails with. */
  abandon(error: WireError): void {
    this.#run = undefined;
    this.#isOccupied = false;
    this.#onIdle = undefined;
    this.#broken = error;
    for (const command of this.#mailbox?.drain() ?? []) this.#refuse(command, error);
    this.#onBroken(this);
  }

  #refuse(command: ActorCommand, error: WireError): void {
    const { outbox } = this.lane;
    if (command[0] === COMMANDS.TURN.op) {
      outbox.append([REPORTS.FAILED.op, this.slot, this.generation, ticketWord(command[3]), error, undefined, true]);
    } else outbox.append([REPORTS.REPLY_ERROR.op, command[3], error]);
  }

  #execute(command: ActorCommand): void {
    if (this.#broken === undefined && this.#wantsNewAgent(command)) this.#executeRenewed(command);
    else this.#serve(command);
  }

  #serve(command: ActorCommand): void {
    if (command[0] === COMMANDS.TURN.op) this.#startTurn(command, this.#broken);
    else this.#reply(command);
  }

  /** A5, A6 */
  #wantsNewAgent(command: ActorCommand): boolean {
    if (command[0] !== COMMANDS.TURN.op) return this.tenure.isVacant && entersAgent(command);
    return this.tenure.isVacant || ((command[5] ?? 0) & TURN_FLAGS.renew) !== 0;
  }

  #executeRenewed(command: ActorCommand): void {
    this.#isOccupied = true;
    void this.#renew().then((problem) => {
      this.#isOccupied = false;
      if (problem === undefined) this.entered(() => this.#serve(command));
      else if (command[0] === COMMANDS.TURN.op) this.#startTurn(command, problem);
      else this.#refuse(command, problem);
      this.#next();
    });
  }

  #startTurn(command: TurnCommand, refusal: WireError | undefined): void {
    this.#run = new TurnRun(this, command);
    this.keeper?.turnBegins(this.#run.ticket);
    if (refusal === undefined) this.#run.start();
    else this.#run.refuse(refusal);
  }

  #reply(command: QueryCommand): void {
    if (this.#broken !== undefined) {
      this.#refuse(command, this.#broken);
      return;
    }
    const { outbox } = this.lane;
    try {
      const answer = answerOf(this, command);
      if (answer instanceof Promise) this.#answerLater(command, answer);
      else outbox.appendSized([REPORTS.REPLY.op, command[3], answer]);
    } catch (error) {
      outbox.append([REPORTS.REPLY_ERROR.op, command[3], turnFailure(error)]);
    }
  }

  #answerLater(command: QueryCommand, answer: Promise<unknown>): void {
    this.#isOccupied = true;
    answer.then(
      (value) => {
        this.lane.outbox.appendSized([REPORTS.REPLY.op, command[3], value]);
        this.#isOccupied = false;
        this.#next();
      },
      (error: unknown) => {
        const failure = saveFailure(error);
        this.lane.outbox.append([REPORTS.REPLY_ERROR.op, command[3], failure]);
        this.abandon(failure);
      },
    );
  }

  /** Save what no turn has saved, before the session leaves. Rejects with what the store or the agent said */
  async saveRest(): Promise<void> {
    await this.keeper?.saveEvents();
    if (this.tenure.isVacant) return; // the store has its last boundary
    await this.entered(() => {
      const taken = this.takeSnapshot();
      if (!taken.ok) throw new AgentError("internal_error", taken.error.message);
      return this.keeper?.saveRest(taken.snapshot);
    });
  }

  entered<T>(work: () => T): T {
    const { words } = this.lane;
    words.setRunning(this.slot);
    try {
      return work();
    } finally {
      words.setRunning(undefined);
    }
  }

  // ── events and summary ──

  get lastSeq(): number {
    return this.#seq;
  }

  takeSeq(count: number): number {
    return (this.#seq += count);
  }

  /** The agent emits. */
  emit(event: AgentEvent): void | Promise<void> {
    return this.#run ? this.#run.emit(event) : this.emitOutside(event);
  }

  /** An event from outside a run: kept for the next turn. @throws AgentError invalid_event, event_flood */
  emitOutside(event: AgentEvent): void | Promise<void> {
    const parsed = parseEvent(event);
    if (!parsed.ok) throw new AgentError("invalid_event", parsed.problem);
    return (this.#held ??= new HeldEvents()).hold(parsed.event);
  }

  takeHeld(): AgentEvent[] | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held?.take();
  }

  get held(): readonly AgentEvent[] {
    return this.#held?.waiting ?? [];
  }

  /** Events that are not in the log yet, from number `from` on. */
  eventTail(from: number): EventTail {
    return { lastSeq: this.#seq, events: this.keeper?.events?.from(from) ?? [] };
  }

  /** Ask the agent for its snapshot. */
  takeSnapshot(): SnapshotOutcome {
    if (!this.hasAgent) return { ok: false, error: toWire(agentFailure("internal_error", "the session has no agent")) };
    try {
      const given: unknown = this.agent.snapshot();
      return { ok: true, snapshot: ordinarySnapshot(given) ?? SessionSnapshot.parse(given) };
    } catch (error) {
      return { ok: false, error: toWire(agentFailure("internal_error", `the agent's snapshot is not one: ${turnFailure(error).message}`)) };
    }
  }

  /** Publish a snapshot in shared memory. */
  publish(snapshot: SessionSnapshot): void {
    writeSummary(this.lane.table, this.slot, snapshot);
  }

  /** The session leaves the lane. Resolves when the agent's own dispose has settled. */
  async dispose(): Promise<void> {
    this.#hasLeft = true;
    this.#keyed?.clear();
    this.comms?.dispose();
    this.takeHeld();
    await this.tenure.dispose();
  }
}
