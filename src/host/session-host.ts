/**
 * The dispatcher: owns every part of a host on the main thread and routes what lanes report to them. Transport and threads are below
 * it, the public services above; it takes requests that are already checked.
 *
 *   G1. Nothing here waits for a lane but what says so: create, queries, shutdown.
 *   G4. A report that cannot be taken brings down its lane, never the process: what the lane owed is settled like that of any lost lane.
 */
import { SlotTable } from "../core/slot-table.ts";
import { SessionError, hostClosed, fromWire, notFound } from "../protocol/errors.ts";
import type { GaveUpReport, LaneReport, ResultReport, SessionReport } from "../protocol/frames.ts";
import { COMMANDS, REPORTS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { HostOptions, PersistentHostOptions } from "../protocol/options.ts";
import type { PendingSystemContextAppend } from "../protocol/session-model.ts";
import type { HostSnapshot } from "../protocol/views.ts";
import { Intake } from "../transport/intake.ts";
import { Balancer } from "./balancer.ts";
import { CpuSampler } from "./cpu-sampler.ts";
import { HostEvents } from "./host-events.ts";
import type { HostLane } from "./host-lane.ts";
import type { StartThread } from "./lane-pool.ts";
import { LaneEnds } from "./lane-ends.ts";
import { LanePool } from "./lane-pool.ts";
import { startLaneThread } from "./lane-thread.ts";
import { LoadGate } from "./load-gate.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { Mover } from "./movable.ts";
import { Moves } from "./moves.ts";
import { Persistence } from "./persistence.ts";
import { Quarantine } from "./quarantine.ts";
import { resolveAgents } from "./resolve-agents.ts";
import { SessionCreator } from "./session-creator.ts";
import type { SessionEntry } from "./session-entry.ts";
import { SessionQueries } from "./session-queries.ts";
import { SessionRegistry } from "./session-registry.ts";
import { Supervisor } from "./supervisor.ts";
import type { StoreThread } from "./store-thread.ts";
import { within } from "../transport/within.ts";
import { TurnTable } from "./turn-table.ts";

/** Milliseconds beyond the grace that an interrupted turn gets at shutdown before its lane is stopped under it. */
const SHUTDOWN_SLACK_MS = 1000;

/** The store of a host that keeps its sessions. */
export interface OpenedStore {
  readonly thread: StoreThread;
  readonly options: PersistentHostOptions;
}

export class SessionHost {
  readonly options: HostOptions;
  readonly events: HostEvents;
  readonly quarantine: Quarantine;
  readonly table = new SlotTable();
  readonly agents: Readonly<Record<string, string>>;
  readonly registry: SessionRegistry;
  readonly turns: TurnTable;
  readonly pool: LanePool;
  readonly creator: SessionCreator;
  /** Of a host with a store. */
  readonly persistence: Persistence | undefined;
  /** Of a host without one. */
  readonly moves: Moves | undefined;
  readonly gate: LoadGate;
  readonly queries: SessionQueries;
  readonly #supervisor: Supervisor;
  readonly #sampler: CpuSampler;
  readonly #memory: MemoryWatch;
  readonly #balancer: Balancer;
  readonly #ends: LaneEnds;
  #state: HostSnapshot["state"] = "open";
  #shutdown: Promise<void> | undefined;

  private constructor(options: HostOptions, startThread: StartThread, store: OpenedStore | undefined) {
    this.options = options;
    this.events = new HostEvents(options);
    this.quarantine = new Quarantine(this.events);
    this.agents = resolveAgents(options.agent);
    this.gate = new LoadGate(store?.thread.intake ?? new Intake(), () => this.turns.running + this.creator.builds.size);
    this.queries = new SessionQueries(this.gate);
    this.registry = new SessionRegistry(
      this.table,
      options,
      (segment) => this.pool.share(segment),
      (entry) => this.persistence?.onLeaving(entry),
      (entry) => this.#sessionGone(entry),
    );
    this.turns = new TurnTable(this.table, this.registry, (turn) => this.#supervisor.watch(turn));
    this.pool = new LanePool({
      options,
      agents: this.agents,
      table: this.table,
      events: {
        onReports: (lane, reports) => this.#onReports(lane, reports),
        onGarbage: (lane, error) => this.#onStray(lane, String(error)),
        onEnded: (lane, end) => this.#ends.ended(lane, end),
      },
      hostEvents: this.events,
      startThread: (settings, lanes, poller) => startThread(settings, lanes, poller, this.gate.intake),
      connectStore: store && (() => (this.persistence as Persistence).connect()),
    });
    this.#supervisor = new Supervisor(this.table, options, this.pool, this.events, {
      inSlot: (lane, slot) => this.registry.inSlot(lane, slot),
      buildingSince: (sinceMs) => this.creator.builds.since(sinceMs),
    });
    this.#sampler = new CpuSampler((lane, slot) => this.registry.inSlot(lane, slot));
    this.persistence = store && new Persistence(this, store.thread, store.options);
    const { registry, turns, pool, quarantine, gate, queries, persistence: keeping } = this;
    this.creator = new SessionCreator({ registry, turns, pool, gate, quarantine, keeping, isOpen: () => this.isOpen });
    const { events, creator } = this;
    if (keeping === undefined) {
      this.moves = new Moves({
        table: this.table,
        registry,
        turns,
        creator,
        query: (entry, command) => this.queries.serve(entry, command),
        feedContext: (entry, append) => this.feedContext(entry, append),
        onMoved: (entry, from, reason) => this.onMoved(entry, from, reason),
      });
    }
    const { moves, table } = this;
    this.#memory = new MemoryWatch({
      table,
      registry,
      events,
      externalMaxMb: options.lanes.externalMemoryMaxMb,
      leave: (entry, room) => this.#relieveOf(entry, room),
      kill: (lane, entry) => this.#supervisor.outgrown(lane, entry),
      rss: () => process.memoryUsage.rss(),
    });
    this.#balancer = new Balancer({
      table,
      registry,
      events,
      policy: options.lanes.hogPolicy,
      move: (entry, to, reason) => this.mover.move(entry, to, reason),
      startDedicated: () => pool.tryDedicated(),
      stop: (lane) => void pool.stop(lane),
      onSettled: (listener) => (turns.afterSettled = listener),
      now: () => performance.now(),
    });
    this.#supervisor.onRound = () => this.#onRound();
    const lostTurns = keeping?.lostTurns;
    this.#ends = new LaneEnds({ table, registry, turns, builds: creator.builds, quarantine, events, queries, lostTurns, moves });
  }

  /**
   * Start the lanes and load the agents.
   *
   * @param startThread - how to start a lane's thread; tests put their own
   * @param store - of a host that keeps its sessions; closed with the host, also when this throws
   * @throws SessionError INVALID_PARAMS when an agent does not load; nothing is left behind
   */
  static async open(options: HostOptions, startThread: StartThread = startLaneThread, store?: OpenedStore): Promise<SessionHost> {
    const host = new SessionHost(options, startThread, store);
    try {
      await host.pool.open();
      return host;
    } catch (error) {
      host.#supervisor.close();
      host.#sampler.close();
      host.persistence?.stop();
      await host.pool.close();
      await host.persistence?.close();
      throw error;
    }
  }

  #onRound(): void {
    const lanes = [...this.pool];
    this.#sampler.round(lanes);
    if (!this.isOpen) return;
    this.#memory.round(lanes);
    this.#balancer.round(lanes);
  }

  /** An idle session makes room in its lane: it sleeps, or goes where there is room. */
  async #relieveOf(entry: SessionEntry, room: HostLane | undefined): Promise<boolean> {
    if (this.persistence !== undefined) return this.persistence.layToRest(entry);
    return room !== undefined && (await this.mover.move(entry, room, "memory"));
  }

  /** What takes sessions from lane to lane. */
  get mover(): Mover {
    return this.persistence?.moves ?? (this.moves as Moves);
  }

  onMoved({ id, lane }: SessionEntry, from: HostLane, reason: string): void {
    this.events.emit("session_moved", { lane: lane.number, sessionId: id, details: { from: from.number, reason } });
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** @throws SessionError HOST_CLOSED */
  assertOpen(): void {
    if (!this.isOpen) throw hostClosed();
  }

  /** @throws SessionError SESSION_NOT_FOUND */
  live(id: SessionId): SessionEntry {
    const entry = this.registry.find(id);
    if (entry === undefined) throw this.registry.lost.notFound(id);
    return entry;
  }

  /** Take a session out of service, behind everything asked of it so far. Never waits. */
  leave(entry: SessionEntry, how: "archive" | "discard"): void {
    this.turns.sendNow(entry);
    this.registry.leave(entry, how);
  }

  /** The lane of a live session learns of an append. */
  feedContext(entry: SessionEntry, append: PendingSystemContextAppend): void {
    entry.lane.link.send([COMMANDS.STAGE_CONTEXT.op, entry.slot, entry.generation, append], append.text.length);
  }

  // ── what lanes report ──

  /** G4 */
  #onReports(lane: HostLane, reports: LaneReport[]): void {
    try {
      for (const report of reports) this.#onReport(lane, report);
    } catch (error) {
      this.#onStray(lane, `a report that cannot be taken: ${String(error)}`);
      this.#supervisor.distrust(lane);
    }
  }

  #onReport(lane: HostLane, report: LaneReport): void {
    if (report[0] === REPORTS.DELTAS.op) this.turns.deltas(report);
    else if (report[0] === REPORTS.EVENT.op) this.turns.event(report);
    else if (report[0] === REPORTS.RESULT.op) {
      lane.settledTurns++;
      if (this.quarantine.hasSuspects) this.#acquit(report);
      this.turns.result(report);
    } else if (report[0] === REPORTS.FAILED.op) {
      lane.settledTurns++;
      lane.failedTurns++;
      this.turns.failure(report);
    } else if (report[0] === REPORTS.GAVE_UP.op) this.#onGaveUp(lane, report);
    else if (report[0] === REPORTS.REPLY.op) this.queries.replied(report);
    else if (report[0] === REPORTS.REPLY_ERROR.op) this.queries.failed(report);
    else if (report[0] === REPORTS.STRAY_ERROR.op) this.#onStray(lane, report[1], report[2]);
    else {
      const entry = this.registry.at(report[1], report[2]);
      // Filters what a slot's former owner left in the port (GENERATION).
      if (entry?.lane === lane) this.#onSessionReport(entry, report);
    }
  }

  #onSessionReport(entry: SessionEntry, report: SessionReport): void {
    switch (report[0]) {
      case REPORTS.BUILT.op:
        this.creator.builds.built(entry, report);
        return;
      case REPORTS.BUILD_FAILED.op:
        this.creator.builds.failed(entry, fromWire(report[3]));
        return;
      case REPORTS.CONTEXT_TAKEN.op:
        entry.ledger?.taken(report[3]);
        return;
      case REPORTS.FORGOTTEN.op:
        if (entry.state === "live") this.#dropped(entry);
        this.registry.forgotten(entry);
        return;
      default:
        report satisfies never;
    }
  }

  /** The lane has dropped the session unasked: what it did could not be saved. */
  #dropped(entry: SessionEntry): void {
    this.registry.dropped(entry);
    const details = { reason: "dropped" };
    this.turns.sessionLost(
      entry,
      new SessionError("SESSION_STORE_ERROR", "store error: the session had to be dropped", { sessionId: entry.id, details }),
    );
  }

  #acquit([, slot, generation]: ResultReport): void {
    const entry = this.registry.at(slot, generation);
    if (entry === undefined) return;
    this.quarantine.acquit(entry.id);
    entry.isSuspect = false;
  }

  #onGaveUp(lane: HostLane, report: GaveUpReport): void {
    const turn = this.turns.reported(report);
    if (turn !== undefined) this.events.emit("run_abandoned", { lane: lane.number, sessionId: turn.entry.id, ticket: turn.ticket });
  }

  #onStray(lane: HostLane, description: string, count = 1): void {
    lane.strayErrors += count;
    this.events.emit("stray_error", { lane: lane.number, details: { error: description } });
  }

  /** A session has left its lane: whoever hangs on it is told. */
  #sessionGone(entry: SessionEntry): void {
    if (this.persistence === undefined) entry.channel?.close();
    else this.persistence.onGone(entry);
    for (const remote of entry.remotes ?? []) remote.die();
    entry.remotes = undefined;
    this.queries.gone(entry, ({ id }) => notFound(id));
    if (entry.lane.kind === "dedicated" && entry.lane.sessionCount === 0) void this.pool.stop(entry.lane);
  }

  // ── the end of the host ──

  /**
   * Close admission, let running turns finish until the deadline, then interrupt them, then end the lanes. A second call is the first.
   *
   * @param deadlineMs - milliseconds running turns may take
   */
  shutdown(deadlineMs: number): Promise<void> {
    return (this.#shutdown ??= this.#close(deadlineMs));
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#state = "closing";
    this.creator.close();
    this.#balancer.close();
    this.moves?.close();
    this.persistence?.stop();
    if (!(await this.turns.drained(deadlineMs))) {
      this.turns.interruptAll("shutdown");
      await this.turns.drained(this.options.interruptGraceMs + SHUTDOWN_SLACK_MS);
    }
    await within(this.queries.settled(), SHUTDOWN_SLACK_MS);
    this.#supervisor.close();
    this.#sampler.close();
    await this.pool.close();
    await this.persistence?.close();
    this.#state = "closed";
  }

  inspect(): HostSnapshot {
    const nowMs = Date.now();
    const { capacity, slots, archived, liveCount } = this.registry;
    let subscribers = this.persistence?.channels.subscribers ?? 0;
    for (const entry of this.registry.list()) subscribers += entry.channel?.subscribers ?? 0;
    const lanesDown = this.pool.down();
    return {
      state: this.#state,
      health: lanesDown.some(({ reason }) => reason === "restart_budget") ? "degraded" : "ok",
      sessions: { live: liveCount, building: this.creator.builds.size, max: capacity.max, archivedViews: archived.size },
      turns: { running: this.turns.running, settled: this.turns.settled, failed: this.turns.failed },
      lanes: [...this.pool].map((lane) => lane.inspect(nowMs)),
      lanesDown,
      lanesLost: this.pool.lost,
      slots: { allocated: slots.allocated, free: slots.free },
      subscribers,
      quarantined: this.quarantine.ids,
      events: this.events.counts(),
      ...(this.persistence && { store: this.persistence.inspect() }),
    };
  }
}
