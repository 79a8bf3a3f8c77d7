/**
 * The lanes of a host: starts them, places sessions, ends them. When a shared lane that was lost is started again (P1), lane-restarts.ts
 * decides.
 *
 *   P2. A dedicated lane lives for one session and ends with it.
 *   P3. Sessions go to lanes that have loaded their agents, if there are any. A lane that cannot load them, or not in time, is killed:
 *       what it was given is lost with it, and it is restarted like any other that was lost.
 */
import { availableParallelism } from "node:os";
import type { MessagePort } from "node:worker_threads";

import { LaneWords } from "../core/lane-words.ts";
import { leastLoaded } from "../core/placement.ts";
import type { SlotTable } from "../core/slot-table.ts";
import { SessionError } from "../protocol/errors.ts";
import type { LaneDown } from "../protocol/views.ts";
import type { HostEvents } from "./host-events.ts";
import type { LaneReport } from "../protocol/frames.ts";
import type { HostOptions } from "../protocol/options.ts";
import type { ResourceLimits } from "../protocol/resource-limits.ts";
import { limitsOf } from "../protocol/resource-limits.ts";
import type { Intake } from "../transport/intake.ts";
import { POLL_BALANCED, POLL_LOW, Poller } from "../transport/poller.ts";
import { within } from "../transport/within.ts";
import { HostLane } from "./host-lane.ts";
import { LaneRestarts } from "./lane-restarts.ts";
import type { LaneEnd, LaneSettings, LaneThread } from "./lane-thread.ts";
import { PollRights } from "./poll-rights.ts";

/** Milliseconds a lane may take to start its thread and load its agents, however little `buildTimeoutMs` allows. */
const LOAD_MIN_MS = 10_000;
/** Milliseconds that what is there already may take to be heard: main may have stood still itself. */
const LATE_MS = 100;
/** Milliseconds a lane that was told to stop may take before it is killed. */
const STOP_MAX_MS = 2500;

export interface LanePoolEvents {
  onReports(lane: HostLane, reports: LaneReport[]): void;
  onGarbage(lane: HostLane, error: unknown): void;
  /** Its agents are loaded: it serves. */
  onLoaded(lane: HostLane): void;
  /** The lane has been lost (N2). Called before it is replaced. */
  onLost(lane: HostLane, end: LaneEnd): void;
  /** The lane has ended (N2), asked or not; its state says which. The thread of its successor may be starting. */
  onEnded(lane: HostLane, end: LaneEnd): void;
}

/** A lane's port to the store thread. */
export interface LaneStore {
  readonly port: MessagePort;
  /** Names the port to the store thread. */
  readonly connection: number;
  readonly logsEvents: boolean;
  readonly remembersTurns: boolean;
}

/** Why a lane's agents cannot be used. */
interface LoadFailure {
  readonly problem: string;
  readonly details?: { readonly agent: string; readonly module: string; readonly reason: string };
}

export interface LanePoolParts {
  readonly options: HostOptions;
  /** Agent name to module specifier. */
  readonly agents: Readonly<Record<string, string>>;
  readonly table: SlotTable;
  readonly events: LanePoolEvents;
  readonly hostEvents: HostEvents;
  readonly startThread: StartThread;
  /** Of a host with a store. */
  readonly connectStore: (() => LaneStore) | undefined;
}

export type StartThread = (settings: LaneSettings, options: HostOptions["lanes"], poller?: Poller, intake?: Intake) => LaneThread;

export class LanePool {
  readonly #parts: LanePoolParts;
  readonly #lanes = new Map<number, HostLane>();
  readonly #poller: Poller | undefined;
  readonly #pollRights: PollRights | undefined;
  #nextDedicated: number;
  readonly #restarts: LaneRestarts;
  lost = 0;

