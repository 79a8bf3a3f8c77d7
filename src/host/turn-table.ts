/**
 * The turns that are admitted and not yet answered: admission, start, interrupt, events, results.
 *
 *   D1. Between the look at the index and the compare-and-swap of admission nothing is awaited.
 *   D2. Every admitted turn settles once: by its report, or by the loss of its lane.
 */
import type { SlotTable } from "../core/slot-table.ts";
import { ticketWord, TicketSource } from "../core/tickets.ts";
import { requestBoundaryCancel, requestInterrupt, tryLock, unlock } from "../core/turn-lock.ts";
import type { SessionError } from "../protocol/errors.ts";
import { busy } from "../protocol/errors.ts";
import type { EventReport, FailedReport, ResultReport, TurnExtras } from "../protocol/frames.ts";
import { COMMANDS, TURN_FLAGS } from "../protocol/frames.ts";
import type { CallOptions } from "../protocol/requests.ts";
import type { RunResult } from "../protocol/views.ts";
import type { HostLane } from "./host-lane.ts";
import type { SessionChannel } from "./session-channel.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { CancelReason } from "./turn.ts";
import { Turn } from "./turn.ts";
import type { TurnConsumer } from "./turn-consumer.ts";

/** A turn as it goes to its lane. */
export interface TurnStart {
  readonly prompt: string;
  readonly hostMode?: boolean | undefined;
  readonly extras?: TurnExtras | undefined;
  readonly consumer?: TurnConsumer | undefined;
  /** Milliseconds. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class TurnTable {
  readonly #table: SlotTable;
  readonly #channelOf: (entry: SessionEntry) => SessionChannel;
  readonly #onInterrupted: (turn: Turn) => void;
  readonly #onSettled: (turn: Turn) => void;
  readonly #tickets = new TicketSource(Date.now());
  /** By ticket word: unique among so few, and a small integer, which a ticket is not. */
  readonly #turns = new Map<number, Turn>();
  settled = 0;
  failed = 0;

  /**
   * @param channelOf - the channel of a session, for its events
   * @param onInterrupted - an interrupt was asked of a turn for the first time
   * @param onSettled - a turn's report was handled, before its caller is answered
   */
  constructor(
    table: SlotTable,
    channelOf: (entry: SessionEntry) => SessionChannel,
    onInterrupted: (turn: Turn) => void,
    onSettled: (turn: Turn) => void,
  ) {
    this.#table = table;
    this.#channelOf = channelOf;
    this.#onInterrupted = onInterrupted;
    this.#onSettled = onSettled;
  }

  get running(): number {
    return this.#turns.size;
  }

