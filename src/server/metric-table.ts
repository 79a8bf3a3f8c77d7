/**
 * Every metric of a host: one table, from which the answer to a scrape and docs/metrics.md follow. What is counted elsewhere is read when
 * somebody scrapes; nothing here costs a turn anything.
 *
 *   N1. Labels are few and bounded: lanes, outcomes, types, states. No session, turn, caller or text is one.
 *   N2. A lane of one session (dedicated) is not told apart from others of its kind: such lanes come and go with sessions.
 */
import { HOST_EVENTS } from "../protocol/host-events.ts";
import { TURN_OUTCOMES } from "../host/turn-observer.ts";
import type { BucketCounts, LaneSnapshot } from "../protocol/views.ts";
import type { Buckets, MetricGroup, Reading, Sample } from "./metric-rows.ts";
import { one } from "./metric-rows.ts";
import { PROCESS_ROWS } from "./process-rows.ts";

const LANE_STATES = ["starting", "ready", "stopping"] as const;

/** N2. What a lane is called. */
const labelOf = ({ kind, lane }: LaneSnapshot): string => (kind === "shared" ? String(lane) : "dedicated");

/** N2. @returns a sample for each shared lane, and the sum over the dedicated ones; lanes of which it is not known are left out */
function byLane({ host }: Reading, read: (lane: LaneSnapshot) => number | undefined): Sample[] {
  const sums = new Map<string, number>();
  for (const lane of host.lanes) {
    const value = read(lane);
    const label = labelOf(lane);
    if (value !== undefined) sums.set(label, (sums.get(label) ?? 0) + value);
  }
  return [...sums].map(([lane, value]) => ({ labels: { lane }, value }));
}

/** Counters of a lane begin anew when it is restarted, as a counter may; a sum over lanes that come and go would not be one. */
function countedByLane({ host }: Reading, read: (lane: LaneSnapshot) => Record<string, number>, label?: string): Sample[] {
  return host.lanes
    .filter(({ kind }) => kind === "shared")
    .flatMap((lane) =>
      Object.entries(read(lane)).map(([name, value]) => ({
        labels: { lane: String(lane.lane), ...(label !== undefined && { [label]: name }) },
        value,
      })),
    );
}

/** The largest of them: which of the dedicated ones it is says the log. */
function worstByLane({ host }: Reading, read: (lane: LaneSnapshot) => number | undefined): Sample[] {
  const worst = new Map<string, number>();
  for (const lane of host.lanes) {
    const value = read(lane);
    const label = labelOf(lane);
    if (value !== undefined) worst.set(label, Math.max(worst.get(label) ?? value, value));
  }
  return [...worst].map(([lane, value]) => ({ labels: { lane }, value }));
}

const histogram = (counts: BucketCounts | undefined): Buckets[] => (counts === undefined ? [] : [counts]);

