/** A lane's thread from start to end: the one long task of its pool. */
import { MessagePort } from "node:worker_threads";

import { LaneWords } from "../core/lane-words.ts";
import { SlotTable } from "../core/slot-table.ts";
import type { SessionAgentBuilder } from "../protocol/agent.ts";
import type { HandleKind } from "../protocol/handles.ts";
import { exposeOn } from "../transport/comlink-port.ts";
import { fixBuiltins } from "./fixed-builtins.ts";
import { POLL_LOW, Poller } from "../transport/poller.ts";
import { PortTransport } from "../transport/port-transport.ts";
import { StoreClient } from "../transport/store-client.ts";
import { serveHandle } from "./handle-server.ts";
import type { LoadReport } from "./load-agents.ts";
import { loadAgents } from "./load-agents.ts";
import { Lane } from "./serve-lane.ts";

/** Exit code of a lane whose built-ins an agent changed. */
const EXIT_CHANGED = 78;

/** Errors nobody awaits that are kept until the agents are loaded; those beyond are lost. */
const EARLY_MAX = 64;

/** What main hands to the thread. */
export interface LaneTask {
  readonly data: MessagePort;
  readonly control: MessagePort;
  readonly segments: readonly SharedArrayBuffer[];
  readonly words: SharedArrayBuffer;
  /** Agent name to module specifier. */
  readonly agents: Readonly<Record<string, string>>;
  readonly interruptGraceMs: number;
  readonly buildTimeoutMs: number;
  /** `lanes.builtins: "fixed"`. */
  readonly fixesBuiltins: boolean;
  /** `latency: "low"`. */
  readonly polls: boolean;
  /** To the store thread; undefined: sessions are not kept. */
  readonly store?: { readonly port: MessagePort; readonly logsEvents: boolean; readonly remembersTurns: boolean } | undefined;
}

/** The lane's control, called by main over comlink; low rate, never on a turn's way. */
export interface LaneControl {
  /** Resolves when every agent module is loaded, or one failed. */
  loaded(): Promise<LoadReport>;
  /** Serve a handle of a session on `port`. @returns whether the session and its handle are here */
  openHandle(slot: number, generation: number, kind: HandleKind, port: MessagePort): boolean;
  /** End the lane: the call does not wait, the thread's end is seen by its exit. */
  stop(): void;
}

/**
 * Agents do not find this thread's ports among what keeps its loop alive: one of them is the pool's own, which takes whatever comes
 * through it at its word.
 */
function hidePorts(): void {
  const shown = process as { _getActiveHandles?: () => unknown[] };
  const all = shown._getActiveHandles;
  if (all !== undefined) shown._getActiveHandles = () => all().filter((handle) => !(handle instanceof MessagePort));
}

/** Run a lane until it is told to stop. Rejects never: what goes wrong is reported or ends the thread. */
export async function runLane(task: LaneTask): Promise<void> {
  hidePorts();
  const agents = new Map<string, SessionAgentBuilder>();
  const loading = loadAgents(task.agents, agents);
  let stop!: () => void;
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  let lane: Lane | undefined;
  const control: LaneControl = {
    loaded: () => loading,
    openHandle: (slot, generation, kind, port) => {
      const actor = lane?.session(slot, generation);
      if (actor?.tenure.handles?.[kind] === undefined) {
        port.close();
        return false;
      }
      serveHandle(port, actor, kind);
      return true;
    },
    stop,
  };
  exposeOn(task.control, control);
  // What an agent throws where nobody can catch it must not end the thread under its neighbours.
  const early: unknown[] = [];
  const contain = (error: unknown): void => {
    if (lane !== undefined) lane.reportStray(error);
    else if (early.length < EARLY_MAX) early.push(error);
  };
  process.on("uncaughtException", contain);
  process.on("unhandledRejection", contain);
  const store = task.store && new StoreClient(new PortTransport(task.store.port));
  if ((await loading).ok) {
    const guard = task.fixesBuiltins ? fixBuiltins() : undefined;
    const words = new LaneWords(task.words);
    lane = new Lane({
      transport: new PortTransport(task.data, task.polls ? new Poller(POLL_LOW, () => words.mayPoll()) : undefined),
      table: new SlotTable(task.segments),
      words,
      agents,
      interruptGraceMs: task.interruptGraceMs,
      buildTimeoutMs: task.buildTimeoutMs,
      guard,
      endThread: () => process.exit(EXIT_CHANGED),
      keeping: store && {
        store,
        logsEvents: task.store?.logsEvents === true,
        remembersTurns: task.store?.remembersTurns === true,
      },
    });
    for (const error of early.splice(0)) lane.reportStray(error);
  }
  await stopped;
  await lane?.close();
  store?.close();
  task.data.close();
  task.control.close();
}
