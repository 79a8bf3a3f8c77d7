/**
 * What every session service does with sessions that are live: checks each request, then hands it to the host. What a service does
 * with sessions that are not live is its own. What each operation means is in docs/guarantees.md.
 */
import type { StageOutcome } from "../core/system-context.ts";
import { CONTEXT_KEYS_MAX } from "../core/system-context.ts";
import { SessionError, agentFailure, notRunning } from "../protocol/errors.ts";
import type { HandleKind, RemoteCommsRuntime, RemoteEventInjector, RemoteSubscribableInjector } from "../protocol/handles.ts";
import { textOf } from "../protocol/foreign.ts";
import type { ForkSource } from "../protocol/fork-source.ts";
import type { SessionBoundary, TurnExtras } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import { parseInput, refuse } from "../protocol/parse.ts";
import * as requests from "../protocol/requests.ts";
import type { Message, PendingSystemContextAppend, Session, SystemContextSnapshot } from "../protocol/session-model.ts";
import type { HostSnapshot, RunResult, SessionHistoryPage, SessionSummary, SessionView, StoreCounts } from "../protocol/views.ts";
import type { Answers } from "./answers.ts";
import { AnswersInMemory } from "./answers.ts";
import { Bound } from "./bound.ts";
import { forkOrder } from "./fork-order.ts";
import { overloaded } from "./overloaded.ts";
import type { HandleHold } from "./remote-handles.ts";
import { RemoteHandle, remoteComms, remoteInjector } from "./remote-handles.ts";
import { RequestChecks } from "./request-checks.ts";
import type { CreateOrder } from "./session-creator.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionEventStream } from "./session-event-stream.ts";
import type { SessionHost } from "./session-host.ts";
import type { SessionService } from "./session-service.ts";
import { historyPage } from "./session-views.ts";
import type { TurnConsumer } from "./turn-consumer.ts";
import { CallbackConsumer } from "./turn-consumer.ts";
import type { TurnObserver } from "./turn-observer.ts";
import type { TurnStream } from "./turn-stream.ts";
import { streamOf, TurnEventReader } from "./turn-stream.ts";
import type { TurnStart } from "./turn-table.ts";

/** Milliseconds running turns may take at shutdown unless told otherwise. */
const SHUTDOWN_DEADLINE_MS = 30_000;

/** Callers that may wait for a session that moves, falls asleep or wakes. */
const WAITING_MAX = 65_536;

const NOW = Promise.resolve();

/** @returns what rejects with the error, but not before its caller holds it: a promise that is born rejected costs Node ten times as much */
function refusal(error: unknown): Promise<never> {
  return new Promise((_, reject) => void NOW.then(() => reject(error as Error)));
}

/** What writing into a system message is answered with. */
export type Written<B extends boolean> = B extends true ? SessionBoundary : null;

export abstract class LiveSessionService implements SessionService, AsyncDisposable {
  protected readonly host: SessionHost;
  protected readonly checks: RequestChecks;
  #answers: Answers | undefined;
  readonly #onTheirWay = new Bound("on_its_way", "callers for sessions on their way", WAITING_MAX);

  protected constructor(host: SessionHost) {
    this.host = host;
    this.checks = new RequestChecks(Object.keys(host.agents), host.options.maxPromptBytes);
  }

  abstract read(id: SessionId): Promise<SessionView>;
  abstract list(query?: requests.SessionQuery): Promise<SessionSummary[]>;
  abstract readHistory(id: SessionId, query?: requests.SessionHistoryQuery): Promise<SessionHistoryPage>;
  abstract subscribeSessionEvents(id: SessionId, options?: requests.SubscribeOptions): SessionEventStream;
  abstract archive(id: SessionId): Promise<void>;
  abstract discardLiveSession(id: SessionId): Promise<void>;
  /** Stage an append whose shape is checked. */
  protected abstract stage(id: SessionId, request: requests.AppendSystemContextRequest): Promise<StageOutcome>;

  // ── turns ──

  async createSession(request: requests.CreateSessionRequest, options?: requests.CallOptions): Promise<RunResult> {
    const order = this.checks.create(request);
    const call = this.checks.callOptions(options);
    const { prompt, hostMode, skillReferences, idempotencyKey, onEvent, initialTurn, sessionId } = order.request;
    if (sessionId !== undefined) await this.assertFree(sessionId);
    const firstTurn: TurnStart | undefined =
      initialTurn === "defer"
        ? undefined
        : {
            prompt,
            hostMode,
            extras: extrasOf({ prompt, skillReferences, idempotencyKey }, false),
            consumer: this.consumer(onEvent),
            ...call,
          };
    const { signal } = call;
    const { tracing } = this.host;
    if (tracing === undefined) return this.create({ ...order, firstTurn, signal });
    return tracing.create(order.agent, (trace) => this.create({ ...order, firstTurn: firstTurn && { ...firstTurn, trace }, signal }));
  }

