/**
 * What main asks of sessions in their lanes: exports, forks, history pages, context writes, the tail of the events, going to sleep.
 *
 *   M1. Of one session no more commands are on their way to its mailbox than that takes (MAILBOX_MAX); the others wait here, and so does
 *       whatever comes behind them: commands reach the lane in the order they were given.
 *   M2. A session has at most QUERIES_MAX queries waiting, all together REQUESTS_MAX; the next is refused.
 *   M3. Every query settles once: by its reply, or by its session's leaving.
 */
import { MAILBOX_MAX, Mailbox } from "../core/mailbox.ts";
import type { SessionError } from "../protocol/errors.ts";
import { fromWire } from "../protocol/errors.ts";
import type { LaneCommand, ReplyErrorReport, ReplyReport } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import { RequestTable } from "../transport/request-table.ts";
import type { LoadGate } from "./load-gate.ts";
import { overloaded } from "./overloaded.ts";
import type { SessionEntry } from "./session-entry.ts";

/** Exports, forks, history pages and context writes a session may have waiting. */
export const QUERIES_MAX = 1024;
/** Queries of all sessions together. */
export const REQUESTS_MAX = 65_536;
/** Of a session's mailbox two places are for turns: one that runs, and the next, admitted before the report of the first was read. */
const ASKED_MAX = MAILBOX_MAX - 2;

export class SessionQueries {
  readonly #gate: LoadGate;
  readonly #requests = new RequestTable<SessionEntry>();

  constructor(gate: LoadGate) {
    this.#gate = gate;
  }

  /** New work for the session's agent, behind what is queued for it. Waits for a running turn. @throws SessionError HOST_OVERLOADED */
  async ask<T>(entry: SessionEntry, command: (request: number) => LaneCommand): Promise<T> {
    assertPlace(entry);
    if (this.#requests.size >= REQUESTS_MAX) throw overloaded("requests", `${REQUESTS_MAX} queries are waiting`, REQUESTS_MAX);
    this.#gate.enter(entry.lane);
    entry.queries++;
    try {
      const { id, reply } = this.#requests.open<T>(entry);
      entry.line ??= new Mailbox(Infinity); // M2 bounds it
      entry.line.push(command(id));
      this.#send(entry);
      return await reply;
    } finally {
      entry.queries--;
      if (entry.state !== "gone") {
        entry.asked--;
        this.#send(entry);
      }
    }
  }

  /**
   * What the lane answers without its mailbox, and what no load keeps it from.
   *
   * @param maxMs - milliseconds; then nobody waits any more
   * @throws SessionError HOST_OVERLOADED queries, or answer when it took too long
   */
  async serve<T>(entry: SessionEntry, command: (request: number) => LaneCommand, maxMs?: number): Promise<T> {
    assertPlace(entry);
    entry.queries++;
    let timer: NodeJS.Timeout | undefined;
    try {
      const { id, reply } = this.#requests.open<T>(entry);
      entry.lane.link.sendSized(command(id));
      const tooLate = (): void =>
        this.#requests.reject(id, () =>
          overloaded("answer", `the lane of session ${entry.id} did not answer within ${maxMs} ms`, maxMs ?? 0),
        );
      if (maxMs !== undefined) timer = setTimeout(tooLate, maxMs);
      return await reply;
    } finally {
      clearTimeout(timer);
      entry.queries--;
    }
  }

  /** Send of what waits for the session as much as its mailbox takes (M1). */
  #send(entry: SessionEntry): void {
    const { line } = entry;
    if (line === undefined) return;
    while (entry.asked < ASKED_MAX) {
      const command = line.shift();
      if (command === undefined) break;
      if (isAsked(command)) entry.asked++;
      entry.lane.link.sendSized(command);
    }
    if (line.size === 0) entry.line = undefined;
  }

  replied([, id, value]: ReplyReport): void {
    this.#requests.resolve(id, value);
  }

  failed([, id, error]: ReplyErrorReport): void {
    this.#requests.reject(id, (owner) => fromWire(error, owner.id));
  }

  /** The session has left, or its lane is lost: nothing it was asked is answered any more (M3). */
  gone(entry: SessionEntry, why: (entry: SessionEntry) => SessionError): void {
    entry.line = undefined;
    if (entry.queries > 0) this.#requests.rejectAll(entry, why);
  }

  /** Resolves when every query that waits now has settled. */
  settled(): Promise<void> {
    return this.#requests.settled();
  }
}

/** M2. @throws SessionError HOST_OVERLOADED */
function assertPlace({ id, queries }: SessionEntry): void {
  if (queries >= QUERIES_MAX) throw overloaded("queries", `session ${id} has ${QUERIES_MAX} queries waiting`, QUERIES_MAX);
}

/** Whether it is answered by a reply; a turn and a goodbye are not. */
function isAsked([op]: LaneCommand): boolean {
  return op !== COMMANDS.TURN.op && op !== COMMANDS.FORGET.op;
}
