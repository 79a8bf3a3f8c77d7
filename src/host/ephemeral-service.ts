/**
 * The ephemeral session service: everything in memory, gone with the process. Checks every request, then hands it to the host.
 * What each operation means is in docs/guarantees.md.
 */
import { SystemContextLedger } from "../core/system-context.ts";
import { SessionError, StreamError, notFound, notRunning } from "../protocol/errors.ts";
import type { RemoteCommsRuntime, RemoteEventInjector, RemoteSubscribableInjector } from "../protocol/handles.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { SessionServiceOptions } from "../protocol/options.ts";
import { SessionServiceOptionsSchema } from "../protocol/options.ts";
import { parseInput, refuse } from "../protocol/parse.ts";
import * as requests from "../protocol/requests.ts";
import type { Message, PendingSystemContextAppend, Session, SystemContextSnapshot } from "../protocol/session-model.ts";
import type { HostSnapshot, RunResult, SessionHistoryPage, SessionSummary, SessionView } from "../protocol/views.ts";
import { overloaded } from "./overloaded.ts";
import { RemoteHandle, remoteComms, remoteInjector } from "./remote-handles.ts";
import { RequestChecks } from "./request-checks.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionEventStream } from "./session-event-stream.ts";
import { SessionHost } from "./session-host.ts";
import type { SessionService } from "./session-service.ts";
import { summaryOf, viewOf } from "./session-views.ts";
import type { TurnConsumer } from "./turn-consumer.ts";
import { CallbackConsumer } from "./turn-consumer.ts";
import type { TurnStream } from "./turn-stream.ts";
import { streamOf, TurnEventReader } from "./turn-stream.ts";
import type { TurnStart } from "./turn-table.ts";

/** Milliseconds running turns may take at shutdown unless told otherwise. */
const SHUTDOWN_DEADLINE_MS = 30_000;

export class EphemeralSessionService implements SessionService, AsyncDisposable {
  readonly #host: SessionHost;
  readonly #checks: RequestChecks;

  private constructor(host: SessionHost) {
    this.#host = host;
    this.#checks = new RequestChecks(Object.keys(host.agents), host.options.maxPromptBytes);
  }

  /**
   * Start a host: its lanes are up and its agents loaded when this resolves.
   *
   * @throws SessionError INVALID_PARAMS naming the option, or the agent that does not load with its module and the reason
   */
  static async open(options: SessionServiceOptions): Promise<EphemeralSessionService> {
    return new EphemeralSessionService(await SessionHost.open(parseInput(SessionServiceOptionsSchema, options, "options")));
  }

  // ── turns ──

