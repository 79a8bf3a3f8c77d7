/**
 * Sessions of a host without a store on their way from one lane to another: the lane packs the session, another one builds its agent
 * from that, and only then does the first forget it. Until then the session is where it was.
 *
 *   M1. A session moves only between turns: its lock is taken for housekeeping first. One turn may wait for the end of the move, a second
 *       is SESSION_BUSY; whatever else needs the agent waits too.
 *   M2. It is in exactly one place: when it has been built there, one step on main hands on index, subscribers, capacity, staged context
 *       and the waiting turn. If that does not come about, in whatever way, it stays; if its own lane is lost meanwhile, it is lost with it.
 *   M3. A move ends within MOVE_MAX_MS.
 */
import { SystemContextLedger } from "../core/system-context.ts";
import type { SlotTable } from "../core/slot-table.ts";
import { tryHousekeeping } from "../core/turn-lock.ts";
import type { SessionError } from "../protocol/errors.ts";
import type { LaneCommand } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { PendingSystemContextAppend } from "../protocol/session-model.ts";
import type { RunResult } from "../protocol/views.ts";
import type { HostComms } from "./comms/host-comms.ts";
import type { HostLane } from "./host-lane.ts";
import type { Mover } from "./movable.ts";
import { isMovable } from "./movable.ts";
import type { SessionCreator } from "./session-creator.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { CancelReason } from "./turn.ts";
import type { Door, WaysIn } from "./turn-door.ts";
import type { TurnStart, TurnTable } from "./turn-table.ts";
import { Wakes } from "./wakes.ts";

/** Milliseconds after which a session that is not yet built in its new lane stays in the old one. */
const MOVE_MAX_MS = 10_000;

interface Move {
  readonly entry: SessionEntry;
  /** Resolves when the session is live again; rejects when it is lost. */
  readonly ended: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
  /** Being built in the other lane. */
  successor: SessionEntry | undefined;
}

export interface MoveParts {
  readonly table: SlotTable;
  readonly registry: SessionRegistry;
  readonly turns: TurnTable;
  readonly creator: SessionCreator;
  query(entry: SessionEntry, command: (request: number) => LaneCommand): Promise<unknown>;
  feedContext(entry: SessionEntry, append: PendingSystemContextAppend): void;
  onMoved(entry: SessionEntry, from: HostLane, reason: string): void;
  /** A turn that waited for the session's arrival was answered, and never began. */
  onTurnOver(id: SessionId): void;
  readonly comms: Pick<HostComms, "movedIn" | "live">;
}

export class Moves implements Mover, WaysIn {
  readonly #parts: MoveParts;
  readonly #moves = new Map<SessionId, Move>();
  /** Turns that wait for the end of a move. */
  readonly #waiting: Wakes;

