/**
 * Runs the turn of a line in the session it names.
 *
 *   R1. A session is created by the first line that names it, and lives until the host is shut down. When it cannot be created the lines
 *       that waited for it fail, and the next one that names it tries again.
 *   R2. What a line leads to is decided when its turn comes, never when it is read: results do not depend on how far reading is ahead,
 *       unless a line asks for it by its onBusy.
 *   R3. A host that is behind with its work, or whose lanes wait for their restart, is asked again, as often as it takes: no line fails for
 *       that.
 *
 * Owns the names of sessions that were created or found: as many as the host lets live, so they are bounded by its maxSessions. With a
 * store they are as many as the run names.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type { SessionService } from "../host/session-service.ts";
import { SessionError, hasErrorCode } from "../protocol/errors.ts";
import type { EventEnvelope } from "../protocol/events.ts";
import type { SessionId } from "../protocol/ids.ts";
import { UsageError } from "./command-io.ts";
import type { EarlierResults } from "./earlier-results.ts";
import type { EventRecord, LineResult, TurnOutcome } from "./results.ts";
import { badLine, verdict } from "./results.ts";
import type { StoredNames } from "./stored-names.ts";
import type { TurnLine } from "./turn-line.ts";

/** A turn, the number of its line, and the line's id. */
export interface NumberedTurn {
  readonly line: number;
  readonly id?: string | undefined;
  readonly turn: TurnLine;
}

export interface SessionRunnerOptions {
  readonly service: Pick<SessionService, "createSession" | "startTurn">;
  /** Milliseconds, for turns without their own. */
  readonly timeoutMs: number | undefined;
  /** Takes the turns' events; what it returns holds the agent back. Undefined: nobody wants them. */
  readonly onEvent: ((record: EventRecord) => void | Promise<void>) | undefined;
  /** Where sessions outlive the run: the names they have there. */
  readonly names?: StoredNames | undefined;
  /** What earlier runs have results of. */
  readonly earlier: Pick<EarlierResults, "turns" | "kept">;
  /** Interrupts what runs. */
  readonly signal: AbortSignal;
}

interface NamedSession {
  readonly id: SessionId;
  /** That created it; undefined: it outlives the run, and an earlier one may have. */
  readonly line: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  turns: number;
}

export class SessionRunner {
  readonly #options: SessionRunnerOptions;
  readonly #sessions = new Map<string, NamedSession>();
  /** By name: being created or looked for. */
  readonly #making = new Map<string, Promise<NamedSession>>();

  constructor(options: SessionRunnerOptions) {
    this.#options = options;
  }

  /** Sessions created or found. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /**
   * Run one turn. The caller sees to it that there is one at a time of each session, but for those that say what is to be done when it is
   * busy: of two that were begun the first is started first. Rejects for bugs, and with UsageError.
   */
  async run(numbered: NumberedTurn): Promise<LineResult> {
    const { line, id, turn } = numbered;
    const startedMs = performance.now();
    let number = (this.#sessions.get(turn.session)?.turns ?? this.#options.earlier.turns.get(turn.session) ?? 0) + 1;
    let shown: TurnOutcome;
    let isInterrupted = false;
    let isUndecided = false;
    try {
      const session = await this.#session(line, turn);
      const { labels } = turn;
      if (labels !== undefined && !isSame(labels, session.labels)) return badLine(line, labelsProblem(session));
      number = ++session.turns;
      shown = await this.#outcome(session, numbered);
    } catch (error) {
      if (!hasErrorCode(error)) throw error;
      const { code, message } = error;
      shown = { error: { code, message } };
      isInterrupted = this.#isOurs(error);
      isUndecided = isInterrupted || code === "HOST_CLOSED" || (error instanceof SessionError && error.disposition === "retry");
    }
    const durationMs = Math.round((performance.now() - startedMs) * 1000) / 1000;
    const status = isInterrupted ? "interrupted" : verdict(shown, turn.expect);
    return {
      status,
      record: {
        session: turn.session,
        ...(id !== undefined && { id }),
        turn: number,
        line,
        ok: status === "ok",
        ...shown,
        durationMs,
        ...(status !== "ok" && turn.expect !== undefined && { expected: turn.expect }),
      },
      ...(isUndecided && status !== "ok" && { isUndecided }),
    };
  }

  async #outcome(session: NamedSession, { id: lineId, turn }: NumberedTurn): Promise<TurnOutcome> {
    const { service, signal, onEvent, timeoutMs, names } = this.#options;
    const number = session.turns;
    const request = {
      prompt: turn.prompt,
      timeoutMs: turn.timeoutMs ?? timeoutMs,
      ...(turn.onBusy !== undefined && { onBusy: turn.onBusy }),
      onEvent: onEvent && ((event: EventEnvelope) => onEvent({ event, session: turn.session, turn: number })),
      // The output is the record of what is done; it may lack the session's last turn.
      ...(names && { idempotencyKey: lineId, idempotencyScope: "last_turn" as const }),
    };
    const { text, usage } = await this.#untilLetIn(() => service.startTurn(session.id, request, { signal }));
    return { text, usage };
  }

