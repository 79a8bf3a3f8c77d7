/** What this thread's JavaScript heap holds. About 10 µs a look. */
import { getHeapSpaceStatistics, getHeapStatistics } from "node:v8";
import { resourceLimits } from "node:worker_threads";

import type { LaneMemory } from "../core/lane-words.ts";

const MIB = 1024 * 1024;

/** The young generation is left out: it has a size of its own, and what ends a thread is that the old one does not fit. */
export function laneMemory(): LaneMemory {
  const { heap_size_limit: whole, external_memory: external } = getHeapStatistics();
  let heapUsed = 0;
  for (const { space_name: name, space_used_size: used } of getHeapSpaceStatistics()) if (!name.startsWith("new_")) heapUsed += used;
  const limitMb = resourceLimits.maxOldGenerationSizeMb;
  return { heapUsed, heapLimit: limitMb === undefined ? whole : limitMb * MIB, external };
}
