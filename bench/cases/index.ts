/** Every case, in the order of the targets; then those without one. */
import type { Case } from "../harness/case.ts";
import { events } from "./events.ts";
import { lanes } from "./lanes.ts";
import { loneTurn } from "./lone-turn.ts";
import { noopTurns } from "./noop-turns.ts";
import { payloads } from "./payloads.ts";

export const CASES: readonly Case[] = [noopTurns, events, loneTurn, payloads, lanes];
