/**
 * The life of a turn, of a session, of a lane and of a session's runtime, each written once. `docs/state-machines.md` is generated from these tables, and a
 * test fails when they differ. Terminal states are empty rows.
 */

/**
 * A turn in its lane.
 *
 *   T1. The agent runs only in `running`, and at most one turn of a session is between `staging` and its end.
 *   T2. Every turn passes `sealed` or ends as `cancelled`: an interrupt that was accepted is never followed by another outcome.
 *   T3. A turn ends once, in an empty row.
 */
export const TURN_TRANSITIONS = {
  admitted: { stage: "staging", interrupt: "cancelled" },
  staging: { run: "running", answer: "draining", refuse: "draining" },
  running: { settle: "draining" },
  draining: { seal: "sealed", interrupt: "cancelled" },
  sealed: { commit: "committing", complete: "completed", fail: "failed" },
  committing: { complete: "completed", fail: "failed" },
  completed: {},
  failed: {},
  cancelled: {},
} as const;
export type TurnState = keyof typeof TURN_TRANSITIONS;
export type TurnEvent = "stage" | "run" | "answer" | "refuse" | "settle" | "seal" | "interrupt" | "commit" | "complete" | "fail";

/**
 * A session on the main thread.
 *
 *   S1. A session is in the index exactly while it is `live`, `hibernating` or `moving`.
 *   S2. Its slot is reused only after `gone`: the lane forgot it or is lost.
 *   S3. Its capacity is held from `building` until it left `live` and its running turn has stopped. One that is `moved` hands it on.
 */
export const SESSION_TRANSITIONS = {
  building: { register: "live", refuse: "leaving", laneLost: "gone" },
  live: { archive: "leaving", discard: "leaving", drop: "leaving", hibernate: "hibernating", move: "moving", laneLost: "gone" },
  hibernating: { stay: "live", forgotten: "gone", laneLost: "gone" },
  moving: { stay: "live", moved: "leaving", laneLost: "gone" },
  leaving: { forgotten: "gone", laneLost: "gone" },
  gone: {},
} as const;
export type SessionState = keyof typeof SESSION_TRANSITIONS;
export type SessionEvent =
  | "register"
  | "refuse"
  | "archive"
  | "discard"
  | "drop"
  | "hibernate"
  | "move"
  | "stay"
  | "moved"
  | "forgotten"
  | "laneLost";

/**
 * A lane: one worker thread and the sessions in it.
 *
 *   N1. A lane takes new sessions in `starting` (its port holds the commands) and `ready` only.
 *   N2. A lane has ended when its thread's exit and its data port's close have both been seen; then, and only then, its callers are
 *       settled and its words and slots freed.
 */
export const LANE_TRANSITIONS = {
  starting: { loaded: "ready", stop: "stopping", ended: "lost" },
  ready: { stop: "stopping", ended: "lost" },
  stopping: { ended: "stopped" },
  lost: {},
  stopped: {},
} as const;
export type LaneState = keyof typeof LANE_TRANSITIONS;
export type LaneEvent = "loaded" | "stop" | "ended";

/**
 * A session's runtime: what takes inputs for it and has them run, one after another. A host need not have any.
 *
 *   R1. An input runs in `running` only, so one at a time; inputs begin in the order in which they were accepted.
 *   R2. Inputs are accepted in `idle`, `attached` and `running` only, and not while the runtime is about to leave them for good.
 *   R3. A runtime leaves `running` when its input has settled, or found the session busy and goes back to the head of the queue.
 *   R4. In `retired` and `stopped` no input runs, and both can be revived. `destroyed` is the end.
 */
export const RUNTIME_TRANSITIONS = {
  initializing: { register: "idle", destroy: "destroyed" },
  idle: { attach: "attached", retire: "retired", stop: "stopped", destroy: "destroyed" },
  attached: { run: "running", detach: "idle", retire: "retired", stop: "stopped", destroy: "destroyed" },
  running: { settle: "attached", busy: "attached" },
  retired: { revive: "idle", destroy: "destroyed" },
  stopped: { revive: "idle", retire: "retired", destroy: "destroyed" },
  destroyed: {},
} as const;
export type RuntimeState = keyof typeof RUNTIME_TRANSITIONS;
export type RuntimeEvent = "register" | "attach" | "detach" | "run" | "settle" | "busy" | "retire" | "stop" | "revive" | "destroy";

/** All machines by name: what docs and tests go through. */
export const MACHINES = {
  turn: TURN_TRANSITIONS,
  session: SESSION_TRANSITIONS,
  lane: LANE_TRANSITIONS,
  runtime: RUNTIME_TRANSITIONS,
} as const;

type Table = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** @returns the state that follows, or undefined when `event` is not legal in `state` */
export function nextState<T extends Table>(table: T, state: keyof T & string, event: string): (keyof T & string) | undefined {
  return table[state]?.[event];
}

/** As `nextState`, for transitions the code believes legal. @throws Error when they are not: a bug */
export function advance<T extends Table>(table: T, state: keyof T & string, event: string): keyof T & string {
  const next = nextState(table, state, event);
  if (next === undefined) throw new Error(`illegal transition: ${event} in ${state}`);
  return next;
}
