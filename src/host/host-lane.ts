/** A lane as main sees it: its thread, its link, its words, and what is counted about it. */
import type { LaneWords } from "../core/lane-words.ts";
import type { LaneEvent, LaneState } from "../core/machines.ts";
import { LANE_TRANSITIONS, advance } from "../core/machines.ts";
import type { LaneReport } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { LaneSnapshot } from "../protocol/views.ts";
import { LaneBacklog } from "./lane-backlog.ts";
import { LaneLink } from "./lane-link.ts";
import { LaneLoad } from "./lane-load.ts";
import type { LaneThread } from "./lane-thread.ts";
import type { PollRights } from "./poll-rights.ts";
import type { SessionEntry } from "./session-entry.ts";

/** Milliseconds without a heartbeat after which a lane gets no new session while there is another: ten beats. */
const BLOCKED_MS = 1000;
/** Sessions that inspect() names as the busiest of a lane. */
const BUSIEST_SHOWN = 3;

export class HostLane {
  readonly number: number;
  readonly kind: "shared" | "dedicated";
  readonly thread: LaneThread;
  readonly words: LaneWords;
  readonly link: LaneLink;
  readonly backlog: LaneBacklog;
  readonly load = new LaneLoad();
  state: LaneState = "starting";
  /** What its port to the store thread is called there. */
  storeConnection: number | undefined;
  /** Sessions placed here: building, live or leaving. */
  sessionCount = 0;
  /** Sessions being built. */
  building = 0;
  /** Turns it owes. */
  runningTurns = 0;
  settledTurns = 0;
  failedTurns = 0;
  strayErrors = 0;
  /** Its agents were loaded. */
  isLoaded = false;
  /** Sessions placed here that are suspected of having brought a lane down. */
  suspects = 0;
  /** The session for whose turn it was killed. */
  killedFor: SessionEntry | undefined;
  /** Why it was killed; undefined: it was not. */
  killedBecause: string | undefined;
  /** Number of the frame that holds the last WAKE. */
  #wakesIn = 0;

  constructor(
    number: number,
    kind: "shared" | "dedicated",
    thread: LaneThread,
    words: LaneWords,
    onReports: (lane: HostLane, reports: LaneReport[]) => void,
    onGarbage: (lane: HostLane, error: unknown) => void,
    pollRights?: PollRights,
  ) {
    this.number = number;
    this.kind = kind;
    this.thread = thread;
    this.words = words;
    this.backlog = new LaneBacklog(words);
    this.link = new LaneLink(
      number,
      thread.transport,
      this.backlog,
      (reports) => onReports(this, reports),
      (error) => onGarbage(this, error),
      pollRights && (() => this.hasEnded || pollRights.grant(words)),
    );
  }

  /** Whether sessions may be placed here (N1). */
  get isOpen(): boolean {
    return this.state === "starting" || this.state === "ready";
  }

  get atWork(): number {
    return this.building + this.runningTurns;
  }

  get hasEnded(): boolean {
    return this.state === "lost" || this.state === "stopped";
  }

  step(event: LaneEvent): void {
    this.state = advance(LANE_TRANSITIONS, this.state, event);
    this.isLoaded ||= this.state === "ready";
  }

  /**
   * Placing sessions elsewhere spares them: its agents are not loaded, it is behind, or its loop stands still.
   *
   * @param nowMs - epoch milliseconds
   */
  isHindered(nowMs: number): boolean {
    return this.state === "starting" || this.backlog.isBehind || (this.words.beatAge(nowMs) ?? 0) > BLOCKED_MS;
  }

  /**
   * Make the lane look at its running turns: the bell for a busy loop, a record for a sleeping one. While such a record is on its way, a
   * second is not needed: the lane looks at the bell after it has said that it took the frame (see `Lane`), so of "main sees that it is
   * taken" and "the lane hears this ring" one is true.
   */
  wake(): void {
    this.words.ring();
    if (this.#wakesIn > this.link.sentFrames - this.backlog.look()) return;
    this.#wakesIn = this.link.sentFrames + 1;
    this.link.send([COMMANDS.WAKE.op]);
  }

  /** @param nowMs - epoch milliseconds */
  inspect(nowMs: number): LaneSnapshot {
    const { number, kind, state, sessionCount, runningTurns, settledTurns, failedTurns, strayErrors, link } = this;
    const heartbeatAgeMs = this.words.beatAge(nowMs);
    const times = this.hasEnded ? undefined : this.thread.loopTimes();
    const memory = this.hasEnded ? undefined : this.words.held();
    return {
      lane: number,
      kind,
      state,
      ...(!this.hasEnded && { threadId: this.thread.threadId }),
      sessions: sessionCount,
      runningTurns,
      ...(heartbeatAgeMs !== undefined && { heartbeatAgeMs }),
      sentFrames: link.sentFrames,
      sentRecords: link.sentRecords,
      receivedFrames: link.receivedFrames,
      receivedRecords: link.receivedRecords,
      outboxRecords: link.waiting,
      ...this.backlog.inspect(),
      settledTurns,
      failedTurns,
      strayErrors,
      ...(times !== undefined && { utilization: times.activeMs / (times.activeMs + times.idleMs) }),
      ...(this.load.share !== undefined && { recentUtilization: this.load.share }),
      ...(memory !== undefined && { memory: { heapUsed: memory.heapUsed, heapLimit: memory.heapLimit, external: memory.external } }),
      busiest: this.load.busiest(BUSIEST_SHOWN),
    };
  }
}
