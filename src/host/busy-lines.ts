/**
 * The lines of turns that wait because their sessions are busy.
 *
 *   Z1. A line exists while somebody waits in it, and a session that is live knows of its own: no other turn is admitted meanwhile.
 *   Z2. Somebody waits only behind something that says when it is over: a turn, a wake-up that has one, a create or a snapshot that
 *       replaces the session, the session's leaving. In that instant the first in line is admitted, or answered with what keeps it out, and
 *       then the next one is tried, until the session is busy again.
 *   Z3. Every caller is answered once: by his turn, by what kept it out, by the turn that took its place, by what his own callback threw, by
 *       his signal, or by the end of the host.
 *   Z4. At most LINE_MAX callers wait for a session, and WAITING_MAX for all. One more is refused before anything is changed.
 */
import { agentFailure, hostClosed } from "../protocol/errors.ts";
import type { SessionError } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { CallOptions } from "../protocol/requests.ts";
import type { RunResult } from "../protocol/views.ts";
import type { Place, WaitingMode } from "./busy-line.ts";
import { BusyLine } from "./busy-line.ts";
import { MergedTurn, goTogether } from "./merged-turn.ts";
import { overloaded } from "./overloaded.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { Door, TurnDoor } from "./turn-door.ts";
import type { TurnStart } from "./turn-table.ts";

/** Callers that may wait for one session. */
export const LINE_MAX = 64;
/** Callers that may wait for all sessions together. */
export const WAITING_MAX = 65_536;

/** How a turn waits. */
export interface Waiting {
  readonly mode: WaitingMode;
  readonly onQueued?: CallOptions["onQueued"];
}

interface Caller {
  readonly id: SessionId;
  readonly start: TurnStart;
  readonly onQueued: CallOptions["onQueued"];
  readonly resolve: (result: RunResult | Promise<RunResult>) => void;
  readonly reject: (error: unknown) => void;
  /** Undefined: it waits no more. */
  place: Place<Caller> | undefined;
  /** The position it was told last. */
  told: number;
  stopWatching: (() => void) | undefined;
}

interface Line {
  readonly line: BusyLine<Caller>;
  /** Its first are being let in now: whatever their callbacks call finds it so. */
  isMoving: boolean;
}

export interface BusyLinesParts {
  readonly door: TurnDoor;
  readonly maxPromptBytes: number;
  /** The session, if it is live. */
  find(id: SessionId): SessionEntry | undefined;
}

export class BusyLines {
  readonly #parts: BusyLinesParts;
  readonly #lines = new Map<SessionId, Line>();
  #waiting = 0;

  constructor(parts: BusyLinesParts) {
    this.#parts = parts;
  }

  /** Callers that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Sessions that are waited for. */
  get size(): number {
    return this.#lines.size;
  }

  /** Whether somebody waits for the session, be it live or not. */
  isWaitedFor(id: SessionId): boolean {
    return this.#lines.size > 0 && this.#lines.has(id);
  }

  /**
   * Start a turn: now, if the session is free and nobody waits for it, else when its turn has come.
   *
   * @returns what settles with the turn, or rejects when it does not come to that
   * @throws SessionError what a turn is refused with that does not wait, but for SESSION_BUSY; HOST_OVERLOADED busy_line (Z4)
   */
  start(id: SessionId, start: TurnStart, waiting: Waiting): Promise<RunResult> {
    if (!this.#lines.has(id)) {
      const admit = this.#parts.door.of(id);
      if (admit !== undefined) return admit(start);
    }
    this.#assertRoom(id, waiting.mode);
    return new Promise((resolve, reject) => {
      const { onQueued } = waiting;
      this.#join({ id, start, onQueued, resolve, reject, place: undefined, told: 0, stopWatching: undefined }, waiting.mode);
    });
  }

  /** Z4 */
  #assertRoom(id: SessionId, mode: WaitingMode): void {
    const line = this.#lines.get(id)?.line;
    if (line !== undefined && !line.grows(mode)) return;
    if (line !== undefined && line.size >= LINE_MAX) throw overloaded("busy_line", `${LINE_MAX} turns wait for session ${id}`, LINE_MAX);
    if (this.#waiting >= WAITING_MAX) throw overloaded("busy_line", `${WAITING_MAX} turns wait for their sessions`, WAITING_MAX);
  }

