/**
 * One turn in its lane, from its command to its report. States and their order: TURN_TRANSITIONS (T1–T3).
 *
 * Owns the turn's verdict, its events and the agent's run. The session actor owns the agent and what comes before and after.
 *
 *   R1. The report is the last thing: summary, state and lock are written first, and every event that left is ahead of it.
 *   R2. An interrupt is noticed before the agent is called, while it runs, while events wait, and at the seal; never after it.
 *   R3. A run that ignores its interrupt for the grace is given up: what it does later reaches nobody.
 *   R4. In a session that is kept, success is reported when it is saved. If it cannot be, the session leaves the lane with its lock.
 *   R5. A turn with the key of an earlier good one is answered with that one's result, or refused if it asks for something else: the agent is
 *       not entered, nothing is saved. Whether there is one is known before it is entered, also when the store has to be asked.
 *   R6. An agent that goes on emitting after its interrupt lets the event loop turn at each emit it awaits, so that the grace can end; when
 *       its run was given up, the next such emit rejects.
 */
import type { TurnEvent, TurnState } from "../core/machines.ts";
import { TURN_TRANSITIONS, advance } from "../core/machines.ts";
import { STATE_RUNNING } from "../core/slot-layout.ts";
import { ticketWord } from "../core/tickets.ts";
import { isBoundaryCancelRequested, isInterruptRequested, seal } from "../core/turn-lock.ts";
import type { RunContext } from "../protocol/agent.ts";
import type { WireError } from "../protocol/errors.ts";
import type { AgentEvent } from "../protocol/events.ts";
import type { LaneTimes, TurnCommand } from "../protocol/frames.ts";
import { REPORTS, TURN_FLAGS } from "../protocol/frames.ts";
import type { ExecutionKind } from "../protocol/runtime.ts";
import type { SessionSnapshot } from "../protocol/session-model.ts";
import type { StoredResult } from "../protocol/stored-session.ts";
import type { CheckedResult } from "../protocol/shortcuts.ts";
import { CANCELLED, TurnInterrupted, saveFailure, turnFailure } from "./agent-errors.ts";
import type { Interruptible } from "./lane-context.ts";
import { OUTPUT_AGE_MAX_MS } from "./lane-context.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import { monotonicMs } from "../transport/monotonic.ts";
import { askedBefore, askedOf } from "./turn-again.ts";
import type { Again, AskedTurn } from "./turn-again.ts";
import { callAgent, clearOverlay, stageAgent, takeBack } from "./turn-agent.ts";
import { atBoundary } from "./turn-boundary.ts";
import { TurnEmitter } from "./turn-emitter.ts";
import { endTurn, endUnsaved } from "./turn-end.ts";
import type { Outcome } from "./turn-outcome.ts";
import { outcomeOf } from "./turn-outcome.ts";
import { remember, saveAside, saveTurn } from "./turn-save.ts";
import type { TurnSeat } from "./turn-seat.ts";

export class TurnRun implements RunContext, Interruptible {
  readonly ticket: number;
  /** Of the ticket: what names the turn in reports and in the lock. */
  readonly word: number;
  readonly #seat: TurnSeat;
  readonly #command: TurnCommand;
  #state: TurnState = "admitted";
  #asked: AskedTurn | undefined;
  #emitter: TurnEmitter | undefined;
  #controller: AbortController | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  /** Of a turn whose caller traces it. */
  readonly #times: { -readonly [M in keyof LaneTimes]: LaneTimes[M] } | undefined;
  #isGivenUp = false;
  #dropping: Promise<void> | undefined;

  constructor(seat: TurnSeat, command: TurnCommand) {
    this.#seat = seat;
    this.#command = command;
    this.ticket = command[3];
    this.word = ticketWord(this.ticket);
    this.#times = command[6]?.wantsTimes === true ? { agent: seat.agentName, taken: monotonicMs() } : undefined;
  }

  // ── what the agent sees ──

