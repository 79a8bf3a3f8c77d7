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
import { Session as SessionSchema } from "../protocol/session-model.ts";
import type { HostSnapshot, RunResult, SessionHistoryPage, SessionSummary, SessionView } from "../protocol/views.ts";
import { overloaded } from "./overloaded.ts";
import { RemoteHandle, remoteComms, remoteInjector } from "./remote-handles.ts";
import { DEFAULT_AGENT } from "./resolve-agents.ts";
import { channelOf } from "./session-channel.ts";
import type { SessionEventStream } from "./session-event-stream.ts";
import { SessionHost } from "./session-host.ts";
import type { SessionService } from "./session-service.ts";
import { summaryOf, viewOf } from "./session-views.ts";
import type { TurnConsumer } from "./turn-consumer.ts";
import { CallbackConsumer } from "./turn-consumer.ts";
import type { TurnStream } from "./turn-stream.ts";
import { TurnEventReader } from "./turn-stream.ts";
import type { TurnStart } from "./turn-table.ts";

/** Milliseconds running turns may take at shutdown unless told otherwise. */
const SHUTDOWN_DEADLINE_MS = 30_000;

export class EphemeralSessionService implements SessionService, AsyncDisposable {
  readonly #host: SessionHost;

  private constructor(host: SessionHost) {
    this.#host = host;
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
    const checked = parseInput(requests.CreateSessionRequestSchema, request, "request") as requests.CreateSessionRequest;
    const call = this.#callOptions(options);
    this.#checkPrompt(checked.prompt);
    const agent = this.#agentNamed(checked.agent);
    const resume = checked.build?.["resumeSession"];
    const resumeId = resume === undefined ? undefined : parseInput(SessionSchema, resume, "request.build.resumeSession").id;
    const { prompt, hostMode, skillReferences, onEvent } = checked;
    const firstTurn: TurnStart | undefined =
      checked.initialTurn === "defer"
        ? undefined
        : { prompt, hostMode, extras: skillReferences && { skillReferences }, consumer: this.#consumer(onEvent), signal: call.signal };
    return this.#host.creator.create({ request: checked, agent, resumeId, firstTurn, options: call });
  }

  startTurn(id: SessionId, request: requests.StartTurnRequest, options?: requests.CallOptions): Promise<RunResult> {
    // Not an async function: on the hottest way of all it would cost a promise and three microtasks a turn.
    try {
      const checked = parseInput(requests.StartTurnRequestSchema, request, "request") as requests.StartTurnRequest;
      return this.#start(id, checked, this.#callOptions(options), this.#consumer(checked.onEvent));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  streamTurn(id: SessionId, request: Omit<requests.StartTurnRequest, "onEvent">, options?: requests.CallOptions): TurnStream {
    const reader = new TurnEventReader(`session:${id}`, this.#host.options.consumerStallMs);
    let admitted: number | undefined;
    const start = async (): Promise<RunResult> => {
      const checked = parseInput(requests.StartTurnRequestSchema.omit({ onEvent: true }), request, "request") as requests.StartTurnRequest;
      const call = this.#callOptions(options);
      const onAdmitted = (ticket: number): void => {
        call.onAdmitted?.(ticket);
        admitted = ticket;
      };
      return this.#start(id, checked, { ...call, onAdmitted }, reader);
    };
    const result = start();
    // Admission is synchronous: by now there is a ticket or there will never be one.
    const ticket =
      admitted === undefined ? result.then(({ sessionId }) => Promise.reject<number>(notRunning(sessionId))) : Promise.resolve(admitted);
    result.catch((error: unknown) => reader.finish(error));
    ticket.catch(() => {}); // said by `result` already
    const interrupt = async (): Promise<void> => {
      if (!(await this.interruptTurn(id, await ticket))) throw notRunning(id);
    };
    return { result, ticket, interrupt, [Symbol.asyncIterator]: () => reader };
  }

  /** Everything from here to the admission is synchronous. */
  #start(
    id: SessionId,
    request: requests.StartTurnRequest,
    options: requests.CallOptions,
    consumer: TurnConsumer | undefined,
  ): Promise<RunResult> {
    const { hostMode, skillReferences, flowToolOverlay: overlay, timeoutMs, onBusy = "reject" } = request;
    const prompt = withInstructions(request.prompt, request.additionalInstructions);
    this.#checkPrompt(prompt);
    if (onBusy !== "reject")
      throw new SessionError("SESSION_UNSUPPORTED", `unsupported: onBusy "${onBusy}"`, { details: { field: "request.onBusy" } });
    this.#host.assertOpen();
    const entry = this.#live(id);
    const ticket = this.#host.turns.admit(entry, options.onAdmitted);
    const extras = skillReferences || overlay ? { skillReferences, overlay } : undefined;
    return this.#host.turns.start(entry, ticket, { prompt, hostMode, extras, consumer, timeoutMs, signal: options.signal });
  }

  async interrupt(id: SessionId): Promise<void> {
    if (!this.#host.turns.interrupt(this.#live(id), "interrupt")) throw notRunning(id);
  }

  async interruptTurn(id: SessionId, ticket: number): Promise<boolean> {
    parseInput(requests.TicketParam, ticket, "ticket");
    return this.#host.turns.interrupt(this.#live(id), "interrupt", ticket);
  }

  async cancelAfterBoundary(id: SessionId): Promise<void> {
    if (!this.#host.turns.cancelAfterBoundary(this.#live(id))) throw notRunning(id);
  }

  // ── reading ──

  async read(id: SessionId): Promise<SessionView> {
    parseInput(requests.SessionIdParam, id, "id");
    const entry = this.#host.registry.find(id);
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
    parseInput(requests.SessionIdParam, id, "id");
    const { offset = 0, limit } = parseInput(requests.SessionHistoryQuerySchema, query, "query");
    if (this.#host.registry.find(id) === undefined && this.#host.registry.archived.has(id)) {
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
    parseInput(requests.SessionIdParam, id, "id");
    const { bufferSize, after } = parseInput(requests.SubscribeOptionsSchema, options, "options");
    const entry = this.#host.registry.find(id);
    if (entry === undefined) throw new StreamError("NOT_FOUND", `session ${id}`);
    if (after !== undefined) {
      throw new SessionError("SESSION_PERSISTENCE_DISABLED", "options.after needs an event log", {
        sessionId: id,
        details: { field: "options.after" },
      });
    }
    return channelOf(entry, this.#host.table).subscribe(bufferSize);
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
    this.#host.registry.leave(this.#live(id), "archive");
  }

  async discardLiveSession(id: SessionId): Promise<void> {
    this.#host.registry.leave(this.#live(id), "discard");
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

  // ── checks ──

  #find(id: SessionId): ReturnType<SessionHost["registry"]["find"]> {
    return this.#host.registry.find(parseInput(requests.SessionIdParam, id, "id"));
  }

  #live(id: SessionId): ReturnType<SessionHost["live"]> {
    return this.#host.live(parseInput(requests.SessionIdParam, id, "id"));
  }

  /** @throws the signal's reason when it has aborted already */
  #callOptions(options: requests.CallOptions | undefined): requests.CallOptions {
    if (options === undefined) return {};
    const checked = parseInput(requests.CallOptionsSchema, options, "options");
    checked.signal?.throwIfAborted();
    return checked;
  }

  #consumer(onEvent: requests.OnEvent | undefined): TurnConsumer | undefined {
    if (onEvent === undefined) return undefined;
    const { consumerStallMs, logger } = this.#host.options;
    return new CallbackConsumer(onEvent, consumerStallMs, (reason) => logger?.warn({ error: String(reason) }, "event consumer detached"));
  }

  #checkPrompt(prompt: string): void {
    const { maxPromptBytes } = this.#host.options;
    // A UTF-16 unit is at most three bytes, so most prompts need no counting.
    if (prompt.length * 3 <= maxPromptBytes) return;
    const bytes = Buffer.byteLength(prompt);
    if (bytes > maxPromptBytes) refuse("request.prompt", `is ${bytes} bytes, the limit is ${maxPromptBytes}`);
  }

  #agentNamed(name: string | undefined): string {
    const names = Object.keys(this.#host.agents);
    if (name === undefined && names.length > 1 && !names.includes(DEFAULT_AGENT)) {
      return refuse("request.agent", `is needed: this host has ${names.join(", ")}`);
    }
    const wanted = name ?? (names.length === 1 ? (names[0] as string) : DEFAULT_AGENT);
    if (!Object.hasOwn(this.#host.agents, wanted))
      refuse("request.agent", `no agent is named ${wanted}: this host has ${names.join(", ")}`);
    return wanted;
  }
}

/** Each instruction as a notice ahead of the prompt; together they are the user message. */
function withInstructions(prompt: string, instructions: readonly string[] | undefined): string {
  return instructions === undefined ? prompt : `${instructions.map((text) => `[SYSTEM NOTICE: ${text}]\n\n`).join("")}${prompt}`;
}
