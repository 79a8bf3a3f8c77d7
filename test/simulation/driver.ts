/** Whoever uses a simulated host: makes calls of every kind at random, and holds each answer against the model. */
import type { EphemeralSessionService } from "../../src/host/ephemeral-service.ts";
import { PersistentSessionService } from "../../src/host/persistent-service.ts";
import { SessionError } from "../../src/protocol/errors.ts";
import type { CallOptions, OnEvent, StartTurnRequest } from "../../src/protocol/requests.ts";
import type { Session } from "../../src/protocol/session-model.ts";
import type { RunResult } from "../../src/protocol/views.ts";
import { Calls, GaveUp, isOrdinary, outcomeOf } from "./calls.ts";
import { makeConsumer } from "./consumers.ts";
import type { Faults } from "./faults.ts";
import type { SimulatedHost } from "./host.ts";
import type { Model, ModelSession, ModelTurn } from "./model.ts";
import type { Plan } from "./plans.ts";
import { pickOperation } from "./operations.ts";
import { makePlan } from "./plans.ts";
import { Readers } from "./readers.ts";
import type { Setup } from "./setup.ts";
import type { World } from "./world.ts";

type Service = EphemeralSessionService | PersistentSessionService;

/** "merge" is not among them: what a simulated agent does is found by the prompt of one turn. */
const WAITING_MODES = ["enqueue", "enqueue", "interrupt", "rollback", "latest"] as const;

export class Driver {
  readonly calls: Calls;
  readonly readers: Readers;
  /** What is answered may lead to further calls. */
  isBold = true;
  readonly #world: World;
  readonly #setup: Setup;
  readonly #model: Model;
  readonly #faults: Faults;
  readonly #at: SimulatedHost;
  readonly #aborts: { readonly controller: AbortController; readonly turn: ModelTurn }[] = [];
  #exported: Session | undefined;
  #creates = 0;
  /** How deep in callbacks of calls it is: what callbacks call does not call back without end. */
  #depth = 0;

  constructor(world: World, setup: Setup, model: Model, faults: Faults, at: SimulatedHost) {
    this.#world = world;
    this.#setup = setup;
    this.#model = model;
    this.#faults = faults;
    this.#at = at;
    this.calls = new Calls(world, faults, at.main);
    this.readers = new Readers(world, setup, faults, at, this.calls);
  }

