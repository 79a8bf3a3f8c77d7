/**
 * What is known of sessions and turns from outside, and what must follow from it.
 *
 *   M1. At most one turn of a session runs at a time, and a turn is run at most once, never after its caller was answered.
 *   M2. A turn whose interrupt was accepted does not succeed; one that ends as cancelled was asked to.
 *   M3. A transcript holds each turn that succeeded once, in the order of their admission, no turn that failed, and one whose outcome is
 *       not known at most once, whole.
 *   M4. Staged context that was taken by a turn which succeeded is never taken again.
 *   M5. Turns that wait for their session in a queue are admitted in the order of their calls.
 *   M6. A turn whose key is that of one that succeeded does not run: it is given that one's answer if it asks for the same, else it is refused.
 */
import type { EventEnvelope } from "../../src/protocol/events.ts";
import type { Message } from "../../src/protocol/session-model.ts";
import type { Faults } from "./faults.ts";
import type { Plan } from "./plans.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

export type Outcome = "ok" | "answered again" | "failed" | "cancelled" | "unknown";

export interface ModelTurn {
  readonly name: string;
  readonly plan: Plan;
  readonly session: ModelSession | undefined;
  readonly key: string | undefined;
  /** It waits in the queue when its session is busy. */
  queues: boolean;
  /** Name of the turn that it asks for once more; its own otherwise. */
  readonly asks: string;
  /** A turn had succeeded under its key before it was asked for. */
  readonly isKeyTaken: boolean;
  ticket: number | undefined;
  outcome: Outcome | undefined;
  /** Code of the error it was answered with. */
  refusal: string | undefined;
  /** Somebody asked for its interrupt. */
  mayBeCancelled: boolean;
  /** An interrupt of exactly this turn was accepted. */
  mustNotSucceed: boolean;
  ran: { readonly process: Process; hasLeft: boolean } | undefined;
  /** Number of the last event its consumer saw. */
  lastSeq: number;
}

export interface ModelSession {
  readonly id: string;
  readonly name: string;
  readonly turns: ModelTurn[];
  /** "gone": nobody can use it any more. */
  state: "there" | "archived" | "gone";
  /** A create was asked to go on from an older state of it: what is archived and removed may be there again. */
  isRestored: boolean;
  readonly contexts: string[];
  /** The session it is a fork of. */
  origin?: ModelSession;
}

export class Model {
  readonly sessions: ModelSession[] = [];
  readonly #byId = new Map<string, ModelSession>();
  readonly #turns = new Map<string, ModelTurn>();
  readonly #takes = new Map<string, ModelTurn[]>();
  readonly #world: World;
  readonly #faults: Faults;
  #contexts = 0;

  constructor(world: World, faults: Faults) {
    this.#world = world;
    this.#faults = faults;
  }

  // ── what the driver does ──

  addSession(id: string): ModelSession {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const session: ModelSession = { id, name: `s${this.sessions.length}`, turns: [], state: "there", isRestored: false, contexts: [] };
    this.sessions.push(session);
    this.#byId.set(id, session);
    return session;
  }

  find(id: string): ModelSession | undefined {
    return this.#byId.get(id);
  }

  /** @param again - the turn it asks for once more */
  addTurn(session: ModelSession | undefined, plan: Plan, key?: string, again?: ModelTurn): ModelTurn {
    const name = `t${this.#turns.size}`;
    const hasSucceeded = (turn: ModelTurn): boolean => turn.key === key && turn.outcome === "ok";
    const turn: ModelTurn = {
      name,
      plan,
      session,
      key,
      queues: false,
      asks: again?.asks ?? name,
      isKeyTaken: key !== undefined && session?.isRestored === false && session.turns.some(hasSucceeded),
      ticket: undefined,
      outcome: undefined,
      refusal: undefined,
      mayBeCancelled: false,
      mustNotSucceed: false,
      ran: undefined,
      lastSeq: 0,
    };
    this.#turns.set(turn.name, turn);
    session?.turns.push(turn);
    return turn;
  }

  /** The first turn of a session whose id is known only now. */
  adopt(turn: ModelTurn, id: string): ModelSession {
    const session = this.addSession(id);
    if (turn.session === undefined) {
      (turn as { session: ModelSession }).session = session;
      session.turns.unshift(turn);
    }
    return session;
  }

