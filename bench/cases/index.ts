/** Every case, in the order of the targets. */
import type { Case } from "../harness/case.ts";
import { coldStart } from "./cold-start.ts";
import { creates } from "./creates.ts";
import { idleMemory } from "./idle-memory.ts";
import { interference } from "./interference.ts";
import { interrupt } from "./interrupt.ts";
import { noopTurns } from "./noop-turns.ts";
import { readList } from "./read-list.ts";

export const CASES: readonly Case[] = [noopTurns, readList, idleMemory, creates, interference, interrupt, coldStart];
