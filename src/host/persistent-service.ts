/**
 * The persistent session service: sessions are kept in a store, sleep there when they are not used, and wake on their next turn. What
 * each operation means is in docs/guarantees.md.
 *
 * A session is live (in a lane), on its way out of one, waking, or asleep. What can be answered from where it is is answered there; what
 * needs its agent wakes it.
 */
import type { StageOutcome } from "../core/system-context.ts";
import { SystemContextLedger } from "../core/system-context.ts";
import { lockHolder } from "../core/turn-lock.ts";
import { SessionError, busy, duplicateId, notFound, notRunning, takenId } from "../protocol/errors.ts";
import type { ForkSource } from "../protocol/fork-source.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { PersistenceOptions, SessionServiceOptions } from "../protocol/options.ts";
import { PersistenceOptionsSchema } from "../protocol/options.ts";
import { parseInput, refuse } from "../protocol/parse.ts";
import * as requests from "../protocol/requests.ts";
import type { PendingSystemContextAppend, Session, SystemContextSnapshot } from "../protocol/session-model.ts";
import type { RunResult, SessionHistoryPage, SessionSummary, SessionView } from "../protocol/views.ts";
import type { Answers } from "./answers.ts";
import { StoredAnswers } from "./answers.ts";
import { sessionOfSnapshot, takeSnapshot } from "./committed-snapshots.ts";
import { EventHistory, EventSource } from "./event-history.ts";
import type { Written } from "./live-session-service.ts";
import { MachineService } from "./machine-service.ts";
import type { Persistence } from "./persistence.ts";
import { ResumedStream } from "./resumed-stream.ts";
import type { CreateOrder } from "./session-creator.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionEventStream } from "./session-event-stream.ts";
import { SessionHost } from "./session-host.ts";
import { SessionRuntimes } from "../runtime/session-runtimes.ts";
import { makeRuntimesOf, runtimesOf } from "./service-runtimes.ts";
import { storedSummary, storedView, summaryOf, viewOf } from "./session-views.ts";
import { StoreThread } from "./store-thread.ts";
import { StoredRuntimes } from "./stored-runtimes.ts";
import { asSessionError, StoredSessions } from "./stored-sessions.ts";
import type { TurnStart } from "./turn-table.ts";
import type { WakingContext } from "./waking-context.ts";
import { mayTake } from "./waking-context.ts";

export class PersistentSessionService extends MachineService {
  readonly #keeping: Persistence;
  readonly #stored: StoredSessions;

  private constructor(host: SessionHost, keeping: Persistence) {
    super(host);
    this.#keeping = keeping;
    this.#stored = new StoredSessions(keeping.client, () => host.isOpen);
  }

  /**
   * Open the store and start a host over it: lanes are up and agents loaded when this resolves. No stored session is made live.
   *
   * @throws SessionError INVALID_PARAMS naming the option or the agent that does not load, SESSION_STORE_ERROR saying what is wrong with
   * the store and where; nothing is left behind
   */
  static async open(options: SessionServiceOptions & PersistenceOptions): Promise<PersistentSessionService> {
    const checked = parseInput(PersistenceOptionsSchema, options, "options");
    let thread: StoreThread;
    try {
      thread = await StoreThread.start(checked);
    } catch (error) {
      throw asSessionError(error);
    }
    if (checked.events === "log" && !thread.has.events) {
      await thread.close();
      refuse("options.events", "the store keeps no events");
    }
    if (checked.runtime === "durable" && !thread.has.runtimes) {
      await thread.close();
      refuse("options.runtime", "the store keeps no runtimes");
    }
    const service = PersistentSessionService.over(await SessionHost.open(checked, undefined, { thread, options: checked }));
    if (checked.runtime === "durable") await service.#openRuntimes();
    return service;
  }

  /** Make the service's runtimes, with those that are stored. @throws SessionError SESSION_STORE_ERROR; the service is shut down then */
  async #openRuntimes(): Promise<void> {
    const rows = new StoredRuntimes(this.#stored);
    const runtimes = makeRuntimesOf(this, () => new SessionRuntimes(this.runtimeHost(), rows));
    try {
      for await (const stored of rows.all()) runtimes.restore(stored);
    } catch (error) {
      await this.shutdown({ deadlineMs: 0 });
      throw error;
    }
  }

  /** @internal Over a host that is open and has a store: what a simulation puts below it is in its threads' place. */
  static over(host: SessionHost): PersistentSessionService {
    return new PersistentSessionService(host, host.persistence as Persistence);
  }