  /** Turns a lane owes. */
  runningIn(lane: HostLane): number {
    let count = 0;
    for (const turn of this.#turns.values()) if (turn.entry.lane === lane) count++;
    return count;
  }

  /**
   * Take the session's turn lock and tell `onAdmitted`.
   *
   * @returns the ticket
   * @throws SessionError SESSION_BUSY; what `onAdmitted` throws, with the lock free again
   */
  admit(entry: SessionEntry, onAdmitted: CallOptions["onAdmitted"]): number {
    const ticket = this.#tickets.next();
    const word = ticketWord(ticket);
    if (!tryLock(this.#table, entry.slot, word)) throw busy(entry.id);
    try {
      onAdmitted?.(ticket);
    } catch (error) {
      unlock(this.#table, entry.slot, word);
      throw error;
    }
    return ticket;
  }

  /**
   * Start an admitted turn.
   *
   * @param sendLater - leave the current macrotask first, so that whoever waits for the registration can still subscribe
   * @returns what settles with the turn
   */
  start(entry: SessionEntry, ticket: number, start: TurnStart, sendLater = false): Promise<RunResult> {
    const turn = new Turn(ticket, entry, start.consumer);
    this.#turns.set(turn.word, turn);
    entry.turnWord = turn.word;
    if (sendLater) setImmediate(() => this.#turns.has(turn.word) && this.#send(turn, start));
    else this.#send(turn, start);
    if (start.timeoutMs !== undefined) {
      const timer = setTimeout(() => this.#interrupt(turn, "timeout"), start.timeoutMs);
      turn.onSettled(() => clearTimeout(timer));
    }
    const { signal } = start;
    if (signal !== undefined) {
      const onAbort = (): void => void this.#interrupt(turn, "signal");
      if (signal.aborted) onAbort();
      else {
        signal.addEventListener("abort", onAbort, { once: true });
        turn.onSettled(() => signal.removeEventListener("abort", onAbort));
      }
    }
    return turn.outcome;
  }

  #send({ entry, ticket }: Turn, { prompt, hostMode, consumer, extras }: TurnStart): void {
    const flags = (hostMode ? TURN_FLAGS.hostMode : 0) + (consumer ? TURN_FLAGS.hasConsumer : 0);
    entry.lane.link.send([COMMANDS.TURN.op, entry.slot, entry.generation, ticket, prompt, flags, extras], prompt.length);
  }

  /**
   * Ask for the interrupt of the session's running turn.
   *
   * @param ticket - only that turn
   * @returns false when it, or none, is running, or it is past the point of no return
   */
  interrupt(entry: SessionEntry, reason: CancelReason, ticket?: number): boolean {
    const turn = this.#turns.get(entry.turnWord);
    if (turn === undefined || (ticket !== undefined && turn.ticket !== ticket)) return false;
    return this.#interrupt(turn, reason);
  }

  #interrupt(turn: Turn, reason: CancelReason): boolean {
    const { entry } = turn;
    if (requestInterrupt(this.#table, entry.slot, turn.word) === "not_running") return false;
    if (turn.cancelReason === undefined) {
      turn.cancelReason = reason;
      this.#onInterrupted(turn);
    }
    entry.lane.wake();
    return true;
  }

  /** @returns whether a turn runs that can be asked */
  cancelAfterBoundary(entry: SessionEntry): boolean {
    return requestBoundaryCancel(this.#table, entry.slot);
  }

  interruptAll(reason: CancelReason): void {
    for (const turn of this.#turns.values()) this.#interrupt(turn, reason);
  }

  // ── reports ──

  event(entry: SessionEntry, report: EventReport): void {
    const channel = this.#channelOf(entry);
    const envelope = channel.envelope(report);
    channel.publish(envelope);
    this.#turns.get(ticketWord(report[3]))?.receive(envelope);
  }

  result(entry: SessionEntry, report: ResultReport): void {
    entry.lastAssistantText = (report[8] ?? report[4]) || undefined;
    this.#take(ticketWord(report[3]))?.complete(report);
  }

  failure(entry: SessionEntry, report: FailedReport): void {
    if (report[5] !== undefined) entry.lastAssistantText = report[5] || undefined;
    this.failed++;
    this.#take(ticketWord(report[3]))?.fail(report);
  }

  /** The lane is gone: every turn it owes fails with what `error` says. */
  laneLost(lane: HostLane, error: (turn: Turn) => SessionError): void {
    for (const turn of this.#turns.values()) {
      if (turn.entry.lane !== lane) continue;
      this.failed++;
      this.#take(turn.word)?.failWith(error(turn));
    }
  }

  #take(word: number): Turn | undefined {
    const turn = this.#turns.get(word);
    if (turn === undefined) return undefined;
    this.#turns.delete(word);
    this.settled++;
    if (turn.entry.turnWord === word) turn.entry.turnWord = 0;
    this.#onSettled(turn);
    return turn;
  }

  /** Resolves when no turn is left, or after `deadlineMs`. @returns whether none is left */
  async drained(deadlineMs: number): Promise<boolean> {
    const outcomes = [...this.#turns.values()].map((turn) => turn.outcome.catch(() => {}));
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([Promise.all(outcomes), new Promise((resolve) => (timer = setTimeout(resolve, deadlineMs)))]);
    clearTimeout(timer);
    return this.#turns.size === 0;
  }
}