  /** @throws SessionError INVALID_PARAMS, when there is a session of that id, or was one whose view is kept */
  protected abstract assertFree(id: SessionId): Promise<void>;

  /** Wait for sessions of that id whose creators gave up: asked for again, it is as if they had never been. */
  protected async withoutAbandoned(id: SessionId): Promise<void> {
    for (let leaving; (leaving = this.host.abandoned.of(id)) !== undefined;) await this.waitFor(leaving);
  }

  protected create(order: CreateOrder): Promise<RunResult> {
    return this.host.creator.create(order);
  }

  startTurn(id: SessionId, request: requests.StartTurnRequest, options?: requests.CallOptions): Promise<RunResult> {
    // Not an async function: on the hottest way of all it would cost a promise and three microtasks a turn.
    try {
      const checked = this.checks.turn(request);
      return this.start(id, checked, this.checks.callOptions(options), this.consumer(checked.onEvent));
    } catch (error) {
      return refusal(error);
    }
  }

  streamTurn(id: SessionId, request: Omit<requests.StartTurnRequest, "onEvent">, options?: requests.CallOptions): TurnStream {
    const reader = new TurnEventReader(`session:${String(id)}`, this.host.options.consumerStallMs);
    return streamOf(
      reader,
      async (onAdmitted, orLeaves) => {
        const checked = this.checks.turn(request);
        if (checked.onEvent !== undefined) refuse("request.onEvent", "a stream is its turn's only consumer");
        const call = this.checks.callOptions(options);
        const tellBoth = (ticket: number): void => {
          onAdmitted(ticket);
          call.onAdmitted?.(ticket);
        };
        const mayWait = checked.onBusy !== undefined && checked.onBusy !== "reject";
        const signal = mayWait ? orLeaves(call.signal) : call.signal;
        return this.start(id, checked, { ...call, signal, onAdmitted: tellBoth }, reader);
      },
      async (ticket) => {
        if (!(await this.interruptTurn(id, ticket))) throw notRunning(id);
      },
      () => agentFailure("cancelled", "Run was cancelled", { sessionId: id, details: { reason: "interrupt" } }),
    );
  }

  /** @param onBoundary - told what the session is at the end of a good turn */
  protected start(
    id: SessionId,
    request: requests.StartTurnRequest,
    options: requests.CallOptions,
    consumer: TurnConsumer | undefined,
    onBoundary?: TurnStart["onBoundary"],
  ): Promise<RunResult> {
    const { prompt, hostMode, timeoutMs, onBusy } = request;
    const { signal, onAdmitted, onQueued } = options;
    this.host.assertOpen();
    const extras = extrasOf(request, onBoundary !== undefined);
    const trace = this.host.tracing?.turn();
    const turn: TurnStart = { prompt, hostMode, extras, consumer, timeoutMs, signal, onAdmitted, onBoundary, trace };
    if (onBusy === undefined || onBusy === "reject") return this.admit(id, turn);
    return this.host.lines.start(this.checks.id(id), turn, { mode: onBusy, onQueued });
  }

  /** Admit a turn and start it. Everything up to the admission is synchronous; what it throws is the call's rejection. */
  protected admit(id: SessionId, start: TurnStart): Promise<RunResult> {
    return this.startLive(this.live(id), start);
  }

  protected startLive(entry: SessionEntry, start: TurnStart): Promise<RunResult> {
    const overload = this.host.gate.refusal(entry.lane);
    if (overload !== undefined) return refusal(overload); // not thrown: that would cost twice as much as the rest of it
    return this.host.turns.start(entry, this.host.turns.admit(entry), start);
  }

  async interrupt(id: SessionId): Promise<void> {
    if (!this.host.turns.interrupt(this.live(id), "interrupt")) throw notRunning(id);
  }

  async interruptTurn(id: SessionId, ticket: number): Promise<boolean> {
    parseInput(requests.TicketParam, ticket, "ticket");
    const turn = this.host.turns.find(this.checks.id(id), ticket);
    if (turn !== undefined) return this.host.turns.interruptTurn(turn, "interrupt");
    this.live(id); // an unknown session is an error, a turn that has ended is not
    return false;
  }

  async cancelAfterBoundary(id: SessionId): Promise<void> {
    if (!this.host.turns.cancelAfterBoundary(this.live(id))) throw notRunning(id);
  }

  // ── reading ──

  /** A page of the transcript of a live session. Waits for a running turn. */
  protected async liveHistory(entry: SessionEntry, { offset = 0, limit }: requests.SessionHistoryQuery): Promise<SessionHistoryPage> {
    const { messageCount, messages } = await this.host.queries.ask<{ messageCount: number; messages: Message[] }>(entry, (request) => [
      COMMANDS.HISTORY.op,
      entry.slot,
      entry.generation,
      request,
      offset,
      limit,
    ]);
    return historyPage(entry.id, messageCount, messages, { offset, limit });
  }

