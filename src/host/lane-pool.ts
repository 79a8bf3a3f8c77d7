/**
 * The lanes of a host: starts them, places sessions, replaces a shared lane that was lost, ends them all.
 *
 *   P1. A shared lane that ended unasked is replaced, within the restart budget; its number passes to the replacement.
 *   P2. A dedicated lane lives for one session and ends with it.
 */
import { availableParallelism } from "node:os";
import type { MessagePort } from "node:worker_threads";

import { LaneWords } from "../core/lane-words.ts";
import { leastLoaded } from "../core/placement.ts";
import type { SlotTable } from "../core/slot-table.ts";
import { SessionError } from "../protocol/errors.ts";
import type { LaneReport } from "../protocol/frames.ts";
import type { HostOptions } from "../protocol/options.ts";
import { POLL_BALANCED, POLL_LOW, Poller } from "../transport/poller.ts";
import { HostLane } from "./host-lane.ts";
import type { LaneEnd, LaneSettings, LaneThread } from "./lane-thread.ts";
import { PollRights } from "./poll-rights.ts";

/** Replacements within the window; a host that loses lanes faster refuses new sessions instead of starting threads for ever. */
const RESTARTS_MAX = 10;
const RESTART_WINDOW_MS = 60_000;
/** Milliseconds a lane that was told to stop may take before it is killed. */
const STOP_MAX_MS = 2500;

export interface LanePoolEvents {
  onReports(lane: HostLane, reports: LaneReport[]): void;
  onGarbage(lane: HostLane, error: unknown): void;
  /** The lane has ended (N2), asked or not; its state says which. Called before it is replaced. */
  onEnded(lane: HostLane, end: LaneEnd): void;
}

/** A lane's port to the store thread. */
export interface LaneStore {
  readonly port: MessagePort;
  /** Names the port to the store thread. */
  readonly connection: number;
  readonly logsEvents: boolean;
}

export type StartThread = (settings: LaneSettings, options: HostOptions["lanes"], poller?: Poller) => LaneThread;

export class LanePool {
  readonly #options: HostOptions;
  readonly #agents: Readonly<Record<string, string>>;
  readonly #table: SlotTable;
  readonly #events: LanePoolEvents;
  readonly #startThread: StartThread;
  readonly #connectStore: (() => LaneStore) | undefined;
  readonly #lanes = new Map<number, HostLane>();
  readonly #poller: Poller | undefined;
  readonly #pollRights: PollRights | undefined;
  #nextDedicated: number;
  #restarts: number[] = [];
  #isClosing = false;
  lost = 0;

  constructor(
    options: HostOptions,
    agents: Readonly<Record<string, string>>,
    table: SlotTable,
    events: LanePoolEvents,
    startThread: StartThread,
    connectStore?: () => LaneStore,
  ) {
    this.#options = options;
    this.#agents = agents;
    this.#table = table;
    this.#events = events;
    this.#startThread = startThread;
    this.#connectStore = connectStore;
    this.#nextDedicated = this.sharedCount;
    const cores = availableParallelism();
    const isLow = options.latency === "low";
    if (isLow) this.#pollRights = new PollRights(cores);
    // On a single core whoever polls keeps the answer from being made.
    if (cores > 1) this.#poller = new Poller(isLow ? POLL_LOW : POLL_BALANCED);
  }

  get sharedCount(): number {
    const { count } = this.#options.lanes;
    return count === "auto" ? availableParallelism() : count;
  }

  [Symbol.iterator](): IterableIterator<HostLane> {
    return this.#lanes.values();
  }