  #join(caller: Caller, mode: WaitingMode): void {
    const { id } = caller;
    const { line } = this.#lines.get(id) ?? this.#open(id);
    const { place, superseded } = line.put(mode, caller, (others) => goTogether(caller, others, this.#parts.maxPromptBytes));
    caller.place = place;
    this.#waiting++;
    watch(caller, (reason) => this.#leave(caller, reason));
    for (const other of superseded) {
      this.#taken(other);
      other.reject(takenPlace(id));
    }
    this.#tell(caller);
    this.#tellAll(id);
    if (caller.place !== undefined && (mode === "interrupt" || mode === "rollback")) this.#parts.door.interrupt(id, mode === "rollback");
  }

  #open(id: SessionId): Line {
    const opened: Line = { line: new BusyLine(), isMoving: false };
    this.#lines.set(id, opened);
    const entry = this.#parts.find(id);
    if (entry !== undefined) entry.hasWaiting = true;
    return opened;
  }

  /** Z1 */
  #close(id: SessionId): void {
    this.#lines.delete(id);
    const entry = this.#parts.find(id);
    if (entry !== undefined) entry.hasWaiting = false;
  }

  /** A session has become live: it knows of its line before anybody can reach it (Z1). */
  readonly live = (entry: SessionEntry): void => {
    if (this.isWaitedFor(entry.id)) entry.hasWaiting = true;
  };

  // ── the line moves ──

  /** Something that kept the session busy is over (Z2). Never throws. */
  readonly look = (id: SessionId): void => {
    const found = this.#lines.get(id);
    if (found === undefined || found.isMoving) return;
    found.isMoving = true;
    while (found.line.size > 0 && this.#letIn(id, found.line));
    found.isMoving = false;
    if (found.line.size === 0) this.#close(id);
    else this.#tellAll(id);
  };

  /** As `look`, when what happens to the session has happened: nobody's callback is called in the middle of it. */
  lookSoon(id: SessionId): void {
    if (this.isWaitedFor(id)) queueMicrotask(() => this.look(id));
  }

  /** @returns whether the first in line was answered or let in; false: the session is busy */
  #letIn(id: SessionId, line: BusyLine<Caller>): boolean {
    let admit: Door | undefined;
    try {
      admit = this.#parts.door.of(id);
    } catch (error) {
      for (const caller of this.#next(line)) caller.reject(error);
      return true;
    }
    if (admit === undefined) return false;
    const callers = this.#next(line);
    if (callers.length === 1) admitOne(admit, callers[0] as Caller);
    else admitAll(admit, new MergedTurn(id, callers));
    return true;
  }

  #next(line: BusyLine<Caller>): readonly Caller[] {
    const { callers } = line.shift() as Place<Caller>;
    for (const caller of callers) this.#taken(caller);
    return callers;
  }

  /** The caller has no place any more; somebody else answers it. */
  #taken(caller: Caller): void {
    caller.place = undefined;
    caller.stopWatching?.();
    this.#waiting--;
  }

  #leave(caller: Caller, error: unknown): void {
    const { id, place } = caller;
    const found = this.#lines.get(id);
    if (place === undefined || found === undefined) return;
    found.line.leave(place, caller);
    this.#taken(caller);
    caller.reject(error);
    if (found.line.size > 0) this.#tellAll(id);
    else if (!found.isMoving) this.#close(id);
  }

  // ── what callers are told ──

  /** Everybody whose position is not what he was told last. Callbacks may change the line meanwhile. */
  #tellAll(id: SessionId): void {
    for (const caller of this.#lines.get(id)?.line.callers ?? []) if (caller.onQueued !== undefined) this.#tell(caller);
  }

  #tell(caller: Caller): void {
    const { id, place, onQueued } = caller;
    if (place === undefined || onQueued === undefined) return;
    const position = (this.#lines.get(id) as Line).line.position(place);
    if (position === caller.told) return;
    caller.told = position;
    try {
      onQueued(position);
    } catch (thrown) {
      this.#leave(caller, thrown);
    }
  }

  // ── the end ──

  /** Nobody waits any more. */
  close(): void {
    const error = hostClosed();
    for (const [id, { line }] of this.#lines) {
      while (line.size > 0) for (const caller of this.#next(line)) caller.reject(error);
      this.#close(id);
    }
  }
}

/** What its onAdmitted throws is the caller's too. */
function admitOne(admit: Door, { start, resolve, reject }: Caller): void {
  try {
    resolve(admit(start));
  } catch (error) {
    reject(error);
  }
}

function admitAll(admit: Door, merged: MergedTurn): void {
  try {
    merged.follow(admit(merged.start));
  } catch (error) {
    merged.fail(error);
  }
}

/** Leave the line when the caller's signal is aborted. */
function watch(caller: Caller, leave: (reason: unknown) => void): void {
  const { signal } = caller.start;
  if (signal === undefined) return;
  const onAbort = (): void => leave(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  caller.stopWatching = () => signal.removeEventListener("abort", onAbort);
}

const takenPlace = (sessionId: SessionId): SessionError =>
  agentFailure("superseded", "another turn took its place before it began", { sessionId });