  /** The session in its lane, able to take a command. */
  #awake(id: SessionId): SessionEntry | undefined {
    const entry = this.find(id);
    return entry?.state === "live" ? entry : undefined;
  }

  /** The session in its lane: woken, if it sleeps. @throws SessionError */
  async #wake(id: SessionId): Promise<SessionEntry> {
    this.host.assertOpen();
    return this.#awake(id) ?? this.#keeping.wakes.wake(this.checks.id(id));
  }

  // ── turns ──

  protected override async assertFree(id: SessionId): Promise<void> {
    const keeping = this.#keeping;
    this.host.assertOpen();
    await this.withoutAbandoned(id);
    const isHere = this.find(id) !== undefined || keeping.wakes.pending(id) !== undefined || keeping.replaced(id) !== undefined;
    if (isHere || keeping.departures.of(id) !== undefined) throw takenId(id);
    await keeping.ended(id); // an earlier create of it may have failed a moment ago
    if ((await this.#stored.ask(id, "head", id)) !== null) throw takenId(id);
  }

  protected override async create(order: CreateOrder): Promise<RunResult> {
    const { resumeId, sessionId } = order;
    const keeping = this.#keeping;
    if (sessionId !== undefined) for (let ended; (ended = keeping.ended(sessionId)) !== undefined;) await ended;
    if (resumeId === undefined) return super.create(order);
    // Nothing is awaited that is not there: from now on nobody else is to make it live.
    if (this.host.abandoned.of(resumeId) !== undefined) await this.withoutAbandoned(resumeId);
    const isOnItsWay = keeping.wakes.pending(resumeId) !== undefined || keeping.replaced(resumeId) !== undefined;
    if (isOnItsWay || this.find(resumeId) !== undefined || this.host.creator.isChosen(resumeId)) throw duplicateId(resumeId);
    const request = withStoredLabels(order.request);
    try {
      return await keeping.replacing(resumeId, (onBuilt) => super.create({ ...order, request, onBuilt }));
    } catch (error) {
      throw isStale(error) && (await this.#wasResumed(resumeId, request.idempotencyKey)) ? duplicateId(resumeId) : error;
    }
  }

  /** Whether what is stored is newer because the same create was done before: the turn it began with is there to be asked for. */
  async #wasResumed(id: SessionId, key: string | undefined): Promise<boolean> {
    return key !== undefined && this.#stored.hasTurn(id, key, this.#keeping.keepsTurns);
  }

  protected override admit(id: SessionId, start: TurnStart): Promise<RunResult> {
    const entry = this.find(id);
    if (entry?.state === "live") {
      this.#keeping.used(entry);
      return this.startLive(entry, start);
    }
    if (this.host.lines.isWaitedFor(id)) throw busy(id); // its lane may have freed it a moment ago: the line goes first
    return this.#keeping.wakes.startTurn(this.checks.id(id), start);
  }

  override async interrupt(id: SessionId): Promise<void> {
    const entry = this.#awake(id);
    if (entry !== undefined && this.host.turns.interrupt(entry, "interrupt")) return;
    if (this.#keeping.wakes.interrupt(id, "interrupt")) return;
    if (entry === undefined) await this.#stored.sleeping(this.checks.id(id));
    throw notRunning(id);
  }

  override async interruptTurn(id: SessionId, ticket: number): Promise<boolean> {
    parseInput(requests.TicketParam, ticket, "ticket");
    const turn = this.host.turns.find(this.checks.id(id), ticket);
    if (turn !== undefined) return this.host.turns.interruptTurn(turn, "interrupt");
    if (this.#keeping.wakes.interrupt(id, "interrupt", ticket)) return true;
    if (this.find(id) === undefined) await this.#stored.head(id); // an unknown session is an error, a turn that has ended is not
    return false;
  }

  override async cancelAfterBoundary(id: SessionId): Promise<void> {
    const entry = this.#awake(id);
    if (entry !== undefined && this.host.turns.cancelAfterBoundary(entry)) return;
    if (entry === undefined) await this.#stored.sleeping(this.checks.id(id));
    throw notRunning(id);
  }

  // ── reading ──

  async read(id: SessionId): Promise<SessionView> {
    const entry = this.find(id);
    if (entry !== undefined) return viewOf(this.host.table, entry, this.#keeping.wakes.isActive(id));
    const head = await this.#stored.head(id);
    const leaving = head.isArchived ? undefined : this.#onItsWayOut(id);
    if (leaving === undefined) return storedView(head, this.#isActive(id));
    await this.waitFor(leaving);
    return this.read(id);
  }

  /** Of one that is stored: what it is to be waited for that may remove it. Whoever only resumed a session does not remove it by giving up. */
  #onItsWayOut(id: SessionId): Promise<void> | undefined {
    return (this.host.creator.isChosen(id) ? this.host.abandoned.of(id) : undefined) ?? this.#keeping.ended(id);
  }

  async list(query: requests.SessionQuery = {}): Promise<SessionSummary[]> {
    const { labels, after, offset, limit = Infinity } = parseInput(requests.SessionQuerySchema, query, "query");
    const page: SessionSummary[] = [];
    for await (const row of this.#stored.list({ labels, after, offset, limit })) {
      const live = this.find(row.id);
      page.push(
        live === undefined
          ? storedSummary(row, this.#isActive(row.id))
          : summaryOf(this.host.table, live, this.#keeping.wakes.isActive(row.id)),
      );
    }
    return page;
  }

  /** Of a session that is not live. */
  #isActive(id: SessionId): boolean {
    return this.#keeping.wakes.isActive(id) || this.#keeping.departures.isActive(id);
  }

  async readHistory(id: SessionId, query: requests.SessionHistoryQuery = {}): Promise<SessionHistoryPage> {
    const { offset = 0, limit } = parseInput(requests.SessionHistoryQuerySchema, query, "query");
    this.host.assertOpen();
    return this.#whereItIs(id, (entry) =>
      entry === undefined ? this.#stored.history(id, { offset, limit }) : this.liveHistory(entry, { offset, limit }),
    );
  }

  override async exportSession(id: SessionId): Promise<Session> {
    this.host.assertOpen();
    return this.#whereItIs(id, (entry) => (entry === undefined ? this.#exportStored(id) : this.exportLive(entry)));
  }

  protected override async forkSource(id: SessionId, messages: number | undefined): Promise<ForkSource> {
    return this.#whereItIs(id, (entry) =>
      entry === undefined ? this.#stored.forkSource(id, messages) : this.forkSourceLive(entry, messages),
    );
  }

  /** As `use`; one that had left its lane before it was asked there is asked where it is now. */
  async #whereItIs<T>(id: SessionId, ask: (entry: SessionEntry | undefined) => Promise<T>): Promise<T> {
    for (;;) {
      let asked: SessionEntry | undefined;
      try {
        return await this.use(id, (entry) => ask((asked = entry)));
      } catch (error) {
        if (asked === undefined || !hasLeft(asked, error)) throw error;
      }
    }
  }

  async #exportStored(id: SessionId): Promise<Session> {
    const session = await this.loadPersistedSession(id);
    if (session === undefined) throw notFound(id);
    return session;
  }

  /** The whole session as the store has it: its last durable boundary, archived or not. Undefined when it is not stored. */
  async loadPersisted(id: SessionId): Promise<Session | undefined> {
    return this.#stored.session(this.checks.id(id));
  }

  /** It may be falling asleep, waking or being replaced. */
  protected override onItsWay(id: SessionId): Promise<unknown> | undefined {
    const entry = this.find(id);
    if (entry?.state === "live") return undefined;
    if (entry !== undefined) return this.#keeping.gone(id);
    return this.#keeping.wakes.pending(this.checks.id(id))?.catch(() => {}) ?? this.#keeping.replaced(id); // what the store says decides
  }

  subscribeSessionEvents(id: SessionId, options: requests.SubscribeOptions = {}): SessionEventStream {
    const { bufferSize, after } = parseInput(requests.SubscribeOptionsSchema, options, "options");
    this.host.assertOpen();
    this.checks.id(id);
    if (after !== undefined && this.#keeping.options.events !== "log") {
      const details = { field: "options.after" };
      throw new SessionError("SESSION_PERSISTENCE_DISABLED", "options.after needs an event log", { sessionId: id, details });
    }
    const history = after === undefined ? undefined : new EventHistory(id, after, new EventSource(id, this.host, this.#stored));
    const entry = this.find(id) ?? this.#unarchived(this.#keeping.departures.of(id));
    const channel = entry === undefined ? this.#keeping.channels.of(id) : this.host.registry.channelOf(entry);
    const live = channel.subscribe(bufferSize);
    if (history !== undefined) return new ResumedStream(`session:${id}`, live, history);
    if (entry === undefined) void this.#stored.orEnd(id, live);
    return live;
  }

  /** A session that leaves and may come back: its subscribers go with it. */
  #unarchived(leaving: SessionEntry | undefined): SessionEntry | undefined {
    return leaving?.kept === undefined || leaving.isArchived ? undefined : leaving;
  }

  // ── system context ──

  protected async stage(id: SessionId, request: requests.AppendSystemContextRequest): Promise<StageOutcome> {
    let entry: SessionEntry | undefined;
    let waking: WakingContext | undefined;
    const ledgerOf = async (): Promise<SystemContextLedger> => {
      entry = this.find(id);
      if (entry !== undefined) return (entry.ledger ??= new SystemContextLedger());
      waking = this.#keeping.wakingContext(id);
      if (waking !== undefined) return waking.ledger();
      this.#keeping.recent.forget(id);
      const head = await this.#stored.sleeping(this.checks.id(id));
      const context = await this.#stored.ask(id, "context", id);
      return context === null ? new SystemContextLedger() : SystemContextLedger.from(context, head.contextTaken);
    };
    for (let replaced; (replaced = this.#keeping.replaced(id)) !== undefined;) await this.waitFor(replaced); // then it is for the new one
    try {
      const outcome = await this.#keeping.contexts.stage(id, request, Date.now(), ledgerOf);
      if (outcome.status !== "staged") return outcome;
      // One that fell asleep meanwhile finds the append in the store when it wakes.
      if (entry !== undefined && mayTake(entry)) this.feed(entry, outcome.append);
      waking?.staged(outcome.append);
      return outcome;
    } catch (error) {
      throw asSessionError(error, id);
    }
  }

  protected override async writeContext<B extends boolean>(
    id: SessionId,
    checked: PendingSystemContextAppend[],
    wantsBoundary: B,
  ): Promise<Written<B>> {
    for (;;) {
      const entry = await this.#wake(id);
      if (entry.state !== "live") continue; // it has left already
      try {
        return await this.writeContextLive(entry, checked, wantsBoundary);
      } catch (error) {
        if (!hasLeft(entry, error)) throw error;
      }
    }
  }

  override async systemContextState(id: SessionId): Promise<SystemContextSnapshot | undefined> {
    const entry = this.find(id);
    if (entry !== undefined) return super.systemContextState(id);
    const head = await this.#stored.ask(id, "head", this.checks.id(id));
    if (head === null || head.isArchived) return undefined;
    const context = await this.#stored.ask(id, "context", id);
    return context === null ? { pending: [], seen: {} } : SystemContextLedger.from(context, head.contextTaken).snapshot();
  }

  // ── the facade ──

  supportsPersistentSessions(): boolean {
    return true;
  }

  async loadPersistedSession(id: SessionId): Promise<Session | undefined> {
    const session = await this.loadPersisted(id);
    return session?.metadata["session_archived"] === true ? undefined : session;
  }

  async checkpointCommittedRuntimeSessionSnapshot(id: SessionId, snapshot: Uint8Array): Promise<void> {
    const session = sessionOfSnapshot(this.checks.id(id), snapshot);
    this.host.assertOpen();
    this.#keeping.recent.forget(id);
    await this.use(id, (entry) => takeSnapshot(this.host, this.#stored, entry, session));
  }

  /** Write no checkpoint of the sessions that are live now. Resolves when none is being written. */
  async cancelAllCheckpointers(): Promise<void> {
    this.host.assertOpen();
    await this.#stored.ask(undefined, "cancelCheckpoints");
  }

  /** Write checkpoints again. */
  async rearmAllCheckpointers(): Promise<void> {
    this.host.assertOpen();
    await this.#stored.ask(undefined, "rearmCheckpoints");
  }

  // ── ends ──

  /**
   * Save an idle live session and drop it from memory; its next turn makes it live again. Resolves at once for one that sleeps already.
   *
   * @throws SessionError SESSION_BUSY when a turn runs, a handle of its agent is open, or it is in host mode
   */
  async hibernate(id: SessionId): Promise<void> {
    this.host.assertOpen();
    await this.#whereItIs(id, async (entry) => {
      if (entry === undefined) await this.#stored.sleeping(this.checks.id(id));
      else await this.#keeping.hibernation.hibernate(entry);
    });
  }

  /** Also Ok for a session that is archived already. */
  async archive(id: SessionId): Promise<void> {
    const entry = await this.use(id, (live) => {
      const found = live ?? this.#keeping.departures.of(id);
      if (found !== undefined) found.isArchived = true;
      if (live !== undefined) this.host.leave(live, "discard");
      else this.host.lines.lookSoon(id);
      return found;
    });
    const { archivePolicy } = this.#keeping.options;
    const runs = entry !== undefined && lockHolder(this.host.table, entry.slot) > 0;
    const ticket = entry?.turn?.ticket;
    let isStored: boolean;
    try {
      isStored =
        archivePolicy === "delete" && !runs
          ? await this.#remove(id)
          : await this.#keeping.ending(id, () => this.#stored.ask(id, "archive", id, ticket));
    } catch (error) {
      if (entry !== undefined) entry.isArchived = false; // it lives on, and its next turn waits until it has left its lane
      throw error;
    }
    if (!isStored) throw notFound(id);
    this.#keeping.channels.end(id);
    this.host.quarantine.forget(id);
    if (archivePolicy === "delete" && runs) this.#keeping.onUnwanted(entry);
    await this.sessionEnded(id, "retire");
  }

  async #remove(id: SessionId): Promise<boolean> {
    return this.#keeping.ending(id, async () => {
      await this.#keeping.gone(id);
      return this.#stored.ask(id, "remove", id);
    });
  }

  /** Drop the live session and forget what is not saved: its next turn begins from the last durable boundary. */
  async discardLiveSession(id: SessionId): Promise<void> {
    await this.use(id, (entry) => {
      if (entry === undefined) throw notFound(id);
      this.host.leave(entry, "discard");
    });
    await this.sessionEnded(id, "stop");
  }

  /**
   * Remove an archived session, its history and its events for good.
   *
   * @throws SessionError SESSION_UNSUPPORTED when it is not archived
   */
  async purge(id: SessionId): Promise<void> {
    this.host.assertOpen();
    const head = await this.#stored.head(this.checks.id(id));
    if (!head.isArchived)
      throw new SessionError("SESSION_UNSUPPORTED", `unsupported: purge of session ${id}, which is not archived`, { sessionId: id });
    await this.#remove(id);
    await this.sessionEnded(id, "destroy");
  }

  /** Write a copy of the store to `path`, which must not exist, while sessions go on. @throws SessionError SESSION_STORE_ERROR */
  async backup(path: string): Promise<void> {
    if (typeof path !== "string" || path === "") refuse("path", "must be a path");
    this.host.assertOpen();
    await this.#stored.ask(undefined, "backup", path);
  }

  /** In the store, if it keeps answers. */
  protected override makeAnswers(): Answers {
    return this.#keeping.keepsAnswers ? new StoredAnswers(this.#stored) : super.makeAnswers();
  }

  // ── the machine ──

  protected override runtimes(): SessionRuntimes | undefined {
    return runtimesOf(this);
  }

  protected override async assertExists(id: SessionId): Promise<void> {
    if (this.find(id) === undefined) await this.#stored.sleeping(this.checks.id(id));
  }

  protected override busyWith(id: SessionId): Promise<unknown> | undefined {
    return this.#keeping.departures.over(id) ?? super.busyWith(id);
  }

  override async releaseQuarantine(id: SessionId): Promise<void> {
    if (this.release(id) || this.find(id) !== undefined) return;
    await this.#stored.sleeping(this.checks.id(id)); // an unknown session is an error, one that is free is not
  }
}

/** What the session was asked never reached it: it had left its lane, and is in the store. */
function hasLeft({ state, isArchived }: SessionEntry, error: unknown): boolean {
  return error instanceof SessionError && error.code === "SESSION_NOT_FOUND" && state !== "live" && !isArchived;
}

function isStale(error: unknown): boolean {
  return error instanceof SessionError && error.code === "SESSION_STORE_ERROR" && error.details?.["reason"] === "stale";
}

/** A create that resumes a session without naming labels keeps those the session has. */
function withStoredLabels(request: requests.CreateSessionRequest): requests.CreateSessionRequest {
  if (request.labels !== undefined) return request;
  const parsed = requests.CreateSessionRequestSchema.shape.labels.safeParse(request.build?.resumeSession?.metadata["session_labels"]);
  return parsed.success && parsed.data !== undefined ? { ...request, labels: parsed.data } : request;
}
