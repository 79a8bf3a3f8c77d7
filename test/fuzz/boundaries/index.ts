/** Everything that is fuzzed. */
import type { Boundary } from "../boundary.ts";
import { AGENTS } from "./agents.ts";
import { CODEC } from "./codec.ts";
import { COMMS } from "./comms.ts";
import { LIVE } from "./live.ts";
import { MEMORY } from "./memory.ts";
import { PACKED } from "./packed-write.ts";
import { ROWS } from "./rows.ts";
import { RUNTIME } from "./runtime.ts";
import { TEXT } from "./text.ts";
import { VALUES } from "./values.ts";

export const BOUNDARIES: readonly Boundary<never>[] = [
  ...CODEC,
  ...PACKED,
  ...ROWS,
  ...VALUES,
  ...TEXT,
  ...RUNTIME,
  ...COMMS,
  ...MEMORY,
  ...AGENTS,
  ...LIVE,
];
