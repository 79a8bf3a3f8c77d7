/**
 * The turns that are admitted and not yet answered: admission, start, interrupt, events, results. They hang on their sessions' entries,
 * so that a report finds its turn by its slot.
 *
 *   D1. Between the look at the index and the compare-and-swap of admission nothing is awaited.
 *   D2. Every admitted turn settles once: by its report, or by the loss of its lane.
 */
import type { SlotTable } from "../core/slot-table.ts";
import { ticketWord, TicketSource } from "../core/tickets.ts";
import { requestBoundaryCancel, requestInterrupt, tryLock } from "../core/turn-lock.ts";
import type { SessionError } from "../protocol/errors.ts";
import { busy } from "../protocol/errors.ts";
import type { AgentEvent } from "../protocol/events.ts";
import type {
  DeltasReport,
  EventReport,
  FailedReport,
  GaveUpReport,
  ResultReport,
  TurnBoundary,
  TurnCommand,
  TurnExtras,
  TurnReport,
} from "../protocol/frames.ts";
import { COMMANDS, TURN_FLAGS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { CallOptions } from "../protocol/requests.ts";
import type { RunResult } from "../protocol/views.ts";
import { within } from "../transport/within.ts";
import type { HostLane } from "./host-lane.ts";
import type { SessionChannel } from "./session-channel.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { CancelReason } from "./turn.ts";
import { Turn } from "./turn.ts";
import type { TurnConsumer } from "./turn-consumer.ts";
import type { TurnTrace, WatchedTurn } from "./turn-observer.ts";
import { TurnObservers } from "./turn-observer.ts";

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
  readonly onBoundary?: ((boundary: TurnBoundary) => void) | undefined;
  /** Undefined: it is not traced. */
  readonly trace?: TurnTrace | undefined;
  /** Of a turn that had to wait for its session: it is watched already. */
  readonly watch?: WatchedTurn | undefined;
}

export class TurnTable {
  readonly #table: SlotTable;
  readonly #registry: SessionRegistry;
  readonly #onInterrupted: (turn: Turn) => void;
  readonly #tickets = new TicketSource(Date.now());
  readonly #unsent = new Map<SessionEntry, () => void>();
  /** Told of every session whose turn has settled. */
  onSettled: ((entry: SessionEntry) => void) | undefined;
  /** As well, behind that one. */
  afterSettled: ((entry: SessionEntry) => void) | undefined;
  /** Told last, of a session that turns may wait for. */
  onFree: ((id: SessionId) => void) | undefined;
  readonly observers = new TurnObservers();
  readonly deliveries = { events: 0, delivered: 0, lost: 0 };
  running = 0;
  settled = 0;
  failed = 0;

  /** @param onInterrupted - an interrupt was asked of a turn for the first time */
  constructor(table: SlotTable, registry: SessionRegistry, onInterrupted: (turn: Turn) => void) {
    this.#table = table;
    this.#registry = registry;
    this.#onInterrupted = onInterrupted;
  }