  async exportSession(id: SessionId): Promise<Session> {
    this.host.assertOpen();
    return this.use(id, (entry) => this.exportLive(this.known(entry, id)));
  }

  protected exportLive(entry: SessionEntry): Promise<Session> {
    return this.host.queries.ask<Session>(entry, (request) => [COMMANDS.EXPORT.op, entry.slot, entry.generation, request]);
  }

  async forkSession(id: SessionId, options: requests.ForkOptions = {}): Promise<SessionView> {
    const checked = parseInput(requests.ForkOptionsSchema, options, "options");
    this.host.assertOpen();
    const chosen = checked.sessionId;
    if (chosen !== undefined) await this.assertFree(chosen);
    const source = await this.forkSource(id, checked.messages);
    if (chosen !== undefined) await this.assertFree(chosen); // once more: a running turn may have been waited for
    const order = forkOrder(source, chosen ?? this.host.creator.nextId(), checked, Date.now());
    const { sessionId } = await this.create({ ...order, sessionId: chosen });
    return this.read(sessionId);
  }

  /** @param messages - how many are wanted; undefined: all */
  protected forkSource(id: SessionId, messages: number | undefined): Promise<ForkSource> {
    return this.use(id, (entry) => this.forkSourceLive(this.known(entry, id), messages));
  }

  protected forkSourceLive(entry: SessionEntry, messages: number | undefined): Promise<ForkSource> {
    return this.host.queries.ask<ForkSource>(entry, (request) => [COMMANDS.FORK.op, entry.slot, entry.generation, request, messages]);
  }

  async waitSessionRegistered(): Promise<SessionId> {
    return this.host.creator.nextRegistration();
  }

  inspect(): HostSnapshot {
    return this.host.inspect();
  }

  /** Watch every turn from now on. Costs nothing while nobody does. @returns what ends it */
  observe(observer: TurnObserver): () => void {
    return this.host.turns.observers.add(observer);
  }

  /** @returns what the store's thread has counted; undefined without a store, and when it does not answer within a second */
  async storeCounts(): Promise<StoreCounts | undefined> {
    return this.host.persistence?.counts();
  }

  // ── system context ──

  async appendSystemContext(
    id: SessionId,
    request: requests.AppendSystemContextRequest,
  ): Promise<{ status: "applied" | "staged" | "duplicate" }> {
    const checked = parseInput(requests.AppendSystemContextRequestSchema, request, "request") as requests.AppendSystemContextRequest;
    this.host.assertOpen();
    const live = this.find(id);
    if (live === undefined) this.host.gate.enterMain();
    else this.host.gate.enter(live.lane);
    const outcome = await this.stage(this.checks.id(id), checked);
    switch (outcome.status) {
      case "staged":
      case "duplicate":
        return { status: outcome.status };
      case "empty":
        return refuse("request.text", "system context text must not be empty");
      case "full":
        throw overloaded("system_context", `session ${id} has too much system context pending`, CONTEXT_KEYS_MAX);
      case "conflict": {
        const key = checked.idempotencyKey;
        throw new SessionError(
          "SESSION_SYSTEM_CONTEXT_CONFLICT",
          `system-context idempotency conflict on session ${id}: key '${key}' already maps to different content`,
          { sessionId: id, details: { key, existing: outcome.existing } },
        );
      }
      default:
        return outcome satisfies never;
    }
  }

  /** The lane of a live session learns of an append. */
  protected feed(entry: SessionEntry, append: PendingSystemContextAppend): void {
    this.host.feedContext(entry, append);
  }

  async applyRuntimeSystemContext(id: SessionId, appends: PendingSystemContextAppend[]): Promise<void> {
    const checked = parseInput(requests.SystemContextAppends, appends, "appends") as PendingSystemContextAppend[];
    this.host.assertOpen();
    await this.writeContext(id, checked, false);
  }

  /** Write into the system message of a session, which is made live for it. @returns what it is then, if that is wanted */
  protected writeContext<B extends boolean>(id: SessionId, checked: PendingSystemContextAppend[], wantsBoundary: B): Promise<Written<B>> {
    return this.use(id, (entry) => this.writeContextLive(this.known(entry, id), checked, wantsBoundary));
  }

  protected async writeContextLive<B extends boolean>(
    entry: SessionEntry,
    checked: PendingSystemContextAppend[],
    wantsBoundary: B,
  ): Promise<Written<B>> {
    if (checked.length === 0 && !wantsBoundary) return null as Written<B>;
    const { slot, generation } = entry;
    const written = await this.host.queries.ask<Written<B>>(entry, (request) => [
      COMMANDS.APPLY_CONTEXT.op,
      slot,
      generation,
      request,
      checked,
      wantsBoundary,
    ]);
    return written;
  }

