/**
 * A simple model of a host, run beside the real one: every call is made on both, and what the host answers must be what the model
 * allows. Calls overlap freely; what the model knows exactly (admission, the index) is compared exactly, what depends on a lane's
 * timing (whether a turn has passed its seal) only as far as it can be known.
 */
import { expect } from "vitest";

import type { EphemeralSessionService, EventEnvelope, SessionError } from "../../dist/src/index.js";

interface ModelTurn {
  isSettled: boolean;
  /** An interrupt of this turn resolved, so it must end as cancelled. */
  mustCancel: boolean;
}

interface ModelSession {
  id: string;
  isLive: boolean;
  turns: ModelTurn[];
  /** seq of the last event any consumer saw. */
  lastSeq: number;
}

export interface TurnPlan {
  events: number;
  ms: number;
  ending: "return" | "throw";
}

const promptOf = ({ events, ms, ending }: TurnPlan): string => `${events},${ms},${ending}`;

export class HostModel {
  readonly sessions: ModelSession[] = [];
  readonly #service: EphemeralSessionService;
  readonly #max: number;
  readonly #calls: Promise<void>[] = [];
  building = 0;
  calls = 0;
  settled = 0;

  constructor(service: EphemeralSessionService, maxSessions: number) {
    this.#service = service;
    this.#max = maxSessions;
  }

  /** Note a call; each must settle, and once. */
  #track(call: Promise<void>): void {
    this.calls++;
    this.#calls.push(call.finally(() => this.settled++));
  }

  /** Wait for every call made so far; rejects with the first broken expectation. */
  async settle(): Promise<void> {
    await Promise.all(this.#calls);
    expect(this.settled, "every call settles exactly once").toBe(this.calls);
  }

  create(plan: TurnPlan | undefined): void {
    const held = this.sessions.filter(({ isLive }) => isLive).length + this.building;
    const isSurelyFull = held >= this.#max;
    const leaving = this.sessions.some(({ isLive, turns }) => !isLive && turns.some(({ isSettled }) => !isSettled));
    this.building++;
    const turn: ModelTurn = { isSettled: false, mustCancel: false };
    let session: ModelSession | undefined;
    const register = (id: string): ModelSession => {
      this.building--;
      session = { id, isLive: true, turns: plan ? [turn] : [], lastSeq: 0 };
      this.sessions.push(session);
      return session;
    };
    let seen = 0;
    const call = this.#service
      .createSession(
        plan
          ? { prompt: promptOf(plan), onEvent: (envelope) => this.#event(session ?? register(sessionIdOf(envelope)), envelope, ++seen) }
          : { prompt: "", initialTurn: "defer" },
      )
      .then(
        ({ sessionId, text }) => {
          session ??= register(sessionId);
          turn.isSettled = true;
          if (plan) expectCompleted(plan, turn, text, seen);
        },
        (error: SessionError) => {
          turn.isSettled = true;
          if (error.message.includes("Max sessions reached")) {
            this.building--;
            expect(isSurelyFull || leaving, "refused although there was capacity").toBe(true);
            return;
          }
          session ??= register(error.sessionId as string);
          expectFailed(plan as TurnPlan, turn, error);
        },
      );
    this.#track(call);
  }

  start(at: number, plan: TurnPlan): void {
    const session = this.#pick(at);
    if (!session) return;
    const isIdle = session.turns.every(({ isSettled }) => isSettled);
    const turn: ModelTurn = { isSettled: false, mustCancel: false };
    let isAdmitted = false;
    let seen = 0;
    const call = this.#service.startTurn(
      session.id,
      { prompt: promptOf(plan), onEvent: (envelope) => this.#event(session, envelope, ++seen) },
      { onAdmitted: () => (isAdmitted = true) },
    );
    expect(isAdmitted, "admission is known when startTurn returns").toBe(session.isLive && (isIdle || isAdmitted));
    if (isAdmitted) session.turns.push(turn);
    const { isLive } = session;
    this.#track(
      call.then(
        ({ text }) => {
          turn.isSettled = true;
          expect(isAdmitted).toBe(true);
          expectCompleted(plan, turn, text, seen);
        },
        (error: SessionError) => {
          turn.isSettled = true;
          if (isAdmitted) expectFailed(plan, turn, error);
          else expect(error.code).toBe(isLive ? "SESSION_BUSY" : "SESSION_NOT_FOUND");
        },
      ),
    );
  }

  interrupt(at: number): void {
    const session = this.#pick(at);
    if (!session) return;
    const current = session.turns.findLast(({ isSettled }) => !isSettled);
    const { isLive } = session;
    this.#track(
      this.#service.interrupt(session.id).then(
        () => {
          expect(isLive && current !== undefined, "interrupted a turn that does not run").toBe(true);
          if (current) current.mustCancel = true;
        },
        (error: SessionError) => expect(error.code).toBe(isLive ? "SESSION_NOT_RUNNING" : "SESSION_NOT_FOUND"),
      ),
    );
  }

  archive(at: number): void {
    const session = this.#pick(at);
    if (!session) return;
    const wasLive = session.isLive;
    session.isLive = false;
    this.#track(
      this.#service.archive(session.id).then(
        () => expect(wasLive).toBe(true),
        (error: SessionError) => expect([wasLive, error.code]).toEqual([false, "SESSION_NOT_FOUND"]),
      ),
    );
  }

  read(at: number): void {
    const session = this.#pick(at);
    if (!session) return;
    const isQuiet = session.turns.every(({ isSettled }) => isSettled);
    this.#track(
      this.#service.read(session.id).then(({ state }) => {
        expect(state.sessionId).toBe(session.id);
        if (isQuiet) expect(state.isActive, "active without a turn").toBe(false);
      }),
    );
  }

  list(): void {
    const live = this.sessions.filter(({ isLive }) => isLive).map(({ id }) => id);
    this.#track(
      this.#service.list().then((summaries) => {
        const ids = summaries.map(({ sessionId }) => sessionId);
        expect(ids).toEqual([...ids].sort());
        // A session whose first turn runs is listed before its caller knows its id.
        expect(live.filter((id) => !ids.includes(id))).toEqual([]);
        expect(ids.length).toBeLessThanOrEqual(this.#max);
      }),
    );
  }

  #pick(at: number): ModelSession | undefined {
    return this.sessions[at % Math.max(1, this.sessions.length)];
  }

  #event(session: ModelSession, envelope: EventEnvelope, nth: number): void {
    expect((envelope.payload as { n?: number }).n, "events of a turn in order").toBe(nth);
    expect(envelope.seq, "seq has no gap").toBe(session.lastSeq + 1);
    session.lastSeq = envelope.seq;
  }
}

function expectCompleted(plan: TurnPlan, turn: ModelTurn, text: string, seen: number): void {
  expect(turn.mustCancel, "completed although its interrupt resolved").toBe(false);
  expect(text).toBe(`emitted ${plan.events}`);
  expect(seen, "every event before the result").toBe(plan.events);
}

function expectFailed(plan: TurnPlan, turn: ModelTurn, error: SessionError): void {
  expect(error.code).toBe("AGENT_ERROR");
  if (turn.mustCancel) expect(error.agentError?.kind).toBe("cancelled");
  else if (error.agentError?.kind !== "cancelled") expect([plan.ending, error.agentError?.message]).toEqual(["throw", "as asked"]);
}

function sessionIdOf({ sourceId }: EventEnvelope): string {
  return sourceId.slice("session:".length);
}
