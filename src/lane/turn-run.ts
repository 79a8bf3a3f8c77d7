/**
 * One turn in its lane, from its command to its report. States and their order: TURN_TRANSITIONS (T1–T3).
 *
 * Owns the turn's verdict, its events and the agent's run. The session actor owns the agent and what comes before and after.
 *
 *   R1. The report is the last thing: summary, state and lock are written first, and every event that left is ahead of it.
 *   R2. An interrupt is noticed before the agent is called, while it runs, while events wait, and at the seal; never after it.
 *   R3. A run that ignores its interrupt for the grace is given up: what it does later reaches nobody.
 */
import type { TurnEvent, TurnState } from "../core/machines.ts";
import { TURN_TRANSITIONS, advance } from "../core/machines.ts";
import { STATE_IDLE, STATE_RUNNING } from "../core/slot-layout.ts";
import { ticketWord } from "../core/tickets.ts";
import { isBoundaryCancelRequested, isInterruptRequested, seal, unlock } from "../core/turn-lock.ts";
import type { RunContext } from "../protocol/agent.ts";
import type { WireError } from "../protocol/errors.ts";
import type { AgentEvent } from "../protocol/events.ts";
import { parseEvent } from "../protocol/events.ts";
import type { TurnCommand } from "../protocol/frames.ts";
import { REPORTS, TURN_FLAGS } from "../protocol/frames.ts";
import type { RunResult } from "../protocol/views.ts";
import { RunResultSchema } from "../protocol/views.ts";
import { AgentError, CANCELLED, TurnInterrupted, turnFailure } from "./agent-errors.ts";
import type { Interruptible } from "./lane-context.ts";
import { OUTPUT_AGE_MAX_MS } from "./lane-context.ts";
import type { SessionActor } from "./session-actor.ts";
import { TurnEvents } from "./turn-events.ts";

type Outcome = { ok: true; result: RunResult } | { ok: false; error: WireError };

export class TurnRun implements RunContext, Interruptible {
  readonly ticket: number;
  readonly #actor: SessionActor;
  readonly #command: TurnCommand;
  readonly #word: number;
  #state: TurnState = "admitted";
  #hasConsumer: boolean;
  #controller: AbortController | undefined;
  #events: TurnEvents | undefined;
  /** What the agent did wrong while it ran; it fails the turn even if the agent swallowed the exception. */
  #spoiled: WireError | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  #isGivenUp = false;

  constructor(actor: SessionActor, command: TurnCommand) {
    this.#actor = actor;
    this.#command = command;
    this.ticket = command[3];
    this.#word = ticketWord(this.ticket);
    this.#hasConsumer = (command[5] & TURN_FLAGS.hasConsumer) !== 0;
  }