  nextContext(): string {
    return `context ${this.#contexts++}`;
  }

  /** Whoever asks for an interrupt without naming a ticket may hit any turn of the session that is not answered. */
  interruptAsked(session: ModelSession): void {
    for (const turn of session.turns) if (turn.outcome === undefined) turn.mayBeCancelled = true;
  }

  /** Any turn that is not answered may be interrupted, also the first one of a session whose id is not known yet. */
  shutdownAsked(): void {
    for (const turn of this.#turns.values()) if (turn.outcome === undefined) turn.mayBeCancelled = true;
  }

  /** M5 */
  admitted(turn: ModelTurn, ticket: number): void {
    turn.ticket = ticket;
    if (turn.outcome !== undefined) this.#world.violate(`${turn.name} is admitted after it was answered (${turn.outcome})`);
    const { session } = turn;
    if (!turn.queues || session === undefined) return;
    const later = session.turns.slice(session.turns.indexOf(turn) + 1).find((other) => other.queues && other.ticket !== undefined);
    if (later !== undefined) this.#world.violate(`M5: ${later.name} was admitted ahead of ${turn.name}`);
  }

  settled(turn: ModelTurn, outcome: Outcome): void {
    if (turn.outcome !== undefined) this.#world.violate(`turn ${turn.name} was answered twice: ${turn.outcome}, ${outcome}`);
    turn.outcome = outcome;
    this.#world.trace(`${turn.name} ${outcome}`);
    this.#faults.saw(`turn: ${outcome}`);
    const { ran } = turn;
    if (outcome === "ok" && ran?.process.isAlive === false) this.#faults.saw("turn: ok, and its lane was lost before the answer");
    if (outcome === "cancelled" && ran?.process.isAlive === true && !ran.hasLeft) this.#faults.saw("fault: a run was given up");
    if (outcome === "ok" && turn.mustNotSucceed) this.#world.violate(`M2: ${turn.name} succeeded although its interrupt was accepted`);
    if (outcome === "cancelled" && !turn.mayBeCancelled) this.#world.violate(`M2: ${turn.name} was cancelled, and nobody had asked for it`);
  }

  /** The process is gone, and with it every answer it owed. */
  processLost(keepsSessions: boolean): void {
    for (const turn of this.#turns.values()) {
      if (turn.outcome !== undefined) continue;
      turn.outcome = "unknown";
      this.#faults.saw("turn: unknown");
    }
    if (!keepsSessions) for (const session of this.sessions) session.state = "gone";
  }

  /** @param mayBeLate - its reader takes its time, and the answer does not wait for it */
  event(turn: ModelTurn, { seq, payload }: EventEnvelope, mayBeLate = false): void {
    if (!mayBeLate && turn.outcome !== undefined && turn.outcome !== "cancelled" && turn.outcome !== "unknown") {
      this.#world.violate(`an event of ${turn.name} came after its answer`);
    }
    if (seq === 0) return;
    if (seq <= turn.lastSeq) this.#world.violate(`event ${seq} of ${turn.name} came behind event ${turn.lastSeq}`);
    turn.lastSeq = seq;
    const named = payload.type === "text_delta" ? (payload as { delta?: unknown }).delta : payload["turn" as keyof typeof payload];
    if (named !== turn.name && payload.type !== "late") this.#world.violate(`${turn.name} was given an event of ${String(named)}`);
  }

  // ── what agents see ──

  /** M1 */
  enter(sessionId: string, name: string, process: Process, messages: readonly Message[]): Plan {
    const turn = this.#turns.get(name) as ModelTurn;
    this.#world.trace(`${name} runs`);
    const session = this.#byId.get(sessionId) ?? this.adopt(turn, sessionId);
    if (turn.session === undefined) this.adopt(turn, sessionId);
    if (turn.session !== session) this.#world.violate(`${name} runs in session ${session.name}`);
    if (turn.ran !== undefined) this.#world.violate(`M1: ${name} runs a second time`);
    if (turn.outcome !== undefined) this.#world.violate(`M1: ${name} runs after it was answered (${turn.outcome})`);
    for (const other of session.turns) {
      const { ran } = other;
      if (ran === undefined || ran.hasLeft || !ran.process.isAlive || other.mayBeCancelled) continue;
      this.#world.violate(`M1: ${name} runs beside ${other.name} in ${session.name}`);
    }
    if (turn.isKeyTaken && !session.isRestored) this.#world.violate(`M6: ${name} runs, and a turn had succeeded under its key`);
    turn.ran = { process, hasLeft: false };
    this.checkTranscript(session, messages.slice(0, -1), `what ${name} sees`, this.succeeded(session));
    return turn.plan;
  }

  leave(name: string): void {
    const ran = this.#turns.get(name)?.ran;
    if (ran !== undefined) ran.hasLeft = true;
  }

  /** M4 */
  taken(sessionId: string, name: string, contexts: readonly string[]): void {
    const turn = this.#turns.get(name) as ModelTurn;
    for (const context of contexts) {
      const takes = this.#takes.get(context) ?? [];
      this.#takes.set(context, takes);
      if (!this.#byId.get(sessionId)?.contexts.includes(context)) this.#world.violate(`${context} came to the wrong session, in ${name}`);
      for (const earlier of takes) {
        if (earlier.outcome === "ok") this.#world.violate(`M4: ${context} was taken by ${earlier.name}, which succeeded, and by ${name}`);
      }
      takes.push(turn);
    }
  }

  wasTaken(context: string): boolean {
    return this.#takes.has(context);
  }

  // ── what follows ──

  /** @returns the session's turns that have succeeded so far */
  succeeded(session: ModelSession): ModelTurn[] {
    return session.turns.filter(({ outcome }) => outcome === "ok");
  }

  /**
   * M3
   *
   * @param messages - of the session, as somebody saw them
   * @param expected - turns that had succeeded when they asked
   */
  checkTranscript(session: ModelSession, messages: readonly Message[], where: string, expected: readonly ModelTurn[]): void {
    if (session.isRestored && session.state !== "there") return;
    const said = messages.filter(({ role }) => role !== "system").map((message) => String("content" in message ? message.content : ""));
    const there: ModelTurn[] = [];
    for (let at = 0; at < said.length; at++) {
      const name = said[at] as string;
      const turn = this.#turns.get(name);
      const isInherited = there.every((earlier) => earlier.session !== session) && isForkOf(session, turn?.session);
      if (turn === undefined || (turn.session !== session && !isInherited)) {
        this.#world.violate(`M3: ${where}: ${session.name} holds ${name}, which is not of it`);
        return;
      }
      const isWhole = said[at + 1] === `${name}!`;
      if (isWhole) at++;
      else if (!isInherited && !turn.plan.steps.some((step) => step.do === "checkpoint")) {
        this.#world.violate(`M3: ${where}: ${session.name} holds half of ${name}`);
        return;
      }
      if (isWhole && (turn.outcome === "failed" || turn.outcome === "cancelled" || turn.outcome === "answered again")) {
        this.#world.violate(`M3: ${where}: ${session.name} holds ${name}, which ${turn.outcome}`);
      }
      there.push(turn);
    }
    for (const [at, turn] of there.entries()) {
      const before = there[at - 1];
      if (before !== undefined && (before.ticket ?? 0) >= (turn.ticket ?? Infinity)) {
        this.#world.violate(`M3: ${where}: ${session.name} holds ${before.name} ahead of ${turn.name}`);
      }
    }
    if (where === "store") {
      for (const turn of session.turns) {
        if (turn.outcome !== "unknown" || turn.ran === undefined) continue;
        this.#faults.saw(there.includes(turn) ? "turn: unknown, and it was saved" : "turn: unknown, and it was not saved");
      }
    }
    for (const turn of expected) {
      if (!there.includes(turn)) {
        this.#world.violate(`M3: ${where}: ${session.name} has lost ${turn.name}, which succeeded: [${said.join(" ")}]`);
      }
    }
  }
}

/** Whether `session` is a fork of `origin`, or a fork of its forks. */
function isForkOf(session: ModelSession, origin: ModelSession | undefined): boolean {
  for (let at = session.origin; at !== undefined; at = at.origin) if (at === origin) return true;
  return false;
}
