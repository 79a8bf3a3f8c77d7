/** The ephemeral session service: everything in memory, gone with the process. What each operation means is in docs/guarantees.md. */
import type { StageOutcome } from "../core/system-context.ts";
import { SystemContextLedger } from "../core/system-context.ts";
import { SessionError, StreamError, notRunning, takenId } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { SessionServiceOptions } from "../protocol/options.ts";
import { SessionServiceOptionsSchema } from "../protocol/options.ts";
import { parseInput } from "../protocol/parse.ts";
import * as requests from "../protocol/requests.ts";
import type { Session } from "../protocol/session-model.ts";
import type { RunResult, SessionHistoryPage, SessionSummary, SessionView } from "../protocol/views.ts";
import { MachineService } from "./machine-service.ts";
import type { Moves } from "./moves.ts";
import type { RuntimeAdapter } from "../runtime/runtime-adapter.ts";
import { SessionRuntimes } from "../runtime/session-runtimes.ts";
import { makeRuntimesOf } from "./service-runtimes.ts";
import type { SessionEventStream } from "./session-event-stream.ts";
import { SessionHost } from "./session-host.ts";
import { summaryOf, viewOf } from "./session-views.ts";
import type { TurnStart } from "./turn-table.ts";

export class EphemeralSessionService extends MachineService {
  get #moves(): Moves {
    return this.host.moves as Moves;
  }

  /**
   * Start a host: its lanes are up and its agents loaded when this resolves.
   *
   * @throws SessionError INVALID_PARAMS naming the option, or the agent that does not load with its module and the reason
   */
  static async open(options: SessionServiceOptions): Promise<EphemeralSessionService> {
    return new EphemeralSessionService(await SessionHost.open(parseInput(SessionServiceOptionsSchema, options, "options")));
  }

  protected override async assertFree(id: SessionId): Promise<void> {
    await this.withoutAbandoned(id);
    const { registry } = this.host;
    if (this.find(id) !== undefined || registry.archived.has(id) || registry.isLeaving(id)) throw takenId(id);
  }

  protected override admit(id: SessionId, start: TurnStart): Promise<RunResult> {
    const entry = this.live(id);
    return entry.state === "moving" ? this.#moves.startTurn(entry.id, start) : this.startLive(entry, start);
  }

  override async interrupt(id: SessionId): Promise<void> {
    if (!this.host.turns.interrupt(this.live(id), "interrupt") && !this.#moves.interrupt(id, "interrupt")) throw notRunning(id);
  }

  override async interruptTurn(id: SessionId, ticket: number): Promise<boolean> {
    return (await super.interruptTurn(id, ticket)) || this.#moves.interrupt(id, "interrupt", ticket);
  }

  /** @internal Over a host that is open: what a simulation puts below it is in its threads' place. */
  static over(host: SessionHost): EphemeralSessionService {
    return new EphemeralSessionService(host);
  }

  async read(id: SessionId): Promise<SessionView> {
    const entry = this.find(id);
    if (entry !== undefined) return viewOf(this.host.table, entry, this.#moves.isActive(id));
    const archived = this.host.registry.archived.get(id);
    if (archived === undefined) throw this.host.registry.lost.notFound(id);
    return structuredClone(archived);
  }

  async list(query: requests.SessionQuery = {}): Promise<SessionSummary[]> {
    const { labels, after, offset = 0, limit = Infinity } = parseInput(requests.SessionQuerySchema, query, "query");
    const wanted = Object.entries(labels ?? {});
    const page: SessionSummary[] = [];
    let skipped = 0;
    if (limit === 0) return page;
    for (const entry of this.host.registry.list(after)) {
      if (!wanted.every(([key, value]) => Object.hasOwn(entry.labels, key) && entry.labels[key] === value)) continue;
      if (skipped++ < offset) continue;
      page.push(summaryOf(this.host.table, entry, this.#moves.isActive(entry.id)));
      if (page.length >= limit) break;
    }
    return page;
  }

  async readHistory(id: SessionId, query: requests.SessionHistoryQuery = {}): Promise<SessionHistoryPage> {
    parseInput(requests.SessionHistoryQuerySchema, query, "query");
    this.host.assertOpen();
    if (this.find(id) === undefined && this.host.registry.archived.has(id)) {
      throw new SessionError("SESSION_PERSISTENCE_DISABLED", "session persistence is disabled", { sessionId: id });
    }
    return this.use(id, (entry) => this.liveHistory(this.known(entry, id), query));
  }

  subscribeSessionEvents(id: SessionId, options: requests.SubscribeOptions = {}): SessionEventStream {
    const { bufferSize, after } = parseInput(requests.SubscribeOptionsSchema, options, "options");
    this.host.assertOpen();
    const entry = this.find(id);
    if (entry === undefined) throw new StreamError("NOT_FOUND", `session ${id}`);
    if (after !== undefined) {
      throw new SessionError("SESSION_PERSISTENCE_DISABLED", "options.after needs an event log", {
        sessionId: id,
        details: { field: "options.after" },
      });
    }
    return this.host.registry.channelOf(entry).subscribe(bufferSize);
  }

  protected async stage(id: SessionId, request: requests.AppendSystemContextRequest): Promise<StageOutcome> {
    const entry = this.live(id);
    const outcome = (entry.ledger ??= new SystemContextLedger()).stage(request, Date.now());
    if (outcome.status === "staged") this.feed(entry, outcome.append);
    return outcome;
  }

  async archive(id: SessionId): Promise<void> {
    await this.use(id, (entry) => this.host.leave(this.known(entry, id), "archive"));
    this.host.quarantine.forget(id);
    await this.sessionEnded(id, "retire");
  }

  async discardLiveSession(id: SessionId): Promise<void> {
    await this.use(id, (entry) => this.host.leave(this.known(entry, id), "discard"));
    await this.sessionEnded(id, "destroy");
  }

  // ── the machine ──

  override runtimeAdapter(): RuntimeAdapter {
    return this.runtimes();
  }

  protected override runtimes(): SessionRuntimes {
    return makeRuntimesOf(this, () => {
      const made = new SessionRuntimes(this.runtimeHost());
      if (!this.host.isOpen) void made.close();
      return made;
    });
  }

  protected override async assertExists(id: SessionId): Promise<void> {
    this.live(id);
  }

  // ── the facade: nothing outlives the process ──

  supportsPersistentSessions(): boolean {
    return false;
  }

  async loadPersistedSession(_id: SessionId): Promise<Session | undefined> {
    return undefined;
  }

  async checkpointCommittedRuntimeSessionSnapshot(_id: SessionId, _snapshot: Uint8Array): Promise<void> {}

  async cancelAllCheckpointers(): Promise<void> {}

  async rearmAllCheckpointers(): Promise<void> {}
}