  /** R3. Rejects as `call`, or with the signal's reason */
  async #untilLetIn<T>(call: () => Promise<T>): Promise<T> {
    const { signal } = this.#options;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        const waitMs = retryAfterMs(error);
        if (waitMs === undefined) throw error;
        await sleep(waitMs, undefined, { signal }).catch(() => {}); // it rejects for the signal only
        if (signal.aborted) throw signal.reason;
      }
    }
  }

  /** The turn was cut off by the signal of the run. */
  #isOurs(error: { readonly details?: unknown }): boolean {
    const { signal } = this.#options;
    return signal.aborted && (error === signal.reason || (error.details as { reason?: unknown } | undefined)?.reason === "signal");
  }

  /** The session a line names: known, or of an earlier run, or created. Rejects with what keeps it from that */
  async #session(line: number, turn: TurnLine): Promise<NamedSession> {
    const { session: name } = turn;
    const known = this.#sessions.get(name);
    let making = this.#making.get(name);
    // Until all that waited for it have gone on, or one that comes late would overtake them.
    if (making === undefined && known !== undefined) return known;
    making ??= this.#make(line, turn);
    this.#making.set(name, making);
    try {
      return await making;
    } finally {
      this.#making.delete(name);
    }
  }

  async #make(line: number, { session: name, labels = {} }: TurnLine): Promise<NamedSession> {
    const { service, signal, names, earlier } = this.#options;
    const turns = earlier.turns.get(name) ?? 0;
    const found = await names?.find(name);
    let session: NamedSession;
    if (found !== undefined) session = { ...found, line: undefined, turns };
    else if (earlier.kept.has(name)) {
      throw new UsageError(`option '--store <dir>': session ${name} has results in the output and is not in the store, or archived there`);
    } else {
      // Deferred, because only a started turn can have a timeout.
      const request = { prompt: "", initialTurn: "defer" as const, labels: names === undefined ? labels : names.labelled(name, labels) };
      const { sessionId } = await this.#untilLetIn(() => service.createSession(request, { signal }));
      // What is said of a line must not depend on which run created its session.
      session = { id: sessionId, line: names === undefined ? line : undefined, labels, turns };
    }
    this.#sessions.set(name, session);
    return session;
  }
}

/** Why a host is asked again (R3). */
const PASSING: readonly unknown[] = ["lane_behind", "main_behind", "no_lane"];

/** @returns when to ask again; undefined: it is something else that is wrong */
function retryAfterMs(error: unknown): number | undefined {
  if (!hasErrorCode(error) || error.code !== "HOST_OVERLOADED") return undefined;
  const { reason, retryAfterMs: waitMs } = error.details as { reason?: unknown; retryAfterMs?: unknown };
  return PASSING.includes(reason) && typeof waitMs === "number" ? waitMs : undefined;
}

function labelsProblem({ line }: NamedSession): string {
  return line === undefined
    ? "labels: are not those the session has"
    : `labels: are not those of the session's first line, which is line ${line}`;
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