  constructor(parts: LanePoolParts) {
    this.#parts = parts;
    const { options, hostEvents } = parts;
    this.#restarts = new LaneRestarts(options.lanes, hostEvents, (number) => this.#restart(number));
    this.#nextDedicated = this.sharedCount;
    const cores = availableParallelism();
    const isLow = options.latency === "low";
    if (isLow) this.#pollRights = new PollRights(cores);
    // On a single core whoever polls keeps the answer from being made.
    if (cores > 1) this.#poller = new Poller(isLow ? POLL_LOW : POLL_BALANCED);
  }

  get sharedCount(): number {
    const { count } = this.#parts.options.lanes;
    return count === "auto" ? availableParallelism() : count;
  }

  [Symbol.iterator](): IterableIterator<HostLane> {
    return this.#lanes.values();
  }

  /**
   * Start the shared lanes and wait until their agents are loaded.
   *
   * @throws SessionError INVALID_PARAMS naming the agent whose module does not load, its module and the reason; or saying that they did
   *     not load in time
   */
  async open(): Promise<void> {
    for (let number = 0; number < this.sharedCount; number++) this.#start(number, "shared");
    for (const failure of await Promise.all([...this.#lanes.values()].map((lane) => this.#load(lane)))) {
      if (failure === undefined) continue;
      const { problem, details } = failure;
      throw new SessionError("INVALID_PARAMS", `invalid options.agent: ${problem}`, { details: { field: "options.agent", ...details } });
    }
  }

  /**
   * @param isSuspect - for a session that is suspected of having brought a lane down: away from others
   * @throws SessionError HOST_OVERLOADED when no shared lane is up
   */
  placeShared(isSuspect = false): HostLane {
    const shared = [...this.#lanes.values()].filter(({ kind, isOpen }) => kind === "shared" && isOpen);
    const fewest = isSuspect ? Math.min(...shared.map(({ suspects }) => suspects)) : Infinity;
    const lane = leastLoaded(
      shared.filter(({ suspects }) => suspects <= fewest),
      Date.now(),
    );
    if (lane !== undefined) return lane;
    const retryAfterMs = this.#restarts.nextInMs;
    throw new SessionError("HOST_OVERLOADED", "no lane is up", {
      details: { reason: "no_lane", ...(retryAfterMs !== undefined && { retryAfterMs }) },
    });
  }

  /**
   * Start a lane of its own for one session.
   *
   * @param own - the session's limits, which go before those of all dedicated lanes, and these before those of all lanes
   * @throws SessionError HOST_OVERLOADED when there are dedicatedMax
   */
  startDedicated(own?: ResourceLimits): HostLane {
    const { dedicatedMax, resourceLimits, dedicatedResourceLimits } = this.#parts.options.lanes;
    const dedicated = [...this.#lanes.values()].filter(({ kind }) => kind === "dedicated").length;
    if (dedicated >= dedicatedMax) {
      throw new SessionError("HOST_OVERLOADED", `no dedicated lane is left (${dedicated}/${dedicatedMax})`, {
        details: { reason: "dedicated_lanes", limit: dedicatedMax },
      });
    }
    const limits = limitsOf(resourceLimits, dedicatedResourceLimits, own);
    const lane = this.#start(this.#nextDedicated++, "dedicated", { ...this.#parts.options.lanes, resourceLimits: limits });
    void this.#loadOrKill(lane);
    return lane;
  }

  /** As `startDedicated`; undefined when there is none to be had. */
  tryDedicated(): HostLane | undefined {
    try {
      return this.startDedicated();
    } catch {
      return undefined;
    }
  }

  /** Shared lanes that were lost and wait for their restart. */
  down(): LaneDown[] {
    return this.#restarts.down();
  }

  /** Every lane learns of a new segment before it sees a slot in it. */
  share(segment: SharedArrayBuffer): void {
    for (const lane of this.#lanes.values()) if (!lane.hasEnded) lane.link.share(segment);
  }

  /** End a lane after what is queued for it; one that does not end is killed. */
  stop(lane: HostLane): Promise<unknown> {
    if (!lane.isOpen) return lane.thread.ended;
    lane.step("stop");
    lane.link.flush();
    lane.thread.stop();
    const timer = setTimeout(() => lane.thread.kill(), STOP_MAX_MS);
    return lane.thread.ended.finally(() => clearTimeout(timer));
  }

  /** End all; no lane is replaced any more. */
  async close(): Promise<void> {
    this.#restarts.close();
    await Promise.all([...this.#lanes.values()].map((lane) => this.stop(lane)));
  }

  #start(number: number, kind: HostLane["kind"], laneOptions = this.#parts.options.lanes): HostLane {
    const { options, agents, table, events, startThread, connectStore } = this.#parts;
    const words = new LaneWords();
    const store = connectStore?.();
    const settings: LaneSettings = {
      segments: table.segments,
      words: words.memory,
      agents,
      interruptGraceMs: options.interruptGraceMs,
      buildTimeoutMs: options.buildTimeoutMs,
      fixesBuiltins: options.lanes.builtins === "fixed",
      polls: options.latency === "low",
      ...(store && { store: { port: store.port, logsEvents: store.logsEvents, remembersTurns: store.remembersTurns } }),
    };
    const lane = new HostLane(
      number,
      kind,
      startThread(settings, laneOptions, this.#poller),
      words,
      (from, reports) => events.onReports(from, reports),
      (from, error) => events.onGarbage(from, error),
      this.#pollRights,
    );
    lane.storeConnection = store?.connection;
    this.#lanes.set(number, lane);
    void lane.thread.ended.then((end) => this.#ended(lane, end));
    return lane;
  }

  /** @returns what keeps the lane from serving; undefined: its agents are loaded */
  async #load(lane: HostLane): Promise<LoadFailure | undefined> {
    const loading = Promise.race([lane.thread.control.loaded(), lane.thread.ended]);
    const maxMs = Math.max(this.#parts.options.buildTimeoutMs, LOAD_MIN_MS);
    if (!(await within(loading, maxMs)) && !(await within(loading, LATE_MS))) return { problem: `not loaded within ${maxMs} ms` };
    const report = await loading;
    if ("exitCode" in report) {
      return { problem: `the thread ended while it loaded the agents: ${report.error?.message ?? report.exitCode}` };
    }
    if (!report.ok) {
      const { agent, module, reason } = report;
      return { problem: `${agent} does not load from ${module}: ${reason}`, details: { agent, module, reason } };
    }
    if (lane.state === "starting") {
      lane.step("loaded");
      this.#parts.events.onLoaded(lane);
    }
    return undefined;
  }

  /** P3. @returns whether its agents are loaded */
  async #loadOrKill(lane: HostLane): Promise<boolean> {
    const failure = await this.#load(lane);
    if (failure === undefined) return true;
    if (lane.state === "starting") {
      lane.killedBecause = `its agents cannot be used: ${failure.problem}`;
      this.#parts.hostEvents.emit("lane_killed", { lane: lane.number, details: { reason: lane.killedBecause } });
      lane.thread.kill();
    }
    return false;
  }

  #ended(lane: HostLane, end: LaneEnd): void {
    lane.step("ended");
    this.#pollRights?.drop(lane.words);
    if (this.#lanes.get(lane.number) === lane) this.#lanes.delete(lane.number);
    const { events } = this.#parts;
    try {
      if (lane.state !== "lost") return;
      this.lost++;
      events.onLost(lane, end);
      // Ahead of what it owed: a thread takes longer to start than thousands of sessions to be settled.
      if (lane.kind === "shared") this.#restarts.lost(lane.number);
    } finally {
      events.onEnded(lane, end);
    }
  }

  #restart(number: number): void {
    const lane = this.#start(number, "shared");
    void this.#loadOrKill(lane).then((isLoaded) => {
      if (isLoaded) this.#parts.hostEvents.emit("lane_restarted", { lane: number });
    });
  }
}
