/** What every part of a lane shares: the table, the way out, the agents, the turns that run. */
import type { LaneWords } from "../core/lane-words.ts";
import type { SlotTable } from "../core/slot-table.ts";
import type { SessionAgentBuilder } from "../protocol/agent.ts";
import type { LaneReport } from "../protocol/frames.ts";
import type { Outbox } from "../transport/outbox.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Attribution } from "./attribution.ts";
import type { RememberedTurns } from "./keyed-turns.ts";
import type { Keeping } from "./session-keeper.ts";

/** Something that runs and can be told of its interrupt. */
export interface Interruptible {
  /** Look at shared memory; if an interrupt was asked, act on it. Idempotent. */
  noticeInterrupt(): void;
}

export interface LaneContext {
  readonly table: SlotTable;
  readonly words: LaneWords;
  readonly attribution: Attribution;
  readonly outbox: Outbox<LaneReport>;
  readonly agents: ReadonlyMap<string, SessionAgentBuilder>;
  /** Where sessions are kept; undefined: nowhere. */
  readonly keeping: Keeping | undefined;
  /** Turns of sessions that are in no store, by their keys. */
  readonly remembered: RememberedTurns;
  /** Turns whose agent has not settled, and those that wait to know whether they have to run. */
  readonly running: Set<Interruptible>;
  /** Milliseconds between an interrupt and giving a run up. */
  readonly interruptGraceMs: number;
  /** Of agents being built. */
  readonly builds: Deadlines;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** An error nobody awaits. */
  readonly reportStray: (thrown: unknown) => void;
}

/** Oldest a finished result or live output may get behind synchronous work, in milliseconds. */
export const OUTPUT_AGE_MAX_MS = 1;
