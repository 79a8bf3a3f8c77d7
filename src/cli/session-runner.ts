/**
 * Runs the turn of a line in the session it names.
 *
 *   R1. A session is created by the first line that names it, and lives until the host is shut down. When it cannot be created that
 *       line fails, and the next one that names it tries again.
 *   R2. What a line leads to is decided when its turn comes, never when it is read: results do not depend on how far reading is ahead.
 *
 * Owns the names of sessions that were created: as many as the host lets live, so they are bounded by its maxSessions.
 */
import type { SessionService } from "../host/session-service.ts";
import { hasErrorCode } from "../protocol/errors.ts";
import type { EventEnvelope } from "../protocol/events.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { EventRecord, LineResult, TurnOutcome } from "./results.ts";
import { badLine, verdict } from "./results.ts";
import type { TurnLine } from "./turn-line.ts";

/** A turn and the number of its line. */
export interface NumberedTurn {
  readonly line: number;
  readonly turn: TurnLine;
}

export interface SessionRunnerOptions {
  readonly service: Pick<SessionService, "createSession" | "startTurn">;
  /** Milliseconds, for turns without their own. */
  readonly timeoutMs: number | undefined;
  /** Takes the turns' events; what it returns holds the agent back. Undefined: nobody wants them. */
  readonly onEvent: ((record: EventRecord) => void | Promise<void>) | undefined;
  /** Interrupts what runs. */
  readonly signal: AbortSignal;
}

interface NamedSession {
  readonly id: SessionId;
  /** That created it. */
  readonly line: number;
  readonly labels: Readonly<Record<string, string>>;
  turns: number;
}

export class SessionRunner {
  readonly #options: SessionRunnerOptions;
  readonly #sessions = new Map<string, NamedSession>();

  constructor(options: SessionRunnerOptions) {
    this.#options = options;
  }

  /** Sessions created. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Run one turn; the caller sees to it that there is one at a time of each session. Rejects for bugs only. */
  async run({ line, turn }: NumberedTurn): Promise<LineResult> {
    const known = this.#sessions.get(turn.session);
    if (known !== undefined && turn.labels !== undefined && !isSame(turn.labels, known.labels)) {
      return badLine(line, `labels: are not those of the session's first line, which is line ${known.line}`);
    }
    const number = (known?.turns ?? 0) + 1;
    const startedMs = performance.now();
    const outcome = await this.#outcome(known, number, line, turn);
    const durationMs = Math.round((performance.now() - startedMs) * 1000) / 1000;
    const status = outcome.isInterrupted ? "interrupted" : verdict(outcome.shown, turn.expect);
    return {
      status,
      record: {
        session: turn.session,
        turn: number,
        line,
        ok: status === "ok",
        ...outcome.shown,
        durationMs,
        ...(status !== "ok" && turn.expect !== undefined && { expected: turn.expect }),
      },
    };
  }

  async #outcome(
    known: NamedSession | undefined,
    number: number,
    line: number,
    turn: TurnLine,
  ): Promise<{ shown: TurnOutcome; isInterrupted?: boolean }> {
    const { service, signal, onEvent, timeoutMs } = this.#options;
    const { session: name, prompt } = turn;
    try {
      const session = known ?? (await this.#create(line, turn));
      session.turns = number;
      const request = {
        prompt,
        timeoutMs: turn.timeoutMs ?? timeoutMs,
        onEvent: onEvent && ((event: EventEnvelope) => onEvent({ event, session: name, turn: number })),
      };
      const { text, usage } = await service.startTurn(session.id, request, { signal });
      return { shown: { text, usage } };
    } catch (error) {
      if (!hasErrorCode(error)) throw error;
      const { code, message, details } = error;
      const isInterrupted =
        signal.aborted && (error === signal.reason || (details as { reason?: unknown } | undefined)?.reason === "signal");
      return { shown: { error: { code, message } }, isInterrupted };
    }
  }

  async #create(line: number, { session: name, labels = {} }: TurnLine): Promise<NamedSession> {
    const { service, signal } = this.#options;
    // Deferred, because only a started turn can have a timeout.
    const { sessionId } = await service.createSession({ prompt: "", initialTurn: "defer", labels }, { signal });
    const session = { id: sessionId, line, labels, turns: 0 };
    this.#sessions.set(name, session);
    return session;
  }
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