  // ── what the agent sees ──

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isInterrupted()) this.#controller.abort(new TurnInterrupted());
    }
    return this.#controller.signal;
  }

  // Getters that give functions: an agent may take them apart (`({ emit }) => …`), and nothing is bound for one that does not.
  get isInterrupted(): () => boolean {
    return () => this.#isInterrupted();
  }

  get shouldStopAtBoundary(): () => boolean {
    return () => isBoundaryCancelRequested(this.#actor.lane.table, this.#actor.slot, this.#word);
  }

  get emit(): (event: AgentEvent) => void | Promise<void> {
    return (event) => this.#emit(event);
  }

  #isInterrupted(): boolean {
    return isInterruptRequested(this.#actor.lane.table, this.#actor.slot, this.#word);
  }

  #emit(event: AgentEvent): void | Promise<void> {
    if (this.#state !== "running") return this.#emitLate(event);
    const { lane, slot } = this.#actor;
    lane.outbox.flushIfOlder(performance.now(), OUTPUT_AGE_MAX_MS);
    if (this.#isInterrupted()) return undefined; // the turn's outcome is Cancelled already
    const parsed = parseEvent(event);
    if (!parsed.ok) throw this.#spoil(new AgentError("invalid_event", parsed.problem));
    if (!this.#hasConsumer && !lane.table.hasSubscribers(slot)) {
      this.#actor.nextSeq(); // nobody listens: numbered, never sent
      return undefined;
    }
    try {
      return this.#openEvents().push(parsed.event);
    } catch (flood) {
      throw this.#spoil(flood);
    }
  }

  /** Outside the run: the past of a given-up or cancelled run reaches nobody; otherwise the event waits for the next turn. */
  #emitLate(event: AgentEvent): void | Promise<void> {
    if (this.#isGivenUp || this.#state === "cancelled" || this.#isInterrupted()) return undefined;
    return this.#actor.emitOutside(event);
  }

  #openEvents(): TurnEvents {
    return (this.#events ??= new TurnEvents((event, bytes) => {
      const { lane, slot, generation } = this.#actor;
      lane.outbox.append([REPORTS.EVENT.op, slot, generation, this.ticket, this.#actor.nextSeq(), lane.now(), event], bytes);
    }));
  }

  #spoil(thrown: unknown): unknown {
    this.#spoiled ??= turnFailure(thrown);
    return thrown;
  }

  // ── what the lane drives ──

  /** Run the turn; `actor.turnEnded` is called exactly once, now or later. Never throws. */
  start(): void {
    const { lane, slot } = this.#actor;
    if (this.#isInterrupted()) {
      this.#finish({ ok: false, error: CANCELLED });
      return;
    }
    this.#step("stage");
    const refusal = this.#stage();
    if (refusal !== undefined) {
      this.#step("refuse");
      this.#finish({ ok: false, error: refusal });
      return;
    }
    this.#step("run");
    lane.table.setState(slot, STATE_RUNNING);
    for (const held of this.#actor.takeHeld()) {
      try {
        void this.#emit(held);
      } catch (error) {
        this.#spoil(error);
      }
    }
    this.#runAgent();
  }

  /** End the turn without running it: the session has no agent that could. */
  refuse(error: WireError): void {
    this.#step("stage");
    this.#step("refuse");
    this.#finish({ ok: false, error });
  }

  #stage(): WireError | undefined {
    const { agent } = this.#actor;
    const extras = this.#command[6];
    try {
      agent.setSkillReferences(extras?.skillReferences);
      agent.setFlowToolOverlay(extras?.overlay);
      return undefined;
    } catch (error) {
      return asKind(turnFailure(error), "tool_overlay");
    }
  }

  #runAgent(): void {
    const { lane, slot, agent } = this.#actor;
    const prompt = this.#command[4];
    lane.words.setRunning(slot);
    let returned: RunResult | Promise<RunResult>;
    try {
      returned = (this.#command[5] & TURN_FLAGS.hostMode) === 0 ? agent.runWithEvents(prompt, this) : agent.runHostMode(prompt, this);
    } catch (error) {
      this.#settle({ ok: false, error: turnFailure(error) });
      return;
    }
    if (!isThenable(returned)) {
      this.#settle(checkResult(returned));
      return;
    }
    lane.running.add(this);
    returned.then(
      (result) => this.#settle(checkResult(result)),
      (error: unknown) => this.#settle({ ok: false, error: turnFailure(error) }),
    );
    if (this.#isInterrupted()) this.noticeInterrupt();
  }

  noticeInterrupt(): void {
    if (this.#graceTimer !== undefined || !this.#isInterrupted()) return;
    const { lane } = this.#actor;
    this.#graceTimer = setTimeout(() => this.#giveUp(), lane.interruptGraceMs);
    this.#events?.abandon();
    this.#controller?.abort(new TurnInterrupted());
  }

  /** The consumer took events of this turn. */
  credit(count: number): void {
    this.#events?.credit(count);
  }

  /** The consumer is gone. */
  detach(): void {
    this.#hasConsumer = false;
    this.#events?.detach();
  }

  // ── the end ──

  /** The agent's run has settled, in whatever way; events that still wait go first. */
  #settle(outcome: Outcome): void {
    if (this.#isGivenUp) return;
    const { lane } = this.#actor;
    this.#step("settle");
    const waiting = this.#isInterrupted() ? undefined : this.#events?.drained();
    if (waiting === undefined) {
      this.#finish(outcome);
      return;
    }
    lane.running.add(this);
    const go = (): void => this.#finish(outcome);
    waiting.then(go, go);
  }

  #finish(outcome: Outcome): void {
    const { lane, slot } = this.#actor;
    lane.running.delete(this);
    clearTimeout(this.#graceTimer);
    const isCancelled = this.#state === "admitted" || seal(lane.table, slot, this.#word) === "interrupted";
    if (isCancelled) {
      this.#events?.abandon();
      this.#step("interrupt");
      this.#end(this.#cancel());
      return;
    }
    this.#step("seal");
    const final = this.#clearOverlay(this.#spoiled ? { ok: false, error: this.#spoiled } : outcome);
    this.#step(final.ok ? "complete" : "fail");
    this.#end(final);
  }

  /** The grace is over and the agent still runs. */
  #giveUp(): void {
    if (this.#state !== "running") return;
    this.#isGivenUp = true;
    this.#step("settle");
    this.#actor.lane.running.delete(this);
    this.#step("interrupt");
    const outcome = this.#cancel();
    void this.#actor.rebuild().then(() => this.#end(outcome));
  }

  #cancel(): Outcome {
    try {
      this.#actor.agent.cancel();
    } catch (error) {
      this.#actor.lane.reportStray(error);
    }
    return this.#clearOverlay({ ok: false, error: CANCELLED });
  }

  #clearOverlay(outcome: Outcome): Outcome {
    try {
      this.#actor.agent.setFlowToolOverlay(undefined);
      return outcome;
    } catch (error) {
      // Fails closed: a turn whose restriction may still stand did not succeed.
      return outcome.ok ? { ok: false, error: asKind(turnFailure(error), "tool_overlay") } : outcome;
    }
  }

  /** R1: summary, state, lock, report. */
  #end(outcome: Outcome): void {
    const { lane, slot, generation } = this.#actor;
    const published = this.#actor.publishSummary();
    const final: Outcome = published.ok || !outcome.ok ? outcome : { ok: false, error: published.error };
    const lastText = published.ok ? published.lastAssistantText : undefined;
    lane.table.setState(slot, STATE_IDLE);
    unlock(lane.table, slot, this.#word);
    if (final.ok) {
      const { text, turns, toolCalls, usage, sessionId: _, ...rest } = final.result;
      const extras = Object.keys(rest).length === 0 ? undefined : rest;
      const tokens =
        usage.cacheCreationTokens === undefined && usage.cacheReadTokens === undefined
          ? [usage.inputTokens, usage.outputTokens]
          : [usage.inputTokens, usage.outputTokens, usage.cacheCreationTokens, usage.cacheReadTokens];
      lane.outbox.append(
        [
          REPORTS.RESULT.op,
          slot,
          generation,
          this.ticket,
          text,
          turns,
          toolCalls,
          tokens,
          lastText === text ? undefined : (lastText ?? ""),
          extras,
        ],
        text.length,
      );
    } else {
      lane.outbox.append(
        [REPORTS.FAILED.op, slot, generation, this.ticket, final.error, published.ok ? (lastText ?? "") : undefined],
        lastText?.length ?? 0,
      );
    }
    this.#actor.turnEnded(this);
  }

  #step(event: TurnEvent): void {
    this.#state = advance(TURN_TRANSITIONS, this.#state, event);
  }
}

function isThenable(value: unknown): value is Promise<RunResult> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

function checkResult(result: unknown): Outcome {
  const parsed = RunResultSchema.safeParse(result);
  if (parsed.success) return { ok: true, result: parsed.data as RunResult };
  const issue = parsed.error.issues[0];
  const problem = `the agent's result is not one: ${issue?.path.map(String).join(".") || "it"}: ${issue?.message ?? "invalid"}`;
  return { ok: false, error: turnFailure(new AgentError("invalid_result", problem)) };
}

/** The failure under the kind that says where it happened, unless the agent named a kind itself. */
function asKind(error: WireError, kind: string): WireError {
  if (error.agentError === undefined || error.agentError.kind !== "internal_error") return error;
  return { ...error, agentError: { ...error.agentError, kind } };
}
