/** Everything that is fuzzed. */
import type { Boundary } from "../boundary.ts";
import { CODEC } from "./codec.ts";
import { LIVE } from "./live.ts";
import { PACKED } from "./packed-write.ts";
import { ROWS } from "./rows.ts";
import { VALUES } from "./values.ts";

export const BOUNDARIES: readonly Boundary<never>[] = [...CODEC, ...PACKED, ...ROWS, ...VALUES, ...LIVE];
