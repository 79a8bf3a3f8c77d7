/** A turn on main, from its admission until its caller is answered. */
import { ticketWord } from "../core/tickets.ts";
import { SessionError, fromWire } from "../protocol/errors.ts";
import type { EventEnvelope } from "../protocol/events.ts";
import type { FailedReport, ResultReport, TurnBoundary } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { StoredResult } from "../protocol/stored-session.ts";
import type { RunResult } from "../protocol/views.ts";
import { CreditReturn } from "../transport/credits.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { TurnConsumer } from "./turn-consumer.ts";
import type { WatchedTurn } from "./turn-observer.ts";

/** Who asked for a turn's interrupt first; found in the details of its error. */
export type CancelReason = "interrupt" | "timeout" | "signal" | "shutdown" | "superseded";

export class Turn {
  readonly ticket: number;
  readonly word: number;
  readonly entry: SessionEntry;
  /** The session's turn before this one, while its report is on its way: the lane frees the lock first. */
  older: Turn | undefined;
  readonly #consumer: TurnConsumer | undefined;
  #credits: CreditReturn | undefined;
  #resolve!: (result: RunResult) => void;
  #reject!: (error: unknown) => void;
  /** Settles with the turn, once. */
  readonly outcome: Promise<RunResult>;
  cancelReason: CancelReason | undefined;
  /** Told what the session was at the turn's end, before its caller is answered. */
  onBoundary: ((boundary: TurnBoundary) => void) | undefined;
  /** Timers and listeners to take away when the turn settles. */
  cleanups: (() => void)[] | undefined;
  /** Undefined: nobody watches it. */
  watch: WatchedTurn | undefined;

  constructor(ticket: number, entry: SessionEntry, consumer: TurnConsumer | undefined) {
    this.ticket = ticket;
    this.word = ticketWord(ticket);
    this.entry = entry;
    this.older = entry.turn;
    this.#consumer = consumer;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (consumer === undefined) return;
    consumer.attach({
      taken: () => this.#credit(),
      detach: () => entry.lane.link.send([COMMANDS.DETACH.op, entry.slot, entry.generation, this.word]),
    });
  }

  get hasConsumer(): boolean {
    return this.#consumer !== undefined;
  }

  onSettled(cleanup: () => void): void {
    (this.cleanups ??= []).push(cleanup);
  }

  /** An event of this turn. Without a consumer it came for subscribers, who are never waited for. */
  receive(envelope: EventEnvelope): void {
    if (this.#consumer) this.#consumer.push(envelope);
    else this.#credit();
  }

  complete(report: ResultReport): void {
    const extras = report[10];
    const result: RunResult = {
      text: report[4],
      sessionId: this.entry.id,
      turns: report[5],
      toolCalls: report[6],
      usage: extras?.usage ?? { inputTokens: report[7], outputTokens: report[8] },
    };
    if (extras?.rest !== undefined) Object.assign(result, extras.rest);
    if (extras?.boundary !== undefined) this.onBoundary?.(extras.boundary);
    if (this.#consumer === undefined && this.cleanups === undefined && this.watch === undefined) {
      this.#resolve(result);
      return;
    }
    if (this.watch !== undefined) this.watch.times = extras?.times;
    this.#settle(undefined, () => this.#resolve(result));
  }

  /** With what the store has of the turn: its lane is gone. */
  completeFrom(result: StoredResult): void {
    this.#settle(undefined, () => this.#resolve({ ...result, sessionId: this.entry.id }));
  }

  fail(report: FailedReport): void {
    if (this.watch !== undefined) this.watch.times = report[7];
    this.failWith(fromWire(report[4], this.entry.id));
  }

  failWith(error: SessionError): void {
    const shown = this.cancelReason === undefined || error.agentError?.kind !== "cancelled" ? error : withReason(error, this.cancelReason);
    this.#settle(shown, () => this.#reject(shown));
  }

  #settle(error: SessionError | undefined, answer: () => void): void {
    if (this.cleanups !== undefined) {
      for (const cleanup of this.cleanups) cleanup();
      this.cleanups = undefined;
    }
    const waiting = this.#consumer?.finish(error, error !== undefined && isAbrupt(error));
    const { watch } = this;
    const watched = (): void => {
      watch?.settled(this.entry.lane.number, error);
      answer();
    };
    const end = watch === undefined ? answer : watched;
    if (waiting === undefined) end();
    else void waiting.then(end);
  }

  #credit(): void {
    const { entry } = this;
    this.#credits ??= new CreditReturn((count) =>
      entry.lane.link.send([COMMANDS.CREDIT.op, entry.slot, entry.generation, this.word, count]),
    );
    this.#credits.taken();
  }
}

/** The caller is answered at once, whatever its event consumer does. */
function isAbrupt({ code, agentError }: SessionError): boolean {
  return code === "HOST_CLOSED" || agentError?.kind === "cancelled" || agentError?.kind === "lane_lost";
}

function withReason(error: SessionError, reason: CancelReason): SessionError {
  return new SessionError(error.code, error.message, {
    sessionId: error.sessionId,
    agentError: error.agentError,
    details: { ...error.details, reason },
  });
}