  get #service(): Service {
    return this.#at.service;
  }

  get #persistent(): PersistentSessionService | undefined {
    return this.#service instanceof PersistentSessionService ? this.#service : undefined;
  }

  /** One call, of any kind. */
  act(): void {
    const { random } = this.#world;
    const there = this.#model.sessions.filter(({ state }) => state === "there");
    if (there.length === 0 || (this.#creates < this.#setup.sessions && random.chance(0.4))) {
      this.create();
      return;
    }
    // Sometimes one that is archived or gone: that has to be said, too.
    const session = random.chance(0.05) ? random.pick(this.#model.sessions) : random.pick(there);
    const { name, run } = pickOperation(random);
    this.#faults.saw(`call: ${name}`);
    run(this, session);
  }

  // ── turns ──

  create(): void {
    const { random } = this.#world;
    this.#creates++;
    const isDeferred = random.chance(0.5);
    this.#faults.saw(isDeferred ? "call: create, deferred" : "call: create, with a turn");
    const turn = isDeferred ? undefined : this.#model.addTurn(undefined, makePlan(random, this.#setup.isWild));
    const isolation = random.chance(0.1) ? ("dedicated" as const) : undefined;
    const replaced = this.#exported !== undefined && random.chance(0.3) ? this.#exported : undefined;
    if (replaced !== undefined) this.#faults.saw("call: create in the place of a stored session");
    const resumed = replaced && this.#model.find(replaced.id);
    if (resumed !== undefined) resumed.isRestored = true;
    // Whoever interrupts the session by its id may mean this turn before the model knows that it is of it.
    if (resumed !== undefined && turn !== undefined) turn.mayBeCancelled = true;
    const request = {
      prompt: turn?.name ?? "",
      ...(isDeferred && { initialTurn: "defer" as const }),
      ...(isolation && { isolation }),
      ...(random.chance(0.3) && { systemPrompt: "system" }),
      ...(replaced && { build: { resumeSession: replaced } }),
      ...(turn && { onEvent: this.#consumer(turn) }),
    };
    const options = turn === undefined ? this.#signalOf() : this.#optionsOf(turn);
    const call = this.#service.createSession(request, options);
    this.calls.track(
      `create ${turn?.name ?? "deferred"}${replaced ? ` resuming ${resumed?.name}` : ""}`,
      call,
      (result) => {
        const session = this.#model.addSession(result.sessionId);
        if (turn === undefined) return;
        this.#model.adopt(turn, result.sessionId);
        this.#answered(turn, session, result);
      },
      (error) => {
        if (turn !== undefined) {
          const id = error instanceof SessionError ? error.sessionId : undefined;
          // It exists when its turn was admitted; an error before that may name what it could not become.
          if (id !== undefined && (turn.ticket !== undefined || turn.ran !== undefined)) this.#model.adopt(turn, id);
          this.#failed(turn, error);
        }
        return isOrdinary(error);
      },
    );
  }

  start(session: ModelSession, plan: Plan = makePlan(this.#world.random, this.#setup.isWild)): ModelTurn {
    const { random } = this.#world;
    const earlier = session.turns.filter(({ key }) => key !== undefined);
    const isKeyed = random.chance(0.3);
    const known = isKeyed && earlier.length > 0 && random.chance(0.75) ? random.pick(earlier) : undefined;
    const key = known?.key ?? (isKeyed ? `k${session.turns.length}` : undefined);
    // Asked for again it must not run: the model would see the same turn twice.
    const again = known?.outcome === "ok" && !session.isRestored && random.chance(0.7) ? known : undefined;
    const turn = this.#model.addTurn(session, plan, key, again);
    const isStreamed = random.chance(0.2);
    const request: StartTurnRequest = { prompt: turn.asks };
    if (key !== undefined) request.idempotencyKey = key;
    const onBusy = random.chance(0.5) ? random.pick(WAITING_MODES) : undefined;
    if (onBusy !== undefined) {
      this.#faults.saw(`call: startTurn, ${onBusy}`);
      request.onBusy = onBusy;
      turn.queues = onBusy === "enqueue";
      if (onBusy === "interrupt" || onBusy === "rollback") this.#model.interruptAsked(session);
    }
    if (random.chance(0.1)) {
      request.timeoutMs = random.pick([1, 10, 100, 1000]);
      turn.mayBeCancelled = true;
    }
    const onEvent = isStreamed ? undefined : this.#consumer(turn);
    if (onEvent !== undefined) request.onEvent = onEvent;
    const options = this.#optionsOf(turn);
    if (isStreamed) this.#stream(turn, request, options);
    else this.#track(turn, this.#service.startTurn(session.id, request, options));
    return turn;
  }

  /** A turn without anything that could keep it from succeeding. */
  use(session: ModelSession, plan: Plan): ModelTurn {
    const turn = this.#model.addTurn(session, plan);
    const onAdmitted = (ticket: number): void => void (turn.ticket = ticket);
    this.#track(turn, this.#service.startTurn(session.id, { prompt: turn.name }, { onAdmitted }));
    return turn;
  }

  #track(turn: ModelTurn, call: Promise<RunResult>): void {
    const session = turn.session as ModelSession;
    this.calls.track(
      `${session.name} turn ${turn.name}`,
      call,
      (result) => {
        this.#answered(turn, session, result);
        if (this.isBold && this.#depth === 0 && this.#world.random.chance(0.1)) this.#nested(() => this.start(session));
      },
      (error) => {
        this.#failed(turn, error);
        return this.#mayBeSaidOf(session, error);
      },
    );
  }

  #stream(turn: ModelTurn, request: StartTurnRequest, options: CallOptions | undefined): void {
    const { random } = this.#world;
    this.#faults.saw("call: stream");
    const stream = this.#service.streamTurn((turn.session as ModelSession).id, request, options);
    this.#track(turn, stream.result);
    if (random.chance(0.2)) return; // nobody reads
    const leavesAfter = random.chance(0.3) ? random.below(4) : Infinity;
    const read = async (): Promise<void> => {
      let count = 0;
      for await (const envelope of stream) {
        this.#model.event(turn, envelope, true);
        if (++count > leavesAfter) break;
      }
    };
    this.calls.track(`events of ${turn.name}`, read());
  }

  #answered(turn: ModelTurn, session: ModelSession, { text, sessionId }: RunResult): void {
    if (sessionId !== session.id) this.#world.violate(`${turn.name} was answered for another session`);
    if (text === `${turn.name}!`) {
      this.#model.settled(turn, "ok");
      return;
    }
    const earlier = session.turns.find(({ name }) => text === `${name}!`);
    if (earlier === undefined || earlier.key === undefined || earlier.key !== turn.key) {
      this.#world.violate(`${turn.name} was answered with ${text}`);
    }
    this.#model.settled(turn, "answered again");
  }

  #failed(turn: ModelTurn, error: unknown): void {
    turn.refusal = error instanceof SessionError ? error.code : String(error);
    this.#model.settled(turn, outcomeOf(turn, error, this.#faults));
  }

  /** @returns undefined, or one of the ways in which callers take events */
  #consumer(turn: ModelTurn): OnEvent | undefined {
    const act = (): void => {
      if (this.#depth === 0) this.#nested(() => this.act());
    };
    return makeConsumer(this.#world, this.#faults, (envelope) => this.#model.event(turn, envelope), act);
  }

  #nested(act: () => void): void {
    this.#depth++;
    try {
      act();
    } finally {
      this.#depth--;
    }
  }

  #optionsOf(turn: ModelTurn): CallOptions {
    const { random } = this.#world;
    const options = this.#signalOf(turn) ?? {};
    const interrupts = random.chance(0.04);
    const throws = !interrupts && random.chance(0.02);
    const throwsAt = random.chance(0.03) ? random.pick([1, 2]) : 0;
    options.onQueued = (position) => {
      this.#faults.saw("a turn waited for its session");
      if (position !== throwsAt) return;
      this.#faults.saw("fault: onQueued throws");
      throw new GaveUp("onQueued, simulated");
    };
    const onAdmitted = (ticket: number): void => {
      this.#model.admitted(turn, ticket);
      if (throws) {
        this.#faults.saw("fault: onAdmitted throws");
        turn.mayBeCancelled = true;
        throw new GaveUp("onAdmitted, simulated");
      }
      if (interrupts && turn.session !== undefined) this.interruptTurn(turn.session, turn);
    };
    options.onAdmitted = onAdmitted;
    return options;
  }

  #signalOf(turn?: ModelTurn): CallOptions | undefined {
    const { random } = this.#world;
    if (!random.chance(0.12)) return undefined;
    const controller = new AbortController();
    if (turn !== undefined) this.#aborts.push({ controller, turn });
    else setTimeout(() => controller.abort(new GaveUp("create")), random.pick([1, 20]));
    if (turn !== undefined) turn.mayBeCancelled = true;
    return { signal: controller.signal };
  }

  // ── other calls ──

  /** Follow a call about a session. One that is stored is there, whatever else is true of it. */
  #trackOf<T>(session: ModelSession, what: string, call: Promise<T>, onOk?: (value: T) => void): void {
    this.calls.track(what, call, onOk, (error) => this.#mayBeSaidOf(session, error));
  }

  #mayBeSaidOf(session: ModelSession, error: unknown): boolean {
    const isMissed = error instanceof SessionError && error.code === "SESSION_NOT_FOUND" && this.#setup.isPersistent;
    return isOrdinary(error) && !(isMissed && session.state === "there");
  }

  /** The newest, or one that may have ended long ago. */
  anyTurn(session: ModelSession): ModelTurn | undefined {
    const { random } = this.#world;
    const admitted = session.turns.filter(({ ticket }) => ticket !== undefined);
    return admitted.length === 0 || random.chance(0.6) ? admitted.at(-1) : random.pick(admitted);
  }

  interruptTurn(session: ModelSession, turn: ModelTurn): void {
    const { ticket } = turn;
    if (ticket === undefined) return;
    turn.mayBeCancelled = true;
    this.calls.track(`interrupt ${turn.name}`, this.#service.interruptTurn(session.id, ticket), (wasRunning) => {
      if (!wasRunning) return;
      this.#faults.saw("an interrupt was accepted");
      turn.mustNotSucceed = true;
      if (turn.outcome === "ok") this.#world.violate(`M2: ${turn.name} succeeded although its interrupt was accepted`);
    });
  }

  interruptHanging(): void {
    for (const session of this.#model.sessions) {
      for (const turn of session.turns) if (turn.outcome === undefined && turn.plan.ending === "hang") this.interruptTurn(session, turn);
    }
  }

  interrupt(session: ModelSession): void {
    this.#model.interruptAsked(session);
    this.#trackOf(session, `interrupt ${session.name}`, this.#service.interrupt(session.id));
  }

  cancelAfterBoundary(session: ModelSession): void {
    this.#trackOf(session, `boundary ${session.name}`, this.#service.cancelAfterBoundary(session.id));
  }

  abort(): void {
    const abort = this.#aborts.pop();
    abort?.controller.abort(new GaveUp(abort.turn.name));
  }

  stage(session: ModelSession): void {
    const context = this.#model.nextContext();
    session.contexts.push(context);
    this.#trackOf(session, `stage ${context} in ${session.name}`, this.#service.appendSystemContext(session.id, { text: context }));
  }

  apply(session: ModelSession): void {
    const appends = [{ text: "applied", acceptedAt: Date.now() }];
    this.#trackOf(session, `apply to ${session.name}`, this.#service.applyRuntimeSystemContext(session.id, appends));
  }

  export(session: ModelSession): void {
    const expected = this.#model.succeeded(session);
    this.#trackOf(session, `export ${session.name}`, this.#service.exportSession(session.id), (exported) => {
      this.#model.checkTranscript(session, exported.messages, "export", expected);
      if (this.#persistent !== undefined && session.state === "there") this.#exported = exported;
    });
  }

  /** As it is, or with its first messages, which may be more than there are. */
  fork(session: ModelSession): void {
    const { random } = this.#world;
    const messages = random.chance(0.5) ? random.below(4) : undefined;
    const expected = messages === undefined && !session.isRestored ? this.#model.succeeded(session) : [];
    this.calls.track(
      `fork ${session.name}`,
      this.#service.forkSession(session.id, { messages }),
      ({ state: { sessionId, messageCount } }) => {
        const fork = this.#model.addSession(sessionId);
        fork.origin = session;
        if (messages !== undefined && messageCount !== messages) this.#world.violate(`fork ${fork.name} has ${messageCount} messages`);
        this.#trackOf(fork, `export ${fork.name}`, this.#service.exportSession(sessionId), (exported) =>
          this.#model.checkTranscript(fork, exported.messages, "fork", expected),
        );
      },
      (error) => {
        const isTooMany = messages !== undefined && error instanceof SessionError && error.code === "INVALID_PARAMS";
        return isTooMany || this.#mayBeSaidOf(session, error);
      },
    );
  }

  history(session: ModelSession): void {
    const expected = this.#model.succeeded(session);
    this.#trackOf(session, `history of ${session.name}`, this.#service.readHistory(session.id), ({ messages }) =>
      this.#model.checkTranscript(session, messages, "history", expected),
    );
  }

  persisted(session: ModelSession): void {
    if (this.#persistent === undefined || session.state !== "there") return;
    const expected = this.#model.succeeded(session);
    this.calls.track(`stored ${session.name}`, this.#persistent.loadPersisted(session.id), (stored) => {
      if (stored !== undefined) this.#model.checkTranscript(session, stored.messages, "store", expected);
      else if (session.state === "there") this.#world.violate(`${session.name} is not in the store`);
    });
  }

  read(session: ModelSession): void {
    this.#trackOf(session, `read ${session.name}`, this.#service.read(session.id), ({ state }) => {
      if (state.sessionId !== session.id) this.#world.violate(`read ${session.name} gave ${state.sessionId}`);
    });
  }

  list(): void {
    this.calls.track("list", this.#service.list(), (rows) => {
      const ids = rows.map(({ sessionId }) => sessionId);
      if (ids.some((id, at) => at > 0 && id <= (ids[at - 1] as string))) this.#world.violate(`list is out of order: ${ids.join(" ")}`);
    });
  }

  hibernate(session: ModelSession): void {
    if (this.#persistent !== undefined) this.#trackOf(session, `hibernate ${session.name}`, this.#persistent.hibernate(session.id));
  }

  /** To whichever lane: also one that is about to end. */
  move(session: ModelSession): void {
    const { host } = this.#at;
    const entry = host.registry.find(session.id);
    const to = this.#world.random.pick([...host.pool]);
    if (entry === undefined || to === undefined) return;
    this.calls.track(`move ${session.name} to lane ${to.number}`, host.mover.move(entry, to, "simulated"), (went) => {
      if (went) this.#faults.saw("a session moved");
    });
  }

  release(session: ModelSession): void {
    this.#trackOf(session, `release ${session.name}`, this.#service.releaseQuarantine(session.id));
  }

  archive(session: ModelSession): void {
    session.state = "archived";
    this.calls.track(
      `archive ${session.name}`,
      this.#service.archive(session.id),
      () => {},
      (error) => {
        // What the store refused is not archived, or may be: its state is the store's to say.
        if (error instanceof SessionError && error.code === "SESSION_STORE_ERROR") this.#faults.saw("an archive failed");
        return isOrdinary(error);
      },
    );
  }

  discard(session: ModelSession): void {
    if (this.#persistent === undefined) session.state = "gone";
    this.calls.track(`discard ${session.name}`, this.#service.discardLiveSession(session.id));
  }

  purge(session: ModelSession): void {
    if (this.#persistent === undefined || session.state !== "archived") return;
    session.state = "gone";
    this.calls.track(`purge ${session.name}`, this.#persistent.purge(session.id));
  }

  checkpointers(): void {
    if (this.#persistent === undefined) return;
    this.calls.track("cancel checkpointers", this.#persistent.cancelAllCheckpointers());
    this.calls.track("rearm checkpointers", this.#persistent.rearmAllCheckpointers());
  }

  registered(): void {
    this.calls.track("next registration", this.#service.waitSessionRegistered(), undefined, undefined, this.calls.patient);
    this.create();
  }
}