  get signal(): AbortSignal {
    this.#sayRunning();
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isInterrupted()) this.#controller.abort(new TurnInterrupted());
    }
    return this.#controller.signal;
  }

  // Getters that give functions: an agent may take them apart (`({ emit }) => …`), and nothing is bound for one that does not.
  get isInterrupted(): () => boolean {
    return () => {
      this.#sayRunning();
      return this.#isInterrupted();
    };
  }

  get shouldStopAtBoundary(): () => boolean {
    return () => isBoundaryCancelRequested(this.#seat.lane.table, this.#seat.slot, this.word);
  }

  get emit(): (event: AgentEvent) => void | Promise<void> {
    return (event) => this.#emit(event);
  }

  get executionKind(): ExecutionKind | undefined {
    return this.#command[6]?.executionKind;
  }

  get traceparent(): string | undefined {
    return this.#command[6]?.traceparent;
  }

  /** Its code runs: that may not be known, after an await. */
  #sayRunning(): void {
    this.#seat.lane.attribution.found(this.#seat.slot);
  }

  #isInterrupted(): boolean {
    return isInterruptRequested(this.#seat.lane.table, this.#seat.slot, this.word);
  }

  #emit(event: AgentEvent): void | Promise<void> {
    this.#sayRunning();
    if (this.#state !== "running") return this.#emitLate(event);
    this.#seat.lane.outbox.flushIfOlder(performance.now(), OUTPUT_AGE_MAX_MS);
    if (this.#isInterrupted()) return this.#dropped();
    return this.#openEmitter().emit(event);
  }

  /** Made when first needed: most turns emit nothing. */
  #openEmitter(): TurnEmitter {
    return (this.#emitter ??= new TurnEmitter(this.#seat, this.word, ((this.#command[5] ?? 0) & TURN_FLAGS.hasConsumer) !== 0));
  }

  /** Outside the run: the past of a given-up or cancelled run reaches nobody; otherwise the event waits for the next turn. */
  #emitLate(event: AgentEvent): void | Promise<void> {
    if (this.#isGivenUp || this.#state === "cancelled" || this.#isInterrupted()) return this.#dropped();
    return this.#seat.emitOutside(event);
  }

  /** R6. The turn's outcome is Cancelled already. @returns a promise, the same for all emits until the loop has turned */
  #dropped(): Promise<void> {
    if (this.#dropping !== undefined) return this.#dropping;
    this.#dropping = new Promise((resolve, reject) =>
      setImmediate(() => {
        this.#dropping = undefined;
        if (this.#isGivenUp) reject(new TurnInterrupted());
        else resolve();
      }),
    );
    this.#dropping.catch(() => {}); // an agent need not await every emit
    return this.#dropping;
  }

  // ── what the lane drives ──

  /** Run the turn; `seat.turnEnded` is called exactly once, now or later. Never throws. */
  start(): void {
    if (this.#isInterrupted()) {
      this.#finish({ ok: false, error: CANCELLED });
      return;
    }
    this.#step("stage");
    this.#asked = askedOf(this.#command);
    if (this.#asked === undefined) this.#begin();
    else this.#beginUnlessAsked(askedBefore(this.#seat, this.#asked));
  }

  /** R5 */
  #beginUnlessAsked(again: Again | undefined | Promise<Again | undefined>): void {
    if (!(again instanceof Promise)) {
      if (again === undefined) this.#begin();
      else if ("result" in again) this.#answer(again.result);
      else this.#refuse(again.error);
      return;
    }
    const { lane, slot } = this.#seat;
    lane.running.add(this); // an interrupt does not wait for the store
    void again.then((known) => {
      if (this.#state !== "staging") return;
      lane.running.delete(this);
      lane.words.setRunning(slot);
      this.#beginUnlessAsked(known);
      lane.words.setRunning(undefined);
    });
    this.noticeInterrupt();
  }

  #begin(): void {
    const { lane, slot } = this.#seat;
    const refusal = stageAgent(this.#seat.agent, this.#command[6]);
    if (refusal !== undefined) {
      this.#refuse(refusal);
      return;
    }
    this.#step("run");
    lane.table.setState(slot, STATE_RUNNING);
    this.#emitHeld(this.#seat.takeHeld());
    this.#runAgent();
  }

  #refuse(error: WireError): void {
    this.#step("refuse");
    this.#finish({ ok: false, error });
  }

  /** R5 */
  #answer(result: StoredResult): void {
    const { lane, slot } = this.#seat;
    this.#step("answer");
    if (seal(lane.table, slot, this.word) === "interrupted") {
      this.#step("interrupt");
      this.#end({ ok: false, error: CANCELLED });
      return;
    }
    this.#step("seal");
    this.#step("complete");
    this.#end(this.#bounded({ ok: true, result: result as CheckedResult }));
  }

  #emitHeld(events: readonly AgentEvent[] | undefined): void {
    if (events === undefined) return;
    for (const event of events) {
      try {
        void this.#emit(event);
      } catch (error) {
        this.#openEmitter().spoil(error);
      }
    }
  }

  /** End the turn without running it: the session has no agent that could. */
  refuse(error: WireError): void {
    this.#step("stage");
    this.#refuse(error);
  }

  #runAgent(): void {
    const { lane, agent } = this.#seat;
    this.#mark("entered");
    const returned = callAgent(agent, this.#command, this);
    if ("ok" in returned) {
      this.#settle(returned);
      return;
    }
    lane.running.add(this);
    void returned.then(
      (result) => this.#settleLater(outcomeOf(result)),
      (error: unknown) => this.#settleLater({ ok: false, error: turnFailure(error) }),
    );
    if (this.#isInterrupted()) this.noticeInterrupt();
  }

  noticeInterrupt(): void {
    if (this.#graceTimer !== undefined || !this.#isInterrupted()) return;
    if (this.#state === "staging") {
      this.#refuse(CANCELLED);
      return;
    }
    const { lane } = this.#seat;
    this.#graceTimer = setTimeout(() => this.#giveUp(), lane.interruptGraceMs);
    this.#emitter?.abandon();
    this.#controller?.abort(new TurnInterrupted());
  }

  /** The consumer took events of this turn. */
  credit(count: number): void {
    this.#emitter?.credit(count);
  }

  /** The consumer is gone. */
  detach(): void {
    this.#openEmitter().detach();
  }

  // ── the end ──

  /** What ends a turn asks things of its agent: they are the session's work too. */
  #settleLater(outcome: Outcome): void {
    const { lane, slot } = this.#seat;
    lane.words.setRunning(slot);
    this.#settle(outcome);
    lane.words.setRunning(undefined);
  }

  /** The agent's run has settled, in whatever way; events that still wait go first. */
  #settle(outcome: Outcome): void {
    if (this.#isGivenUp) return;
    const { lane } = this.#seat;
    this.#mark("left");
    this.#step("settle");
    const waiting = this.#isInterrupted() ? undefined : this.#emitter?.drained();
    if (waiting === undefined) {
      this.#finish(outcome);
      return;
    }
    lane.running.add(this);
    const go = (): void => this.#finish(outcome);
    waiting.then(go, go);
  }

  #finish(outcome: Outcome): void {
    const { lane, slot } = this.#seat;
    lane.running.delete(this);
    clearTimeout(this.#graceTimer);
    const isCancelled = this.#state === "admitted" || seal(lane.table, slot, this.word) === "interrupted";
    if (isCancelled) {
      this.#emitter?.abandon();
      this.#step("interrupt");
      this.#endCancelled(this.#cancel());
      return;
    }
    this.#step("seal");
    const final = this.#seat.hasAgent ? clearOverlay(this.#seat.agent, this.#bounded(this.#judge(outcome))) : outcome;
    if (this.#seat.keeper === undefined) {
      if (final.ok) remember(this.#seat, this.ticket, this.#asked, final);
      this.#step(final.ok ? "complete" : "fail");
      this.#end(final);
    } else void this.#commit(this.#seat.keeper, final);
  }

  /** With what the session is now, if the caller wants it. */
  #bounded(outcome: Outcome): Outcome {
    return atBoundary(this.#seat, outcome, this.#command[6]?.wantsBoundary === true);
  }

  /** R4. A turn that failed saves its events only. */
  async #commit(keeper: SessionKeeper, outcome: Outcome): Promise<void> {
    this.#step("commit");
    let saved: SessionSnapshot | undefined;
    try {
      if (outcome.ok) {
        this.#mark("saving");
        saved = await saveTurn(this.#seat, keeper, this.ticket, this.#asked, outcome);
        this.#mark("saved");
      } else await this.#saveAside(keeper);
    } catch (error) {
      this.#step("fail");
      this.#endUnsaved(outcome.ok ? saveFailure(error) : outcome.error, saveFailure(error));
      return;
    }
    this.#step(outcome.ok ? "complete" : "fail");
    this.#end(outcome, saved);
  }

  /** A run that was spoiled fails even if the agent went on as if nothing had been, and is taken back. */
  #judge(outcome: Outcome): Outcome {
    const spoiled = this.#emitter?.spoiled;
    if (spoiled === undefined) return outcome;
    if (outcome.ok) takeBack(this.#seat.agent, this.#seat.lane);
    return { ok: false, error: spoiled };
  }

  /** The grace is over and the agent still runs. */
  #giveUp(): void {
    if (this.#state !== "running") return;
    this.#isGivenUp = true;
    this.#mark("left");
    this.#step("settle");
    const { lane, slot, generation } = this.#seat;
    lane.running.delete(this);
    lane.outbox.append([REPORTS.GAVE_UP.op, slot, generation, this.word]);
    this.#step("interrupt");
    const outcome = this.#cancel();
    void this.#seat.rebuild().then(() => this.#endCancelled(outcome));
  }

  /** What an interrupted turn emitted is part of the session's events. */
  #endCancelled(outcome: Outcome): void {
    const { keeper } = this.#seat;
    const saving = keeper && this.#saveAside(keeper);
    if (saving === undefined) this.#end(outcome);
    else
      saving.then(
        () => this.#end(outcome),
        (error: unknown) => this.#endUnsaved(CANCELLED, saveFailure(error)),
      );
  }

  #saveAside(keeper: SessionKeeper): Promise<void> | undefined {
    return saveAside(this.#seat, keeper, this.#command[6]?.contextAppends !== undefined);
  }

  #cancel(): Outcome {
    if (!this.#seat.hasAgent) return { ok: false, error: CANCELLED };
    takeBack(this.#seat.agent, this.#seat.lane);
    return clearOverlay(this.#seat.agent, { ok: false, error: CANCELLED });
  }

  #end(outcome: Outcome, saved?: SessionSnapshot): void {
    endTurn(this.#seat, this.word, outcome, saved, this.#times);
    this.#seat.turnEnded(this);
  }

  /** @param error - the turn's. @param failure - the store's */
  #endUnsaved(error: WireError, failure: WireError): void {
    endUnsaved(this.#seat, this.word, error, this.#times);
    this.#seat.abandon(failure);
  }

  #mark(what: Exclude<keyof LaneTimes, "agent">): void {
    if (this.#times !== undefined) this.#times[what] = monotonicMs();
  }

  #step(event: TurnEvent): void {
    this.#state = advance(TURN_TRANSITIONS, this.#state, event);
  }
}
