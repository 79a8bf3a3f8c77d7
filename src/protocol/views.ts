/** What the host answers with: results, views, pages, and its own state. Times are epoch milliseconds unless a name says otherwise. */
import * as z from "zod";

import type { HostEventCounts } from "./host-events.ts";
import type { SessionId } from "./ids.ts";
import { json } from "./json-schema.ts";
import { list } from "./list.ts";
import type { Message } from "./session-model.ts";
import { Usage } from "./session-model.ts";

/** What an agent returns from a run; checked, because an agent wrote it. */
export const RunResultSchema = z.object({
  text: z.string(),
  turns: z.int().nonnegative(),
  toolCalls: z.int().nonnegative(),
  usage: Usage,
  structuredOutput: json().optional(),
  schemaWarnings: list(json()).optional(),
  skillDiagnostics: json().optional(),
});

/** The outcome of one good turn. */
export interface RunResult {
  text: string;
  sessionId: SessionId;
  /** Model turns within this run. 0: deferred, nothing ran. */
  turns: number;
  toolCalls: number;
  /** Of this run. */
  usage: Usage;
  structuredOutput?: unknown;
  schemaWarnings?: unknown[];
  skillDiagnostics?: unknown;
}

export interface SessionView {
  state: {
    sessionId: SessionId;
    createdAt: number;
    updatedAt: number;
    messageCount: number;
    /** A turn is admitted or runs. */
    isActive: boolean;
    lastAssistantText?: string;
    labels: Record<string, string>;
  };
  billing: { totalTokens: number; usage: Usage };
}

export interface SessionSummary {
  sessionId: SessionId;
  createdAt: number;
  updatedAt: number;
  messageCount: number;
  totalTokens: number;
  isActive: boolean;
  labels: Record<string, string>;
}

export interface SessionHistoryPage {
  sessionId: SessionId;
  messageCount: number;
  /** Clamped to messageCount. */
  offset: number;
  limit?: number;
  hasMore: boolean;
  messages: Message[];
}

export interface LaneMemoryView {
  /** In the old generation of its JavaScript heap, garbage included. The thread ends when what lives there outgrows heapLimit. */
  heapUsed: number;
  heapLimit: number;
  /** Outside the heap: buffers, mostly. No limit of V8's holds for it. */
  external: number;
}

/** What a session uses of its lane. Sampled while the lane is busy, every 10 ms, so right on average only. */
export interface SessionLoad {
  sessionId: SessionId;
  /** Share of the lane's loop in the last two seconds, 0..1. */
  share: number;
  /** Milliseconds since the session was made live. */
  cpuMs: number;
}

/** One lane as it is now. Everything is measured or counted; nothing is assumed. */
export interface LaneSnapshot {
  lane: number;
  kind: "shared" | "dedicated";
  state: "starting" | "ready" | "stopping" | "lost" | "stopped";
  /** Of the worker thread; absent before it started and after it ended. */
  threadId?: number;
  /** Live sessions placed there. */
  sessions: number;
  /** Turns admitted and not yet settled. */
  runningTurns: number;
  /** Milliseconds since the lane's event loop last moved; absent before its first beat. */
  heartbeatAgeMs?: number;
  /** Frames and records since start, both directions. */
  sentFrames: number;
  sentRecords: number;
  receivedFrames: number;
  receivedRecords: number;
  /** Commands waiting for the next flush. */
  outboxRecords: number;
  /** Sent to it and not taken yet. */
  queuedRecords: number;
  queuedBytes: number;
  /** Turns settled there, and those of them that did not succeed. */
  settledTurns: number;
  failedTurns: number;
  /** Errors nobody awaited in the lane's agents; they are logged and harm nobody. */
  strayErrors: number;
  /** Share of time the event loop was busy since the lane started, 0..1; absent when the thread is not running. */
  utilization?: number;
  /** The same over the last two seconds. */
  recentUtilization?: number;
  /** Bytes, as of at most half a second ago; absent when the thread is not running. */
  memory?: LaneMemoryView;
  /** The sessions that used most of the lane's loop in the last two seconds; empty when it was not busy. */
  busiest: readonly SessionLoad[];
}

/** A shared lane that was lost and is not up again yet: nothing is placed there. */
export interface LaneDown {
  lane: number;
  /** "restart_budget": it was lost too often (`lanes.restartsMax` in `lanes.restartWindowMs`). */
  reason: "back_off" | "restart_budget";
  /** Milliseconds; absent when it is never restarted (`lanes.restartsMax` 0). */
  startsInMs?: number;
}

/** The store of a host that has one. */
export interface StoreSnapshot {
  kind: "memory" | "lmdb" | "module";
  /** "closed": its thread has ended, and nothing can be read or written. */
  state: "open" | "closed";
  /** Calls of main that wait for an answer. */
  waitingCalls: number;
  /** Sessions being made live now. */
  waking: number;
  /** How often a session was put to sleep since the host was opened. */
  hibernated: number;
}

/** Counts by buckets: how many values were at or under each bound and above the one before, and above all of them. */
export interface BucketCounts {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

/** What the store's thread has counted since it was opened. */
export interface StoreCounts {
  /** Calls it works on, of main and of every lane. */
  readonly outstanding: number;
  /** Seconds from a call's arrival to its answer. */
  readonly callSeconds: BucketCounts;
  /** Calls that failed or were refused. */
  readonly failedCalls: number;
  /** Seconds a commit took, its flush to disk included. Of Warren's own store on disk only. */
  readonly commitSeconds?: BucketCounts;
  /** Calls that shared a commit. */
  readonly commitCalls?: BucketCounts;
}

/** What `inspect()` gives: a copy, taken now. */
export interface HostSnapshot {
  state: "open" | "closing" | "closed";
  /** "degraded": a shared lane was lost too often and stays down for a while. */
  health: "ok" | "degraded";
  sessions: { live: number; building: number; max: number; archivedViews: number };
  /** `waiting`: for a session that is busy (onBusy). */
  turns: { running: number; waiting: number; settled: number; failed: number };
  /**
   * Events of turns that came from the lanes; how often one was handed to its turn's consumer or to a subscriber; and how many subscribers
   * lost, all together, because they were slow.
   */
  deliveries: { events: number; delivered: number; lost: number };
  lanes: LaneSnapshot[];
  lanesDown: LaneDown[];
  lanesLost: number;
  slots: { allocated: number; free: number };
  subscribers: number;
  /** Sessions in quarantine. */
  quarantined: SessionId[];
  /** How often each type of host event came since the host was opened. */
  events: HostEventCounts;
  /** Of a host with a store. */
  store?: StoreSnapshot;
}