  async systemContextState(id: SessionId): Promise<SystemContextSnapshot | undefined> {
    const entry = this.find(id);
    return entry && (entry.ledger?.snapshot() ?? { pending: [], seen: {} });
  }

  // ── handles ──

  async eventInjector(id: SessionId): Promise<RemoteEventInjector | undefined> {
    const handle = await this.#handle(id, "eventInjector");
    return handle && remoteInjector(handle);
  }

  async interactionEventInjector(id: SessionId): Promise<RemoteSubscribableInjector | undefined> {
    const handle = await this.#handle(id, "interactionEventInjector");
    return handle && remoteInjector(handle);
  }

  async commsRuntime(id: SessionId): Promise<RemoteCommsRuntime | undefined> {
    const handle = await this.#handle(id, "commsRuntime");
    return handle && remoteComms(handle);
  }

  async #handle(id: SessionId, kind: HandleKind): Promise<HandleHold | undefined> {
    this.host.assertOpen();
    return this.use(id, (entry) => entry && RemoteHandle.hold(entry, kind));
  }

  // ── for servers ──

  /** @internal What a server that speaks for this host remembers of its answers: the same object every time. */
  answers(): Answers {
    return (this.#answers ??= this.makeAnswers());
  }

  protected makeAnswers(): Answers {
    return new AnswersInMemory(() => this.host.isClosed);
  }

  // ── ends ──

  /** @returns whether it was in quarantine */
  protected release(id: SessionId): boolean {
    const entry = this.find(id);
    if (entry !== undefined) entry.isSuspect = false;
    return this.host.quarantine.release(id);
  }

  async releaseQuarantine(id: SessionId): Promise<void> {
    if (!this.release(id)) this.live(id); // an unknown session is an error, one that is free is not
  }

  /** A second call is the first, whatever it says: the same promise. */
  shutdown(options: { deadlineMs?: number | undefined } = {}): Promise<void> {
    try {
      const { deadlineMs = SHUTDOWN_DEADLINE_MS } = parseInput(requests.ShutdownOptionsSchema, options, "options");
      return this.host.shutdown(deadlineMs);
    } catch (error) {
      return refusal(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  // What is in the index is an id: only what is not there needs to be checked.
  protected find(id: SessionId): SessionEntry | undefined {
    return this.host.registry.find(id) ?? this.host.registry.find(this.checks.id(id));
  }

  /**
   * Use a session when it can take a command: once it has arrived, if it is on its way from lane to lane.
   *
   * @param how - called with the session, undefined when it is not live, in the same instant: a move may begin in the next
   */
  protected async use<T>(id: SessionId, how: (entry: SessionEntry | undefined) => T | Promise<T>): Promise<T> {
    for (let waiting; (waiting = this.onItsWay(id)) !== undefined;) {
      await this.waitFor(waiting);
    }
    return how(this.find(id));
  }

  /** Wait for what becomes of a session. @throws SessionError HOST_OVERLOADED when too many callers do */
  protected async waitFor(ended: Promise<unknown>): Promise<void> {
    await this.#onTheirWay.hold(() => ended);
  }

  /** What to wait for before the session can take a command; undefined: nothing. Never rejects. */
  protected onItsWay(id: SessionId): Promise<unknown> | undefined {
    return this.host.moves?.pending(id);
  }

  /** @throws SessionError SESSION_NOT_FOUND */
  protected known(entry: SessionEntry | undefined, id: SessionId): SessionEntry {
    if (entry === undefined) throw this.host.registry.lost.notFound(id);
    return entry;
  }

  protected live(id: SessionId): SessionEntry {
    return this.host.registry.find(id) ?? this.host.live(this.checks.id(id));
  }

  protected consumer(onEvent: requests.OnEvent | undefined): TurnConsumer | undefined {
    if (onEvent === undefined) return undefined;
    const { options, events } = this.host;
    return new CallbackConsumer(onEvent, options.consumerStallMs, (reason) =>
      events.emit("consumer_detached", { details: { error: textOf(reason) } }),
    );
  }
}

/** What a turn carries beside its prompt; most carry nothing. */
function extrasOf(request: requests.StartTurnRequest, wantsBoundary: boolean): TurnExtras | undefined {
  const { skillReferences, flowToolOverlay: overlay, idempotencyKey, executionKind, preTurnContextAppends: contextAppends } = request;
  if (!skillReferences && !overlay && !idempotencyKey && !executionKind && !contextAppends && !wantsBoundary) return undefined;
  return {
    skillReferences,
    overlay,
    idempotencyKey,
    executionKind,
    contextAppends,
    ...(wantsBoundary && { wantsBoundary }),
    ...(request.idempotencyScope === "last_turn" && { isLastTurnOnly: true }),
  };
}
