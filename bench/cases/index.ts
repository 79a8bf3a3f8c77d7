/** Every case, in the order of the targets. */
import type { Case } from "../harness/case.ts";
import { noopTurns } from "./noop-turns.ts";

export const CASES: readonly Case[] = [noopTurns];
