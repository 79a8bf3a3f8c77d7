/** What kind of host a seed has, how much is done to it, and how hostile its world is. */
import { PersistenceOptionsSchema } from "../../src/protocol/options.ts";
import type { PersistentHostOptions } from "../../src/protocol/options.ts";
import type { Random } from "./random.ts";
import type { Temper } from "./world.ts";

export interface Setup {
  readonly isPersistent: boolean;
  readonly options: PersistentHostOptions;
  /** Sessions the run makes, about. */
  readonly sessions: number;
  readonly operations: number;
  /** Agents block, hang and fail. */
  readonly isWild: boolean;
  /** Probability that an operation is a fault. */
  readonly faults: number;
  readonly storeFaults: boolean;
  /** Milliseconds a frame is on its way, at most. */
  readonly delayMs: number;
  readonly temper: Temper;
  /** What happens when the operations are over. */
  readonly ending: "settle" | "shut down at once";
}

const BASE = PersistenceOptionsSchema.parse({ agent: new URL("simulated:agent"), store: { kind: "memory" }, lanes: { count: 1 } });

export function makeSetup(random: Random): Setup {
  const isPersistent = random.chance(0.7);
  const isHostile = random.chance(0.6);
  const hasFaults = random.chance(0.8);
  const hibernateAfterMs = random.pick([undefined, undefined, 20, 200]);
  const options: PersistentHostOptions = {
    ...BASE,
    lanes: {
      ...BASE.lanes,
      count: random.pick([1, 1, 2, 2, 3]),
      dedicatedMax: 2,
      restartsMax: random.pick([1, 3, 10]),
      restartWindowMs: random.pick([500, 5000]),
    },
    maxSessions: random.pick([1, 2, 3, 5, 100]),
    interruptGraceMs: random.pick([20, 100, 400]),
    buildTimeoutMs: random.pick([150, 60_000]),
    laneStallMs: random.pick([600, 2000]),
    laneStallPolicy: random.pick(["report", "kill"]),
    consumerStallMs: random.pick([30, 1000, 30_000]),
    archivedViewsMax: random.pick([0, 1, 100]),
    archivePolicy: random.pick(["retain", "retain", "delete"]),
    events: isPersistent ? random.pick(["none", "log"]) : "none",
    ...(hibernateAfterMs !== undefined && { hibernateAfterMs }),
  };
  return {
    isPersistent,
    options,
    sessions: random.pick([1, 1, 2, 2, 3, 4]),
    // Most of what breaks does so after few; what takes many has its share.
    operations: random.pick([1, 2, 2, 3, 4, 4, 8, 16]),
    isWild: random.chance(0.6),
    faults: hasFaults ? random.pick([0.06, 0.12, 0.2]) : 0,
    storeFaults: isPersistent && hasFaults && random.chance(0.6),
    delayMs: isHostile ? random.pick([0.5, 5, 40]) : 0,
    temper: {
      stepMs: random.pick([0.001, 0.01, 0.05]),
      lookMs: random.pick([0, 0, 0.8]),
      mood: isHostile ? 0.02 : 0,
    },
    ending: random.chance(0.25) ? "shut down at once" : "settle",
  };
}
