/**
 * The dispatcher: owns every part of a host on the main thread, and puts them together. Transport and threads are below
 * it, the public services above; it takes requests that are already checked.
 *
 *   G1. Nothing here waits for a lane but what says so: create, queries, shutdown.
 */
import { SlotTable } from "../core/slot-table.ts";
import { hostClosed, notFound } from "../protocol/errors.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { HostOptions, PersistentHostOptions } from "../protocol/options.ts";
import type { PendingSystemContextAppend } from "../protocol/session-model.ts";
import type { HostSnapshot } from "../protocol/views.ts";
import { Intake } from "../transport/intake.ts";
import { Abandoned } from "./abandoned.ts";
import { Balancer } from "./balancer.ts";
import { BusyLines } from "./busy-lines.ts";
import { HostComms } from "./comms/host-comms.ts";
import { CpuSampler } from "./cpu-sampler.ts";
import { HostEvents } from "./host-events.ts";
import type { HostLane } from "./host-lane.ts";
import type { StartThread } from "./lane-pool.ts";
import { LaneEnds } from "./lane-ends.ts";
import { LanePool } from "./lane-pool.ts";
import { LaneReports } from "./lane-reports.ts";
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
import type { WaysIn } from "./turn-door.ts";
import { TurnDoor } from "./turn-door.ts";
import { TurnTable } from "./turn-table.ts";
import type { TurnTracing } from "./turn-tracing.ts";

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
  readonly abandoned = new Abandoned();
  /** Of a host with a store. */
  readonly persistence: Persistence | undefined;
  /** Of a host without one. */
  readonly moves: Moves | undefined;
  readonly gate: LoadGate;
  readonly queries: SessionQueries;
  /** Messages between sessions. */
  readonly comms: HostComms;
  /** Of a host that was opened with `tracing`. */
  tracing: TurnTracing | undefined;
  /** Turns that wait because their sessions are busy. */
  readonly lines: BusyLines;
  readonly #supervisor: Supervisor;
  readonly #sampler: CpuSampler;
  readonly #memory: MemoryWatch;
  readonly #balancer: Balancer;
  readonly #reports: LaneReports;
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
    this.comms = new HostComms({ events: this.events, isOnItsWay: (id) => this.persistence?.moves.isOnItsWay(id) === true });
    this.registry = new SessionRegistry(
      this.table,
      options,
      (segment) => this.pool.share(segment),
      (entry) => this.#sessionLeaving(entry),
      (entry) => this.#sessionGone(entry),
    );
    this.turns = new TurnTable(this.table, this.registry, (turn) => this.#supervisor.watch(turn));
    this.pool = new LanePool({
      options,
      agents: this.agents,
      table: this.table,
      events: {
        onReports: (lane, reports) => this.#reports.take(lane, reports),
        onGarbage: (lane, error) => this.#reports.stray(lane, String(error)),
        onLoaded: (lane) => this.#memory.loaded(lane),
        onLost: (lane, end) => this.#ends.lost(lane, end),
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
    const { registry, turns, pool, quarantine, gate, queries, comms, persistence: keeping } = this;
    this.creator = new SessionCreator({
      registry,
      turns,
      pool,
      gate,
      quarantine,
      keeping,
      comms,
      abandoned: this.abandoned,
      isOpen: () => this.isOpen,
    });
    const { events, creator } = this;
    const { builds } = creator;
    this.#reports = new LaneReports({
      registry,
      turns,
      queries,
      builds,
      quarantine,
      events,
      comms,
      distrust: (lane) => this.#supervisor.distrust(lane),
    });
    if (keeping === undefined) {
      this.moves = new Moves({
        table: this.table,
        registry,
        turns,
        creator,
        query: (entry, command) => this.queries.serve(entry, command),
        feedContext: (entry, append) => this.feedContext(entry, append),
        onMoved: (entry, from, reason) => this.onMoved(entry, from, reason),
        onTurnOver: (id) => this.lines.look(id),
        comms,
      });
    }
    const { moves, table } = this;
    const waysIn: WaysIn = keeping ?? (moves as Moves);
    const { maxPromptBytes } = options;
    this.lines = new BusyLines({
      door: new TurnDoor({ table, registry, turns, gate, waysIn }),
      maxPromptBytes,
      find: (id) => registry.find(id),
    });
    registry.onRegistered = this.lines.live;
    turns.onFree = this.lines.look;
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
    this.#supervisor.onRound = this.#onRound;
    const lostTurns = keeping?.lostTurns;
    this.#ends = new LaneEnds({ table, registry, turns, builds, quarantine, events, queries, lostTurns, moves });
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
      // Loaded when it is wanted: it takes as long as the lanes.
      const tracing = options.tracing ? import("./turn-tracing.ts") : undefined;
      tracing?.catch(() => {}); // said below, when the lanes have answered
      await host.pool.open();
      if (tracing !== undefined) host.tracing = new (await tracing).TurnTracing();
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

  /** A member, as a function written to the right of an assignment is made in V8's old generation, and keeps what it sees there. */
  readonly #onRound = (): void => {
    const lanes = [...this.pool];
    this.#sampler.round(lanes);
    if (!this.isOpen) return;
    this.#memory.round(lanes);
    this.#balancer.round(lanes);
  };

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

  /** Nothing of it runs any more. */
  get isClosed(): boolean {
    return this.#state === "closed";
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

  /** A session is on its way out of its lane. */
  #sessionLeaving(entry: SessionEntry): void {
    this.comms.leaving(entry);
    this.persistence?.onLeaving(entry);
    this.lines.lookSoon(entry.id);
  }

  /** A session has left its lane: whoever hangs on it is told. */
  #sessionGone(entry: SessionEntry): void {
    this.comms.gone(entry);
    this.abandoned.end(entry);
    if (this.persistence === undefined) entry.channel?.close();
    else this.persistence.onGone(entry);
    for (const remote of entry.remotes?.values() ?? []) remote.die();
    entry.remotes = undefined;
    this.queries.gone(entry, ({ id }) => notFound(id));
    if (entry.lane.kind === "dedicated" && entry.lane.sessionCount === 0) void this.pool.stop(entry.lane);
    this.lines.lookSoon(entry.id);
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
    this.lines.close();
    this.moves?.close();
    this.persistence?.stop();
    for (const entry of this.comms.sessions()) this.turns.cancelAfterBoundary(entry); // a host-mode run waits for messages, not for its end
    if (!(await this.turns.drained(deadlineMs))) {
      this.turns.interruptAll("shutdown");
      await this.turns.drained(this.options.interruptGraceMs + SHUTDOWN_SLACK_MS);
    }
    this.comms.close();
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
    for (const entry of this.registry.live) subscribers += entry.channel?.subscribers ?? 0;
    const lanesDown = this.pool.down();
    return {
      state: this.#state,
      health: lanesDown.some(({ reason }) => reason === "restart_budget") ? "degraded" : "ok",
      sessions: { live: liveCount, building: this.creator.builds.size, max: capacity.max, archivedViews: archived.size },
      turns: { running: this.turns.running, waiting: this.lines.waiting, settled: this.turns.settled, failed: this.turns.failed },
      deliveries: { ...this.turns.deliveries },
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