  constructor(parts: MoveParts) {
    this.#parts = parts;
    const { turns, registry } = parts;
    const gone = (id: SessionId): SessionError => registry.lost.notFound(id);
    this.#waiting = new Wakes({
      observers: turns.observers,
      nextTicket: () => turns.nextTicket(),
      leaving: (id) => {
        const move = this.#moves.get(id);
        return move && { entry: move.entry, isActive: false, gone: move.ended };
      },
      assertFree: () => {},
      enter: () => {}, // it is let in already
      stored: (id) => Promise.reject(gone(id)), // what neither stays nor arrives is gone
      room: (id) => Promise.reject(gone(id)),
      open: (id) => Promise.reject(gone(id)),
      startTurn: (entry, ticket, start) => {
        turns.admitAs(entry, ticket);
        return turns.start(entry, ticket, start);
      },
      onTurnOver: (id) => parts.onTurnOver(id),
    });
  }

  get size(): number {
    return this.#moves.size;
  }

  /** Resolves when the session of that id is no longer on its way, whatever became of it; undefined: it is not. */
  pending(id: SessionId): Promise<void> | undefined {
    return this.#moves.get(id)?.ended.catch(() => {});
  }

  /** A turn waits for the end of the session's move. */
  isActive(id: SessionId): boolean {
    return this.#waiting.isActive(id);
  }

  /** Admit a turn of a session that is on its way. @throws SessionError SESSION_BUSY */
  startTurn(id: SessionId, start: TurnStart): Promise<RunResult> {
    return this.#waiting.startTurn(id, start);
  }

  /** @returns what admits a turn of a session that is on its way; undefined: one waits already. @throws SessionError SESSION_NOT_FOUND */
  door(id: SessionId): Door | undefined {
    const { registry } = this.#parts;
    if (registry.find(id) === undefined) throw registry.lost.notFound(id);
    return this.#waiting.door(id);
  }

  /** A session that leaves is gone. */
  leaving(): undefined {
    return undefined;
  }

  /** Interrupt the turn that waits. @param ticket - only this one. @returns whether there was one */
  interrupt(id: SessionId, reason: CancelReason, ticket?: number): boolean {
    return this.#waiting.interrupt(id, reason, ticket);
  }

  async move(entry: SessionEntry, to: HostLane, reason: string): Promise<boolean> {
    const { table, registry } = this.#parts;
    if (entry.lane === to || !to.isOpen || !isMovable(table, entry) || !tryHousekeeping(table, entry.slot)) return false;
    registry.move(entry);
    const move = this.#begin(entry);
    try {
      const packed = (await this.#parts.query(entry, (request) => [
        COMMANDS.MOVE_OUT.op,
        entry.slot,
        entry.generation,
        request,
      ])) as Uint8Array;
      if (!this.#isOn(move) || !to.isOpen) return false;
      this.#parts.onMoved(await this.#build(move, to, packed), entry.lane, reason);
      return true;
    } catch {
      return false; // it cannot be packed, or not be built there: M2
    } finally {
      this.#stay(move);
    }
  }

  #begin(entry: SessionEntry): Move {
    let resolve!: () => void;
    let reject!: (error: unknown) => void;
    const ended = new Promise<void>((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    ended.catch(() => {}); // nobody need wait for it
    const move: Move = { entry, ended, resolve, reject, timer: setTimeout(() => this.#stay(move), MOVE_MAX_MS), successor: undefined };
    this.#moves.set(entry.id, move);
    return move;
  }

  #isOn(move: Move): boolean {
    return this.#moves.get(move.entry.id) === move;
  }

  /** @returns the session where the other lane has built it. Rejects when it does not */
  async #build(move: Move, to: HostLane, packed: Uint8Array): Promise<SessionEntry> {
    const { entry } = move;
    const { creator, registry } = this.#parts;
    const pending = entry.ledger?.snapshot().pending ?? [];
    const { entry: successor, built } = creator.moveIn(entry, to, { packed, pending: [...pending] }, (arrived) => {
      arrived.createdAt = entry.createdAt;
      registry.replace(entry, arrived);
      this.#parts.comms.movedIn(entry, arrived);
      this.#handOnContext(entry, arrived, pending.length);
      this.#end(move, arrived);
    });
    // What its agent takes while it is built counts only if it arrives.
    if (pending.length > 0) successor.ledger = SystemContextLedger.from({ staged: pending.length, pending, seen: {} }, 0);
    move.successor = successor;
    await built;
    return successor;
  }

  /** @param given - how many appends the new lane was given as pending */
  #handOnContext(entry: SessionEntry, successor: SessionEntry, given: number): void {
    const { ledger } = entry;
    const left = successor.ledger?.snapshot().pending.length ?? 0;
    successor.ledger = ledger;
    if (ledger === undefined) return;
    ledger.taken(given - left);
    for (const append of ledger.snapshot().pending.slice(left)) this.#parts.feedContext(successor, append); // staged meanwhile
  }

  /** The session stays where it is, unless its move has ended (M2). */
  #stay(move: Move): void {
    if (!this.#isOn(move)) return;
    if (move.successor !== undefined) this.#parts.creator.builds.abandon(move.successor, new Error("given up"));
    this.#parts.registry.stay(move.entry);
    this.#end(move, move.entry);
  }

  /** @param live - the session as it is now. Whoever waits for it goes on, its turn before anybody else's. */
  #end(move: Move, live: SessionEntry): void {
    this.#forget(move);
    this.#waiting.stayed(live);
    this.#parts.comms.live(live);
    move.resolve();
  }

  #forget(move: Move): void {
    clearTimeout(move.timer);
    this.#moves.delete(move.entry.id);
  }

  /** Sessions of the lane that were on their way are lost with it, unless they had arrived. @param why - what their waiting turns are told */
  laneLost(lane: HostLane, why: (id: SessionId) => unknown): void {
    for (const move of this.#moves.values()) {
      if (move.entry.lane !== lane) continue;
      if (move.successor !== undefined) this.#parts.creator.builds.abandon(move.successor, new Error("given up"));
      this.#forget(move);
      move.reject(why(move.entry.id));
    }
  }

  /** No turn waits any more: whoever does is told. */
  close(): void {
    this.#waiting.close();
  }
}
