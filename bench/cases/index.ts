/** Every case, in the order of the targets; then those without one. */
import type { Case } from "../harness/case.ts";
import { agentMessages } from "./agent-messages.ts";
import { coldStart } from "./cold-start.ts";
import { creates } from "./creates.ts";
import { durableTurns } from "./durable-turns.ts";
import { events } from "./events.ts";
import { httpStreams } from "./http-streams.ts";
import { httpTurns } from "./http-turns.ts";
import { idleMemory } from "./idle-memory.ts";
import { interference } from "./interference.ts";
import { interrupt } from "./interrupt.ts";
import { laneRecovery } from "./lane-recovery.ts";
import { lanes } from "./lanes.ts";
import { loneTurn } from "./lone-turn.ts";
import { noopTurns } from "./noop-turns.ts";
import { overload } from "./overload.ts";
import { payloads } from "./payloads.ts";
import { readList } from "./read-list.ts";
import { storedSessions } from "./stored-sessions.ts";

export const CASES: readonly Case[] = [
  noopTurns,
  events,
  loneTurn,
  readList,
  idleMemory,
  creates,
  durableTurns,
  interference,
  interrupt,
  laneRecovery,
  storedSessions,
  coldStart,
  overload,
  agentMessages,
  httpTurns,
  httpStreams,
  payloads,
  lanes,
];