  /**
   * Take the session's turn lock. Turns that wait for it go first.
   *
   * @returns the ticket
   * @throws SessionError SESSION_BUSY
   */
  admit(entry: SessionEntry): number {
    const ticket = this.#tickets.next();
    if (entry.hasWaiting || !tryLock(this.#table, entry.slot, ticketWord(ticket))) throw busy(entry.id);
    return ticket;
  }

  /** A ticket for a turn of a session that sleeps: it takes the lock when the session is live. */
  nextTicket(): number {
    return this.#tickets.next();
  }

  /** Take the lock of a session that has just become live, for a ticket given before (K2: nobody else can have it). */
  admitAs(entry: SessionEntry, ticket: number): void {
    if (!tryLock(this.#table, entry.slot, ticketWord(ticket))) throw busy(entry.id);
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
    if (start.onBoundary !== undefined) turn.onBoundary = start.onBoundary;
    turn.watch = start.watch ?? this.observers.watch(entry.id, ticket, start.trace);
    entry.turn = turn;
    entry.lane.runningTurns++;
    this.running++;
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
      if (this.#unsent.delete(turn.entry) && this.#find(turn.entry, turn.word) === turn) this.#send(turn, start);
    };
    this.#unsent.set(turn.entry, send);
    setImmediate(send);
  }

  /** The session is about to leave: a first turn that has not been sent goes ahead of that. */
  sendNow(entry: SessionEntry): void {
    this.#unsent.get(entry)?.();
  }

  #send({ entry, ticket, watch }: Turn, { prompt, hostMode, consumer, extras: own }: TurnStart): void {
    const { slot, generation, lane, line } = entry;
    const extras = watch?.extras === undefined ? own : { ...own, ...watch.extras };
    let flags = (hostMode ? TURN_FLAGS.hostMode : 0) + (consumer ? TURN_FLAGS.hasConsumer : 0);
    if (entry.mustRenew) {
      flags += TURN_FLAGS.renew;
      entry.mustRenew = false;
    }
    const command: TurnCommand =
      extras !== undefined
        ? [COMMANDS.TURN.op, slot, generation, ticket, prompt, flags, extras]
        : flags !== 0
          ? [COMMANDS.TURN.op, slot, generation, ticket, prompt, flags]
          : [COMMANDS.TURN.op, slot, generation, ticket, prompt];
    if (line === undefined) lane.link.send(command, prompt.length);
    else line.push(command);
  }

  /**
   * Ask for the interrupt of the session's running turn.
   *
   * @returns false when none is running, or it is past the point of no return
   */
  interrupt({ turn }: SessionEntry, reason: CancelReason): boolean {
    return turn !== undefined && this.interruptTurn(turn, reason);
  }

  /** @returns the turn of that ticket, if it is one of the session's and not yet settled; also when the session was archived meanwhile */
  find(id: SessionId, ticket: number): Turn | undefined {
    const word = ticketWord(ticket);
    const live = this.#registry.find(id);
    let turn = live && this.#find(live, word);
    if (turn === undefined) {
      for (const entry of this.#registry.leaving) if (entry.id === id) turn ??= this.#find(entry, word);
    }
    return turn?.ticket === ticket ? turn : undefined;
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
    const isAsked = requestBoundaryCancel(this.#table, entry.slot);
    if (isAsked && entry.comms !== undefined) entry.lane.wake(); // its agent may wait for a message
    return isAsked;
  }

  interruptAll(reason: CancelReason): void {
    for (const turn of this.#open()) this.interruptTurn(turn, reason);
  }

  // ── reports ──

  event(report: EventReport): void {
    const turn = this.reported(report);
    if (turn !== undefined) this.#deliver(turn, this.#registry.channelOf(turn.entry), report[4], report[5], report[6]);
  }

  deltas(report: DeltasReport): void {
    const turn = this.reported(report);
    if (turn === undefined) return;
    const channel = this.#registry.channelOf(turn.entry);
    let seq = report[4];
    for (const delta of report[6]) this.#deliver(turn, channel, seq++, report[5], { type: "text_delta", delta });
  }

  #deliver(turn: Turn, channel: SessionChannel, seq: number, timestampMs: number, payload: AgentEvent): void {
    const envelope = channel.envelope(seq, timestampMs, payload);
    const { deliveries } = this;
    deliveries.events++;
    deliveries.delivered += channel.subscribers + (turn.hasConsumer ? 1 : 0);
    deliveries.lost += channel.publish(envelope);
    turn.receive(envelope);
  }

  result(report: ResultReport): void {
    const turn = this.reported(report);
    if (turn === undefined) return;
    turn.entry.lastAssistantText = (report[9] ?? report[4]) || undefined;
    this.#take(turn);
    turn.complete(report);
  }

  failure(report: FailedReport): void {
    const turn = this.reported(report);
    if (turn === undefined) return;
    if (report[5] !== undefined) turn.entry.lastAssistantText = report[5] || undefined;
    if (report[6] === true) this.#registry.dropped(turn.entry);
    this.#take(turn);
    this.failed++;
    turn.fail(report);
  }

  /** The lane is gone. @returns the turns it owes, which are the caller's to settle, now or later */
  laneLost(lane: HostLane): Turn[] {
    const lost = this.#open().filter(({ entry }) => entry.lane === lane);
    for (const turn of lost) this.#take(turn);
    return lost;
  }

  /** Settle a turn whose lane is gone. */
  fail(turn: Turn, error: SessionError): void {
    this.failed++;
    turn.failWith(error);
  }

  /** The session has left its lane unasked: turns that reached the lane too late fail. */
  sessionLost(entry: SessionEntry, error: SessionError): void {
    while (entry.turn !== undefined) {
      const { turn } = entry;
      this.#take(turn);
      this.failed++;
      turn.failWith(error);
    }
  }

  /** @returns the turn a report speaks of, while it is open */
  reported(report: TurnReport | GaveUpReport): Turn | undefined {
    const entry = this.#registry.at(report[1], report[2]);
    return entry && this.#find(entry, report[3]);
  }

  #find(entry: SessionEntry, word: number): Turn | undefined {
    let turn = entry.turn;
    while (turn !== undefined && turn.word !== word) turn = turn.older;
    return turn;
  }

  /** The turns that are open now, in any order; they may settle meanwhile. */
  #open(): Turn[] {
    const open: Turn[] = [];
    for (const { turn: latest } of this.#registry.all()) for (let turn = latest; turn !== undefined; turn = turn.older) open.push(turn);
    return open;
  }

  #take(turn: Turn): void {
    const { entry } = turn;
    // Reports of a session come in the order of its turns, so what settles is almost always the only one, else the oldest.
    if (entry.turn === turn) entry.turn = turn.older;
    else for (let newer = entry.turn; newer !== undefined; newer = newer.older) if (newer.older === turn) newer.older = turn.older;
    entry.lane.runningTurns--;
    this.running--;
    this.settled++;
    this.#registry.turnSettled(entry);
    this.onSettled?.(entry);
    this.afterSettled?.(entry);
    if (entry.hasWaiting || entry.state !== "live") this.onFree?.(entry.id);
  }

  /** Resolves when no turn is left, or after `deadlineMs`. @returns whether none is left */
  async drained(deadlineMs: number): Promise<boolean> {
    await within(Promise.allSettled(this.#open().map(({ outcome }) => outcome)), deadlineMs);
    return this.running === 0;
  }
}