export const METRICS: readonly MetricGroup[] = [
  [
    "Turns",
    [
      {
        name: "warren_turns_started_total",
        type: "counter",
        help: "Turns admitted, those that wait for their session to wake among them.",
        read: ({ turns }) => one(turns.started),
      },
      {
        name: "warren_turns_settled_total",
        type: "counter",
        help: "Turns whose caller was answered, by how they ended.",
        labels: ["outcome"],
        read: ({ turns }) =>
          TURN_OUTCOMES.map((outcome) => ({
            labels: { outcome },
            value: turns.durations[outcome].counted().counts.reduce((sum, count) => sum + count, 0),
          })),
      },
      {
        name: "warren_turn_duration_seconds",
        type: "histogram",
        help: "Seconds from a turn's admission until its caller was answered, by how it ended.",
        labels: ["outcome"],
        read: ({ turns }) =>
          TURN_OUTCOMES.map((outcome) => ({
            labels: { outcome },
            bounds: turns.durations[outcome].bounds,
            ...turns.durations[outcome].counted(),
          })),
      },
      {
        name: "warren_turns_running",
        type: "gauge",
        help: "Turns in a lane, or on their way there or back.",
        read: ({ host }) => one(host.turns.running),
      },
    ],
  ],
  [
    "Events",
    [
      {
        name: "warren_events_total",
        type: "counter",
        help: "Events of turns that came from the lanes; what nobody listens to stays there.",
        read: ({ host }) => one(host.deliveries.events),
      },
      {
        name: "warren_events_delivered_total",
        type: "counter",
        help: "Events handed to a turn's consumer or a subscriber, counted once for each of them.",
        read: ({ host }) => one(host.deliveries.delivered),
      },
      {
        name: "warren_events_lost_total",
        type: "counter",
        help: "Events that a subscriber lost because it was slow, counted once for each of them. It was told by a gap marker.",
        read: ({ host }) => one(host.deliveries.lost),
      },
      {
        name: "warren_subscribers",
        type: "gauge",
        help: "Subscribers of sessions' events.",
        read: ({ host }) => one(host.subscribers),
      },
      {
        name: "warren_host_events_total",
        type: "counter",
        help: "What befell the host, by type (docs/host-events.md).",
        labels: ["type"],
        read: ({ host }) =>
          (Object.keys(HOST_EVENTS) as (keyof typeof HOST_EVENTS)[]).map((type) => ({ labels: { type }, value: host.events[type] })),
      },
    ],
  ],
  [
    "Sessions and the host",
    [
      {
        name: "warren_host_open",
        type: "gauge",
        help: "1 while turns are admitted, 0 when the host is closing or closed.",
        read: ({ host }) => one(host.state === "open" ? 1 : 0),
      },
      {
        name: "warren_host_healthy",
        type: "gauge",
        help: "0 while a shared lane that was lost too often stays down.",
        read: ({ host }) => one(host.health === "ok" ? 1 : 0),
      },
      { name: "warren_sessions_live", type: "gauge", help: "Sessions in a lane.", read: ({ host }) => one(host.sessions.live) },
      { name: "warren_sessions_max", type: "gauge", help: "Sessions that may be live.", read: ({ host }) => one(host.sessions.max) },
      {
        name: "warren_sessions_building",
        type: "gauge",
        help: "Sessions being built in a lane.",
        read: ({ host }) => one(host.sessions.building),
      },
      {
        name: "warren_sessions_waking",
        type: "gauge",
        help: "Stored sessions on their way into a lane.",
        read: ({ host }) => one(host.store?.waking),
      },
      {
        name: "warren_sessions_hibernated_total",
        type: "counter",
        help: "How often a session was put to sleep.",
        read: ({ host }) => one(host.store?.hibernated),
      },
      {
        name: "warren_sessions_quarantined",
        type: "gauge",
        help: "Sessions that are not run because they brought lanes down.",
        read: ({ host }) => one(host.quarantined.length),
      },
      {
        name: "warren_archived_views",
        type: "gauge",
        help: "Archived sessions whose last view is kept in memory.",
        read: ({ host }) => one(host.sessions.archivedViews),
      },
      {
        name: "warren_slots",
        type: "gauge",
        help: "Slots of shared memory.",
        labels: ["state"],
        read: ({ host }) => [
          { labels: { state: "used" }, value: host.slots.allocated },
          { labels: { state: "free" }, value: host.slots.free },
        ],
      },
    ],
  ],
  [
    "Lanes",
    [
      {
        name: "warren_lanes",
        type: "gauge",
        help: "Lanes by kind and state.",
        labels: ["kind", "state"],
        read: ({ host }) =>
          (["shared", "dedicated"] as const).flatMap((kind) =>
            LANE_STATES.map((state) => ({
              labels: { kind, state },
              value: host.lanes.filter((lane) => lane.kind === kind && lane.state === state).length,
            })),
          ),
      },
      {
        name: "warren_lanes_down",
        type: "gauge",
        help: "Shared lanes that were lost and are not up again.",
        labels: ["reason"],
        read: ({ host }) =>
          (["back_off", "restart_budget"] as const).map((reason) => ({
            labels: { reason },
            value: host.lanesDown.filter((lane) => lane.reason === reason).length,
          })),
      },
      { name: "warren_lanes_lost_total", type: "counter", help: "Lanes that ended unasked.", read: ({ host }) => one(host.lanesLost) },
      {
        name: "warren_lane_restarts_total",
        type: "counter",
        help: "Lanes that were lost and are up again.",
        read: ({ host }) => one(host.events.lane_restarted),
      },
      {
        name: "warren_lane_sessions",
        type: "gauge",
        help: "Sessions placed in the lane.",
        labels: ["lane"],
        read: (reading) => byLane(reading, ({ sessions }) => sessions),
      },
      {
        name: "warren_lane_turns_running",
        type: "gauge",
        help: "Turns the lane owes.",
        labels: ["lane"],
        read: (reading) => byLane(reading, ({ runningTurns }) => runningTurns),
      },
      {
        name: "warren_lane_turns_settled_total",
        type: "counter",
        help: "Turns the lane reported, since it was started.",
        labels: ["lane"],
        read: (reading) => countedByLane(reading, ({ settledTurns }) => ({ settledTurns })),
      },
      {
        name: "warren_lane_turns_failed_total",
        type: "counter",
        help: "Those of them that did not succeed.",
        labels: ["lane"],
        read: (reading) => countedByLane(reading, ({ failedTurns }) => ({ failedTurns })),
      },
      {
        name: "warren_lane_stray_errors_total",
        type: "counter",
        help: "Errors that nobody awaited in the lane's agents.",
        labels: ["lane"],
        read: (reading) => countedByLane(reading, ({ strayErrors }) => ({ strayErrors })),
      },
      {
        name: "warren_lane_heap_used_bytes",
        type: "gauge",
        help: "Old generation of the lane's heap, garbage included.",
        labels: ["lane"],
        read: (reading) => byLane(reading, ({ memory }) => memory?.heapUsed),
      },
      {
        name: "warren_lane_heap_limit_bytes",
        type: "gauge",
        help: "What the lane's heap may grow to: beyond, the lane ends.",
        labels: ["lane"],
        read: (reading) => byLane(reading, ({ memory }) => memory?.heapLimit),
      },
      {
        name: "warren_lane_external_bytes",
        type: "gauge",
        help: "What the lane's objects hold outside its heap.",
        labels: ["lane"],
        read: (reading) => byLane(reading, ({ memory }) => memory?.external),
      },
      {
        name: "warren_lane_loop_utilization_ratio",
        type: "gauge",
        help: "Share of the last two seconds that the lane's loop was busy, 0 to 1; of dedicated lanes the busiest.",
        labels: ["lane"],
        read: (reading) => worstByLane(reading, ({ recentUtilization, utilization }) => recentUtilization ?? utilization),
      },
      {
        name: "warren_lane_heartbeat_age_seconds",
        type: "gauge",
        help: "Time since the lane's loop last moved; of dedicated lanes the longest.",
        labels: ["lane"],
        read: (reading) => worstByLane(reading, ({ heartbeatAgeMs }) => heartbeatAgeMs && heartbeatAgeMs / 1000),
      },
      {
        name: "warren_lane_outbox_records",
        type: "gauge",
        help: "Commands that wait for the next frame to the lane.",
        labels: ["lane"],
        read: (reading) => byLane(reading, ({ outboxRecords }) => outboxRecords),
      },
      {
        name: "warren_lane_queued_records",
        type: "gauge",
        help: "Records sent to the lane that it has not taken yet.",
        labels: ["lane"],
        read: (reading) => byLane(reading, ({ queuedRecords }) => queuedRecords),
      },
      {
        name: "warren_lane_queued_bytes",
        type: "gauge",
        help: "Bytes sent to the lane that it has not taken yet.",
        labels: ["lane"],
        read: (reading) => byLane(reading, ({ queuedBytes }) => queuedBytes),
      },
      {
        name: "warren_lane_frames_total",
        type: "counter",
        help: "Frames on the lane's port, since it was started.",
        labels: ["lane", "direction"],
        read: (reading) =>
          countedByLane(reading, ({ sentFrames, receivedFrames }) => ({ sent: sentFrames, received: receivedFrames }), "direction"),
      },
      {
        name: "warren_lane_records_total",
        type: "counter",
        help: "Records in those frames.",
        labels: ["lane", "direction"],
        read: (reading) =>
          countedByLane(reading, ({ sentRecords, receivedRecords }) => ({ sent: sentRecords, received: receivedRecords }), "direction"),
      },
    ],
  ],
  [
    "Store (of a host that has one)",
    [
      {
        name: "warren_store_open",
        type: "gauge",
        help: "0 when the store's thread has ended.",
        read: ({ host }) => one(host.store && (host.store.state === "open" ? 1 : 0)),
      },
      {
        name: "warren_store_calls_waiting",
        type: "gauge",
        help: "Calls of the main thread that wait for an answer.",
        read: ({ host }) => one(host.store?.waitingCalls),
      },
      {
        name: "warren_store_calls_outstanding",
        type: "gauge",
        help: "Calls of all threads that the store works on.",
        read: ({ store }) => one(store?.outstanding),
      },
      {
        name: "warren_store_call_duration_seconds",
        type: "histogram",
        help: "Seconds from a call's arrival in the store's thread to its answer.",
        read: ({ store }) => histogram(store?.callSeconds),
      },
      {
        name: "warren_store_calls_failed_total",
        type: "counter",
        help: "Calls that failed or were refused.",
        read: ({ store }) => one(store?.failedCalls),
      },
      {
        name: "warren_store_commit_duration_seconds",
        type: "histogram",
        help: "Seconds a commit took, its flush to disk included. Of the store on disk.",
        read: ({ store }) => histogram(store?.commitSeconds),
      },
      {
        name: "warren_store_commit_calls",
        type: "histogram",
        help: "Calls that shared one commit. Of the store on disk.",
        read: ({ store }) => histogram(store?.commitCalls),
      },
    ],
  ],
  [
    "HTTP (of a server)",
    [
      {
        name: "warren_http_requests_total",
        type: "counter",
        help: "Requests answered, by method, route as it is registered, and status.",
        labels: ["method", "route", "status"],
        read: ({ http }) => http.requests(),
      },
      {
        name: "warren_http_request_duration_seconds",
        type: "histogram",
        help: "Seconds until the answer began: a stream's go on behind it.",
        labels: ["method", "route"],
        read: ({ http }) => http.durations(),
      },
    ],
  ],
  ["The process and its main thread", PROCESS_ROWS],
];