  /**
   * Start the shared lanes and wait until their agents are loaded.
   *
   * @throws SessionError INVALID_PARAMS naming the agent whose module does not load, its module and the reason
   */
  async open(): Promise<void> {
    for (let number = 0; number < this.sharedCount; number++) this.#start(number, "shared");
    await Promise.all([...this.#lanes.values()].map((lane) => this.#loaded(lane)));
  }

  /** @throws SessionError HOST_OVERLOADED when no shared lane is up */
  placeShared(): HostLane {
    const lane = leastLoaded([...this.#lanes.values()].filter(({ kind }) => kind === "shared"));
    if (lane === undefined)
      throw new SessionError("HOST_OVERLOADED", "no lane is up", { details: { reason: "no_lane", retryAfterMs: 1000 } });
    return lane;
  }

  /** Start a lane of its own for one session. @throws SessionError HOST_OVERLOADED when there are dedicatedMax */
  startDedicated(): HostLane {
    const { dedicatedMax } = this.#options.lanes;
    const dedicated = [...this.#lanes.values()].filter(({ kind }) => kind === "dedicated").length;
    if (dedicated >= dedicatedMax) {
      throw new SessionError("HOST_OVERLOADED", `no dedicated lane is left (${dedicated}/${dedicatedMax})`, {
        details: { reason: "dedicated_lanes", limit: dedicatedMax },
      });
    }
    const lane = this.#start(this.#nextDedicated++, "dedicated");
    // A module that loaded in the shared lanes and does not here: the lane ends, and its session's build fails with it.
    this.#loaded(lane).catch(() => lane.thread.kill());
    return lane;
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
    this.#isClosing = true;
    await Promise.all([...this.#lanes.values()].map((lane) => this.stop(lane)));
  }

  #start(number: number, kind: HostLane["kind"]): HostLane {
    const words = new LaneWords();
    const store = this.#connectStore?.();
    const settings: LaneSettings = {
      segments: this.#table.segments,
      words: words.memory,
      agents: this.#agents,
      interruptGraceMs: this.#options.interruptGraceMs,
      polls: this.#options.latency === "low",
      ...(store && { store: { port: store.port, logsEvents: store.logsEvents } }),
    };
    const lane = new HostLane(
      number,
      kind,
      this.#startThread(settings, this.#options.lanes, this.#poller),
      words,
      (from, reports) => this.#events.onReports(from, reports),
      (from, error) => this.#events.onGarbage(from, error),
      this.#pollRights,
    );
    lane.storeConnection = store?.connection;
    this.#lanes.set(number, lane);
    void lane.thread.ended.then((end) => this.#ended(lane, end));
    return lane;
  }

  async #loaded(lane: HostLane): Promise<void> {
    const report = await Promise.race([lane.thread.control.loaded(), lane.thread.ended]);
    if ("exitCode" in report) {
      throw new SessionError(
        "INVALID_PARAMS",
        `invalid options.agent: the thread ended while it loaded the agents: ${report.error?.message ?? report.exitCode}`,
        {
          details: { field: "options.agent" },
        },
      );
    }
    if (!report.ok) {
      const { agent, module, reason } = report;
      throw new SessionError("INVALID_PARAMS", `invalid options.agent: ${agent} does not load from ${module}: ${reason}`, {
        details: { field: "options.agent", agent, module, reason },
      });
    }
    if (lane.state === "starting") lane.step("loaded");
  }

  #ended(lane: HostLane, end: LaneEnd): void {
    lane.step("ended");
    this.#pollRights?.drop(lane.words);
    if (this.#lanes.get(lane.number) === lane) this.#lanes.delete(lane.number);
    if (lane.state === "lost") this.lost++;
    this.#events.onEnded(lane, end);
    if (lane.state === "lost" && lane.kind === "shared" && !this.#isClosing && this.#mayRestart()) {
      const replacement = this.#start(lane.number, "shared");
      this.#loaded(replacement).catch(() => replacement.thread.kill());
    }
  }

  #mayRestart(): boolean {
    const nowMs = Date.now();
    this.#restarts = this.#restarts.filter((at) => nowMs - at < RESTART_WINDOW_MS);
    if (this.#restarts.length >= RESTARTS_MAX) return false;
    this.#restarts.push(nowMs);
    return true;
  }
}
