/**
 * Makes sleeping sessions live again, for a turn or for something else that needs their agent.
 *
 *   W1. Of one session at most one wake-up is under way; whoever comes meanwhile joins it.
 *   W2. At most one turn waits for a wake-up: the second is SESSION_BUSY. It takes the session's lock before the session can be seen live.
 *   W3. A session that is still leaving its lane is woken when it has left; while its turn still runs, it is busy.
 *   W4. A turn that is interrupted while it waits never reaches the agent, and its caller is answered at once.
 *   W5. A session that was about to leave and stays, or moves from lane to lane, needs no waking: its waiting turn starts in it.
 *   W6. At most WAKES_MAX wake-ups are under way, and JOINED_MAX callers wait for each; beyond, and while the host is behind with its
 *       work, none begins.
 */
import type { Permit } from "../core/admission.ts";
import { SessionError, agentFailure, busy, hostClosed, notFound } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { SleepingSession } from "../protocol/stored-session.ts";
import type { RunResult } from "../protocol/views.ts";
import { overloaded } from "./overloaded.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { CancelReason } from "./turn.ts";
import type { Door } from "./turn-door.ts";
import type { WatchedTurn } from "./turn-observer.ts";
import type { TurnStart, TurnTable } from "./turn-table.ts";

/** Wake-ups under way at once; each takes a few kilobytes of main's, and a call of the store. */
export const WAKES_MAX = 16_384;
/** Callers that wait for the same wake-up for something else than a turn. */
export const JOINED_MAX = 1024;

/** A turn that waits for its session. */
interface WaitingTurn {
  readonly ticket: number;
  readonly start: TurnStart;
  readonly startedMs: number;
  readonly watch: WatchedTurn | undefined;
  readonly resolve: (result: Promise<RunResult>) => void;
  readonly reject: (error: unknown) => void;
  readonly cleanup: () => void;
}

interface Wake {
  readonly id: SessionId;
  /** It needed no waking: it never left its lane, or went straight to another. */
  stayed: SessionEntry | undefined;
  turn: WaitingTurn | undefined;
  joined: number;
  live: Promise<SessionEntry>;
}

/** What a wake-up needs of the host. */
export interface WakeParts {
  readonly observers: TurnTable["observers"];
  nextTicket(): number;
  /** @throws SessionError when the session must not be made live */
  assertFree(id: SessionId): void;
  /** The session as the store has it. Rejects with SessionError: there is none, it is archived, or the store fails */
  stored(id: SessionId): Promise<SleepingSession>;
  /** The session of that id which is leaving its lane. `gone` rejects with why it is not to be had any more. */
  leaving(id: SessionId): { readonly entry: SessionEntry; readonly isActive: boolean; readonly gone: Promise<void> } | undefined;
  room(id: SessionId): Permit | Promise<Permit>;
  /** A wake-up begins. @throws SessionError HOST_OVERLOADED when the host is behind with its work */
  enter(): void;
  /** Have a lane open the session. `onLive` is called when it is in the index, before anybody else can reach it. Rejects when it cannot be made live */
  open(id: SessionId, stored: SleepingSession, permit: Permit, onLive: (entry: SessionEntry) => void): Promise<SessionEntry>;
  /** Start a turn whose ticket was given before. */
  startTurn(entry: SessionEntry, ticket: number, start: TurnStart): Promise<RunResult>;
  /** The turn that waited for the session was answered, and never began. */
  onTurnOver(id: SessionId): void;
}

export class Wakes {
  readonly #parts: WakeParts;
  readonly #wakes = new Map<SessionId, Wake>();
  #isClosed = false;

  constructor(parts: WakeParts) {
    this.#parts = parts;
  }

  /** Wake-ups under way. */
  get size(): number {
    return this.#wakes.size;
  }

  /** A turn of the session waits for its wake-up. */
  isActive(id: SessionId): boolean {
    return this.#wakes.get(id)?.turn !== undefined;
  }

  /** @returns the session when it is live; undefined when no wake-up is under way */
  pending(id: SessionId): Promise<SessionEntry> | undefined {
    return this.#wakes.get(id)?.live;
  }

  /** Make the session live. Rejects with what keeps it from that. @throws SessionError SESSION_QUARANTINED, HOST_OVERLOADED (W6) */
  wake(id: SessionId): Promise<SessionEntry> {
    const wake = this.#wakes.get(id) ?? this.#begin(id);
    if (wake.joined >= JOINED_MAX) throw overloaded("queries", `${JOINED_MAX} callers wait for session ${id} to wake`, JOINED_MAX);
    wake.joined++;
    return wake.live;
  }