  async createSession(request: requests.CreateSessionRequest, options?: requests.CallOptions): Promise<RunResult> {
    const order = this.#checks.create(request);
    const call = this.#checks.callOptions(options);
    const { prompt, hostMode, skillReferences, onEvent, initialTurn } = order.request;
    const firstTurn: TurnStart | undefined =
      initialTurn === "defer"
        ? undefined
        : { prompt, hostMode, extras: skillReferences && { skillReferences }, consumer: this.#consumer(onEvent), ...call };
    return this.#host.creator.create({ ...order, firstTurn, signal: call.signal });
  }

  startTurn(id: SessionId, request: requests.StartTurnRequest, options?: requests.CallOptions): Promise<RunResult> {
    // Not an async function: on the hottest way of all it would cost a promise and three microtasks a turn.
    try {
      const checked = this.#checks.turn(request);
      return this.#start(id, checked, this.#checks.callOptions(options), this.#consumer(checked.onEvent));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  streamTurn(id: SessionId, request: Omit<requests.StartTurnRequest, "onEvent">, options?: requests.CallOptions): TurnStream {
    const reader = new TurnEventReader(`session:${String(id)}`, this.#host.options.consumerStallMs);
    return streamOf(
      reader,
      async (onAdmitted) => {
        const checked = this.#checks.turn(request);
        if (checked.onEvent !== undefined) refuse("request.onEvent", "a stream is its turn's only consumer");
        const call = this.#checks.callOptions(options);
        const tellBoth = (ticket: number): void => {
          onAdmitted(ticket);
          call.onAdmitted?.(ticket);
        };
        return this.#start(id, checked, { ...call, onAdmitted: tellBoth }, reader);
      },
      async (ticket) => {
        if (!(await this.interruptTurn(id, ticket))) throw notRunning(id);
      },
    );
  }

  /** Everything from here to the admission is synchronous. */
  #start(
    id: SessionId,
    request: requests.StartTurnRequest,
    options: requests.CallOptions,
    consumer: TurnConsumer | undefined,
  ): Promise<RunResult> {
    const { prompt, hostMode, skillReferences, flowToolOverlay: overlay, timeoutMs } = request;
    const { signal, onAdmitted } = options;
    this.#host.assertOpen();
    const entry = this.#live(id);
    const ticket = this.#host.turns.admit(entry);
    const extras = skillReferences || overlay ? { skillReferences, overlay } : undefined;
    return this.#host.turns.start(entry, ticket, { prompt, hostMode, extras, consumer, timeoutMs, signal, onAdmitted });
  }

  async interrupt(id: SessionId): Promise<void> {
    if (!this.#host.turns.interrupt(this.#live(id), "interrupt")) throw notRunning(id);
  }

  async interruptTurn(id: SessionId, ticket: number): Promise<boolean> {
    parseInput(requests.TicketParam, ticket, "ticket");
    const turn = this.#host.turns.find(this.#checks.id(id), ticket);
    if (turn !== undefined) return this.#host.turns.interruptTurn(turn, "interrupt");
    this.#live(id); // an unknown session is an error, a turn that has ended is not
    return false;
  }

  async cancelAfterBoundary(id: SessionId): Promise<void> {
    if (!this.#host.turns.cancelAfterBoundary(this.#live(id))) throw notRunning(id);
  }

  // ── reading ──

  async read(id: SessionId): Promise<SessionView> {
    const entry = this.#find(id);
    if (entry !== undefined) return viewOf(this.#host.table, entry);
    const archived = this.#host.registry.archived.get(id);
    if (archived === undefined) throw notFound(id);
    return structuredClone(archived);
  }

  async list(query: requests.SessionQuery = {}): Promise<SessionSummary[]> {
    const { labels, after, offset = 0, limit = Infinity } = parseInput(requests.SessionQuerySchema, query, "query");
    const wanted = Object.entries(labels ?? {});
    const page: SessionSummary[] = [];
    let skipped = 0;
    if (limit === 0) return page;
    for (const entry of this.#host.registry.list(after)) {
      if (!wanted.every(([key, value]) => Object.hasOwn(entry.labels, key) && entry.labels[key] === value)) continue;
      if (skipped++ < offset) continue;
      page.push(summaryOf(this.#host.table, entry));
      if (page.length >= limit) break;
    }
    return page;
  }

  async readHistory(id: SessionId, query: requests.SessionHistoryQuery = {}): Promise<SessionHistoryPage> {
    const { offset = 0, limit } = parseInput(requests.SessionHistoryQuerySchema, query, "query");
    if (this.#find(id) === undefined && this.#host.registry.archived.has(id)) {
      throw new SessionError("SESSION_PERSISTENCE_DISABLED", "session persistence is disabled", { sessionId: id });
    }
    const entry = this.#live(id);
    const answer = await this.#host.query<{ messageCount: number; messages: Message[] }>(entry, (request) => [
      COMMANDS.HISTORY.op,
      entry.slot,
      entry.generation,
      request,
      offset,
      limit,
    ]);
    const { messageCount, messages } = answer;
    const start = Math.min(offset, messageCount);
    const page: SessionHistoryPage = {
      sessionId: id,
      messageCount,
      offset: start,
      hasMore: start + messages.length < messageCount,
      messages,
    };
    if (limit !== undefined) page.limit = limit;
    return page;
  }

  async exportSession(id: SessionId): Promise<Session> {
    const entry = this.#live(id);
    return this.#host.query<Session>(entry, (request) => [COMMANDS.EXPORT.op, entry.slot, entry.generation, request]);
  }

  subscribeSessionEvents(id: SessionId, options: requests.SubscribeOptions = {}): SessionEventStream {
    const { bufferSize, after } = parseInput(requests.SubscribeOptionsSchema, options, "options");
    const entry = this.#find(id);
    if (entry === undefined) throw new StreamError("NOT_FOUND", `session ${id}`);
    if (after !== undefined) {
      throw new SessionError("SESSION_PERSISTENCE_DISABLED", "options.after needs an event log", {
        sessionId: id,
        details: { field: "options.after" },
      });
    }
    return this.#host.registry.channelOf(entry).subscribe(bufferSize);
  }

  async waitSessionRegistered(): Promise<SessionId> {
    return this.#host.creator.nextRegistration();
  }

  inspect(): HostSnapshot {
    return this.#host.inspect();
  }

  // ── system context ──

  async appendSystemContext(
    id: SessionId,
    request: requests.AppendSystemContextRequest,
  ): Promise<{ status: "applied" | "staged" | "duplicate" }> {
    const checked = parseInput(requests.AppendSystemContextRequestSchema, request, "request") as requests.AppendSystemContextRequest;
    const entry = this.#live(id);
    const ledger = (entry.ledger ??= new SystemContextLedger());
    const outcome = ledger.stage(checked, Date.now());
    switch (outcome.status) {
      case "staged":
        entry.lane.link.send([COMMANDS.STAGE_CONTEXT.op, entry.slot, entry.generation, outcome.append], outcome.append.text.length);
        return { status: "staged" };
      case "duplicate":
        return { status: "duplicate" };
      case "empty":
        return refuse("request.text", "system context text must not be empty");
      case "full":
        throw overloaded("system_context", `session ${id} has too much system context pending`, ledger.snapshot().pending.length);
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

  async applyRuntimeSystemContext(id: SessionId, appends: PendingSystemContextAppend[]): Promise<void> {
    const checked = parseInput(requests.SystemContextAppends, appends, "appends") as PendingSystemContextAppend[];
    const entry = this.#live(id);
    if (checked.length === 0) return;
    await this.#host.query(entry, (request) => [COMMANDS.APPLY_CONTEXT.op, entry.slot, entry.generation, request, checked]);
  }

  async systemContextState(id: SessionId): Promise<SystemContextSnapshot | undefined> {
    const entry = this.#find(id);
    return entry && (entry.ledger?.snapshot() ?? { pending: [], seen: {} });
  }

  // ── handles ──

  async eventInjector(id: SessionId): Promise<RemoteEventInjector | undefined> {
    const entry = this.#find(id);
    const handle = entry && (await RemoteHandle.open(entry, "eventInjector"));
    return handle && remoteInjector(handle);
  }

  async interactionEventInjector(id: SessionId): Promise<RemoteSubscribableInjector | undefined> {
    const entry = this.#find(id);
    const handle = entry && (await RemoteHandle.open(entry, "interactionEventInjector"));
    return handle && remoteInjector(handle);
  }

  async commsRuntime(id: SessionId): Promise<RemoteCommsRuntime | undefined> {
    const entry = this.#find(id);
    const handle = entry && (await RemoteHandle.open(entry, "commsRuntime"));
    return handle && remoteComms(handle);
  }

  // ── ends ──

  async archive(id: SessionId): Promise<void> {
    this.#host.leave(this.#live(id), "archive");
  }

  async discardLiveSession(id: SessionId): Promise<void> {
    this.#host.leave(this.#live(id), "discard");
  }

  async releaseQuarantine(id: SessionId): Promise<void> {
    this.#live(id); // nothing of an ephemeral host is ever in quarantine: its sessions end with their lane
  }

  async shutdown(options: { deadlineMs?: number | undefined } = {}): Promise<void> {
    const { deadlineMs = SHUTDOWN_DEADLINE_MS } = parseInput(requests.ShutdownOptionsSchema, options, "options");
    await this.#host.shutdown(deadlineMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  // What is in the index is an id: only what is not there needs to be checked.
  #find(id: SessionId): SessionEntry | undefined {
    return this.#host.registry.find(id) ?? this.#host.registry.find(this.#checks.id(id));
  }

  #live(id: SessionId): SessionEntry {
    return this.#host.registry.find(id) ?? this.#host.live(this.#checks.id(id));
  }

  #consumer(onEvent: requests.OnEvent | undefined): TurnConsumer | undefined {
    if (onEvent === undefined) return undefined;
    const { consumerStallMs, logger } = this.#host.options;
    return new CallbackConsumer(onEvent, consumerStallMs, (reason) => logger?.warn({ error: String(reason) }, "event consumer detached"));
  }
}
