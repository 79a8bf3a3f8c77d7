/**
 * What befalls a host beyond its callers' own errors: one table of event types from which types, counters, log lines and
 * `docs/host-events.md` follow. An event is said once: to `options.onHostEvent`, to `options.logger`, and to the counters of `inspect()`.
 */
import type { SessionId } from "./ids.ts";

/** Types of `HostEvent`. `level`: of its line in the log; undefined: callers cause it at will, so it is counted and told but not logged. */
export const HOST_EVENTS = {
  interrupt_asked: { level: undefined, message: "a turn's interrupt was asked for", details: "reason" },
  run_abandoned: { level: "warn", message: "a run ignored its interrupt for the grace and was given up", details: "" },
  lane_stalled: { level: "warn", message: "a lane's event loop stands still", details: "heartbeatAgeMs" },
  lane_recovered: { level: "info", message: "a lane's event loop moves again", details: "" },
  lane_killed: { level: "error", message: "a lane was killed", details: "reason, heartbeatAgeMs" },
  lane_lost: { level: "error", message: "a lane has ended unasked", details: "exitCode, error, sessions, turns" },
  lane_restarting: { level: "warn", message: "a lost lane is replaced", details: "delayMs" },
  lane_refused: {
    level: "error",
    message: "a lane was lost too often and stays down for a while: the host is degraded",
    details: "delayMs",
  },
  lane_restarted: { level: "info", message: "a lane that was lost is up again", details: "" },
  sessions_suspected: {
    level: "warn",
    message: "several sessions ran in a lane that was lost: they are placed apart",
    details: "sessions",
  },
  session_struck: { level: "warn", message: "a session brought its lane down", details: "strikes" },
  session_quarantined: {
    level: "error",
    message: "a session brought its lane down repeatedly and is not run any more",
    details: "strikes",
  },
  session_released: { level: "info", message: "a session was released from quarantine", details: "" },
  lane_overloaded: { level: "warn", message: "a lane's event loop has no time left", details: "utilization, share" },
  memory_pressure: { level: "warn", message: "a lane's memory runs out: idle sessions leave it", details: "heapUsed, heapLimit, external" },
  session_moved: { level: "info", message: "a session was moved to another lane", details: "from, reason" },
  comms_name_taken: {
    level: "warn",
    message: "a session woke without its line to its peers: another live session has its name",
    details: "name, realm",
  },
  session_unsaved: { level: "error", message: "a session could not be saved before it went to sleep", details: "error" },
  session_not_removed: {
    level: "warn",
    message: "a session that is not wanted could not be removed from the store",
    details: "error, reason",
  },
  outcome_unknown: { level: "warn", message: "what became of a lost lane's turn is not known", details: "error, reason" },
  store_lost: { level: "error", message: "the store's thread has ended: nothing is live any more", details: "" },
  consumer_detached: { level: "warn", message: "a turn's event consumer was detached", details: "error" },
  stray_error: { level: "warn", message: "an error that nobody awaits in a lane", details: "error" },
} as const satisfies Record<string, { level: "info" | "warn" | "error" | undefined; message: string; details: string }>;

export type HostEventType = keyof typeof HOST_EVENTS;

export interface HostEvent {
  readonly type: HostEventType;
  /** Epoch milliseconds. */
  readonly timestampMs: number;
  readonly lane?: number;
  readonly sessionId?: SessionId;
  /** Of the turn. */
  readonly ticket?: number;
  /** What the type's row names. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** How often each type of event came since the host was opened. */
export type HostEventCounts = Record<HostEventType, number>;