  /** Admit a turn and start it when the session is live. @throws SessionError SESSION_BUSY, SESSION_QUARANTINED, HOST_OVERLOADED; before anything is changed */
  startTurn(id: SessionId, start: TurnStart): Promise<RunResult> {
    if (this.#isBusy(id)) throw busy(id);
    const wake = this.#wakes.get(id) ?? this.#begin(id);
    const ticket = this.#parts.nextTicket();
    const watch = this.#parts.observers.watch(id, ticket, start.trace);
    const outcome = new Promise<RunResult>((resolve, reject) => {
      wake.turn = { ticket, start, startedMs: performance.now(), watch, resolve, reject, cleanup: this.#endWith(id, ticket, start) };
    });
    if (start.onAdmitted !== undefined) {
      try {
        start.onAdmitted(ticket);
      } catch (thrown) {
        this.interrupt(id, "interrupt", ticket);
        outcome.catch(() => {}); // its caller gets what was thrown
        throw thrown;
      }
    }
    return outcome;
  }

  /** @returns what admits a turn now, as `startTurn`; undefined: that would be SESSION_BUSY. @throws SessionError SESSION_NOT_FOUND */
  door(id: SessionId): Door | undefined {
    return this.#isBusy(id) ? undefined : (start) => this.startTurn(id, start);
  }

  /** W2, W3. @throws SessionError SESSION_NOT_FOUND */
  #isBusy(id: SessionId): boolean {
    const leaving = this.#parts.leaving(id);
    if (leaving?.entry.isArchived === true) throw notFound(id);
    return this.isActive(id) || leaving?.isActive === true;
  }

  /** Timeout and signal end the wait too. @returns what takes them away */
  #endWith(id: SessionId, ticket: number, { timeoutMs, signal }: TurnStart): () => void {
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.interrupt(id, "timeout", ticket), timeoutMs);
    const onAbort = (): void => void this.interrupt(id, "signal", ticket);
    signal?.addEventListener("abort", onAbort, { once: true });
    return () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
  }

  /** Interrupt the turn that waits (W4). @param ticket - only this one. @returns whether there was one */
  interrupt(id: SessionId, reason: CancelReason, ticket?: number): boolean {
    const wake = this.#wakes.get(id);
    if (wake?.turn === undefined || (ticket !== undefined && wake.turn.ticket !== ticket)) return false;
    this.#fail(wake, agentFailure("cancelled", "Run was cancelled", { sessionId: id, details: { reason } }));
    return true;
  }

  /** No wake-up leads to a turn any more: whoever waits is told. */
  close(): void {
    this.#isClosed = true;
    for (const wake of this.#wakes.values()) this.#fail(wake, hostClosed());
  }

  #fail(wake: Wake, error: unknown): void {
    const turn = this.#settle(wake, wake.turn?.ticket);
    if (turn === undefined) return;
    void turn.start.consumer?.finish(error, true); // no event came: there is nothing to wait for
    turn.watch?.settled(undefined, error instanceof SessionError ? error : agentFailure("internal_error", String(error)));
    turn.reject(error);
    this.#parts.onTurnOver(wake.id);
  }

  /** Take the turn of that ticket off the wake-up, if it is still there. */
  #settle(wake: Wake, ticket: number | undefined): WaitingTurn | undefined {
    const { turn } = wake;
    if (turn === undefined || turn.ticket !== ticket) return undefined;
    wake.turn = undefined;
    turn.cleanup();
    return turn;
  }

  /** @throws SessionError SESSION_QUARANTINED, HOST_OVERLOADED (W6) */
  #begin(id: SessionId): Wake {
    this.#parts.assertFree(id);
    if (this.#wakes.size >= WAKES_MAX) throw overloaded("wakes", `${WAKES_MAX} sessions are being woken`, WAKES_MAX);
    this.#parts.enter();
    const wake: Wake = { id, stayed: undefined, turn: undefined, joined: 0, live: undefined as never };
    this.#wakes.set(id, wake);
    wake.live = this.#makeLive(wake);
    wake.live.catch((error: unknown) => this.#fail(wake, error)); // whoever else joined is told by the promise
    return wake;
  }

  async #makeLive(wake: Wake): Promise<SessionEntry> {
    const { id } = wake;
    try {
      await this.#parts.leaving(id)?.gone;
      if (wake.stayed !== undefined) return wake.stayed;
      const stored = await this.#parts.stored(id);
      this.#parts.assertFree(id); // it may have left a lane by bringing it down
      const permit = await this.#parts.room(id);
      if (this.#isClosed) {
        permit.release();
        throw hostClosed();
      }
      return await this.#parts.open(id, stored, permit, (entry) => this.#onLive(wake, entry));
    } catch (error) {
      this.#forget(wake);
      throw error;
    }
  }

  /** A session that was leaving is live all the same. Called before anybody else can reach it (W2). */
  stayed(entry: SessionEntry): void {
    const wake = this.#wakes.get(entry.id);
    if (wake === undefined) return;
    wake.stayed = entry;
    this.#onLive(wake, entry);
  }

  #forget(wake: Wake): void {
    if (this.#wakes.get(wake.id) === wake) this.#wakes.delete(wake.id);
  }

  /** The session is live: its waiting turn takes the lock now (W2). */
  #onLive(wake: Wake, entry: SessionEntry): void {
    this.#forget(wake);
    const turn = this.#settle(wake, wake.turn?.ticket);
    if (turn === undefined) return;
    const { ticket, startedMs, watch, resolve } = turn;
    const { onAdmitted: _told, timeoutMs, ...start } = turn.start;
    const leftMs = timeoutMs === undefined ? undefined : Math.max(1, timeoutMs - (performance.now() - startedMs));
    resolve(this.#parts.startTurn(entry, ticket, { ...start, timeoutMs: leftMs, watch }));
  }
}
