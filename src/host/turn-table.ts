/**
 * The turns that are admitted and not yet answered: admission, start, interrupt, events, results.
 *
 *   D1. Between the look at the index and the compare-and-swap of admission nothing is awaited.
 *   D2. Every admitted turn settles once: by its report, or by the loss of its lane.
 */
import type { SlotTable } from "../core/slot-table.ts";
import { ticketWord, TicketSource } from "../core/tickets.ts";
import { requestBoundaryCancel, requestInterrupt, tryLock } from "../core/turn-lock.ts";
import type { SessionError } from "../protocol/errors.ts";
import { busy } from "../protocol/errors.ts";
import type { EventReport, FailedReport, ResultReport, TurnExtras } from "../protocol/frames.ts";
import { COMMANDS, TURN_FLAGS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { CallOptions } from "../protocol/requests.ts";
import type { RunResult } from "../protocol/views.ts";
import type { HostLane } from "./host-lane.ts";
import type { SessionChannel } from "./session-channel.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { CancelReason } from "./turn.ts";
import { Turn } from "./turn.ts";
import type { TurnConsumer } from "./turn-consumer.ts";
import { within } from "../transport/within.ts";

/** A turn as it goes to its lane. */
export interface TurnStart {
  readonly prompt: string;
  readonly hostMode?: boolean | undefined;
  readonly extras?: TurnExtras | undefined;
  readonly consumer?: TurnConsumer | undefined;
  /** Milliseconds. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onAdmitted?: CallOptions["onAdmitted"];
}

export class TurnTable {
  readonly #table: SlotTable;
  readonly #channelOf: (entry: SessionEntry) => SessionChannel;
  readonly #onInterrupted: (turn: Turn) => void;
  readonly #onSettled: (turn: Turn) => void;
  readonly #tickets = new TicketSource(Date.now());
  /** By ticket word: unique among so few, and a small integer, which a ticket is not. */
  readonly #turns = new Map<number, Turn>();
  readonly #unsent = new Map<SessionEntry, () => void>();
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
   * Take the session's turn lock.
   *
   * @returns the ticket
   * @throws SessionError SESSION_BUSY
   */
  admit(entry: SessionEntry): number {
    const ticket = this.#tickets.next();
    if (!tryLock(this.#table, entry.slot, ticketWord(ticket))) throw busy(entry.id);
    return ticket;
  }

  /**
   * Start an admitted turn, and tell `onAdmitted`: from within it the turn can be interrupted like any other. If it throws, the turn is
   * interrupted, and its caller gets what was thrown.
   *
   * @param sendLater - leave the current macrotask first, so that whoever waits for the registration can still subscribe
   * @returns what settles with the turn
   */
  start(entry: SessionEntry, ticket: number, start: TurnStart, sendLater = false): Promise<RunResult> {
    const turn = new Turn(ticket, entry, start.consumer);
    this.#turns.set(turn.word, turn);
    entry.turnWord = turn.word;
    if (sendLater) this.#sendLater(turn, start);
    else this.#send(turn, start);
    if (start.timeoutMs !== undefined) {
      const timer = setTimeout(() => this.interruptTurn(turn, "timeout"), start.timeoutMs);
      turn.onSettled(() => clearTimeout(timer));
    }
    const { signal } = start;
    if (signal !== undefined) {
      const onAbort = (): void => void this.interruptTurn(turn, "signal");
      if (signal.aborted) onAbort();
      else {
        signal.addEventListener("abort", onAbort, { once: true });
        turn.onSettled(() => signal.removeEventListener("abort", onAbort));
      }
    }
    return start.onAdmitted === undefined ? turn.outcome : this.#announce(turn, start.onAdmitted);
  }

  #announce(turn: Turn, onAdmitted: (ticket: number) => void): Promise<RunResult> {
    try {
      onAdmitted(turn.ticket);
      return turn.outcome;
    } catch (thrown) {
      this.interruptTurn(turn, "interrupt");
      const rethrow = (): never => {
        throw thrown;
      };
      return turn.outcome.then(rethrow, rethrow);
    }
  }

  #sendLater(turn: Turn, start: TurnStart): void {
    const send = (): void => {
      if (this.#unsent.delete(turn.entry) && this.#turns.has(turn.word)) this.#send(turn, start);
    };
    this.#unsent.set(turn.entry, send);
    setImmediate(send);
  }

  /** The session is about to leave: a first turn that has not been sent goes ahead of that. */
  sendNow(entry: SessionEntry): void {
    this.#unsent.get(entry)?.();
  }

  #send({ entry, ticket }: Turn, { prompt, hostMode, consumer, extras }: TurnStart): void {
    const flags = (hostMode ? TURN_FLAGS.hostMode : 0) + (consumer ? TURN_FLAGS.hasConsumer : 0);
    entry.lane.link.send([COMMANDS.TURN.op, entry.slot, entry.generation, ticket, prompt, flags, extras], prompt.length);
  }

  /**
   * Ask for the interrupt of the session's running turn.
   *
   * @returns false when none is running, or it is past the point of no return
   */
  interrupt(entry: SessionEntry, reason: CancelReason): boolean {
    const turn = this.#turns.get(entry.turnWord);
    return turn !== undefined && this.interruptTurn(turn, reason);
  }

  /** @returns the turn of that ticket, if it is one of the session's and not yet settled; also when the session was archived meanwhile */
  find(id: SessionId, ticket: number): Turn | undefined {
    const turn = this.#turns.get(ticketWord(ticket));
    return turn?.ticket === ticket && turn.entry.id === id ? turn : undefined;
  }

  /** As `interrupt`, for exactly that turn. */
  interruptTurn(turn: Turn, reason: CancelReason): boolean {
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
    for (const turn of this.#turns.values()) this.interruptTurn(turn, reason);
  }

  // ── reports ──

  event(report: EventReport): void {
    const turn = this.#turns.get(ticketWord(report[3]));
    if (turn === undefined) return;
    const channel = this.#channelOf(turn.entry);
    const envelope = channel.envelope(report);
    channel.publish(envelope);
    turn.receive(envelope);
  }

  result(report: ResultReport): void {
    const turn = this.#turns.get(ticketWord(report[3]));
    if (turn === undefined) return;
    turn.entry.lastAssistantText = (report[8] ?? report[4]) || undefined;
    this.#take(turn);
    turn.complete(report);
  }

  failure(report: FailedReport): void {
    const turn = this.#turns.get(ticketWord(report[3]));
    if (turn === undefined) return;
    if (report[5] !== undefined) turn.entry.lastAssistantText = report[5] || undefined;
    this.#take(turn);
    this.failed++;
    turn.fail(report);
  }

  /** The lane is gone: every turn it owes fails with what `error` says. */
  laneLost(lane: HostLane, error: (turn: Turn) => SessionError): void {
    for (const turn of this.#turns.values()) {
      if (turn.entry.lane !== lane) continue;
      this.#take(turn);
      this.failed++;
      turn.failWith(error(turn));
    }
  }

  #take(turn: Turn): void {
    this.#turns.delete(turn.word);
    this.settled++;
    if (turn.entry.turnWord === turn.word) turn.entry.turnWord = 0;
    this.#onSettled(turn);
  }

  /** Resolves when no turn is left, or after `deadlineMs`. @returns whether none is left */
  async drained(deadlineMs: number): Promise<boolean> {
    await within(Promise.allSettled([...this.#turns.values()].map(({ outcome }) => outcome)), deadlineMs);
    return this.#turns.size === 0;
  }
}
