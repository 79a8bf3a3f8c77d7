/**
 * Rows of sessions that were removed.
 *
 *   L5. A session is removed by its head. Rows that are left are erased by and by, under a number that is nobody's any more.
 */
import type { LmdbEnv } from "./lmdb-env.ts";
import { eraseEvents } from "./lmdb-events.ts";
import { PART, numberKey, numberOf, partKey } from "./lmdb-keys.ts";
import { eraseKeyed } from "./lmdb-keyed.ts";
import { eraseLog } from "./lmdb-log.ts";
import { eraseRuntime } from "./lmdb-runtimes.ts";

/** Rows that one transaction erases. */
const ERASED_AT_ONCE = 1000;

/** Erase rows of a removed session, as many as one transaction takes. @returns whether some are left, and noted */
export function erase(env: LmdbEnv, number: number): boolean {
  for (const part of Object.values(PART)) env.remove("parts", partKey(number, part));
  eraseRuntime(env, number);
  const forgotten = ERASED_AT_ONCE - eraseKeyed(env, number, ERASED_AT_ONCE);
  const left = forgotten - (forgotten > 0 ? eraseLog(env, number, forgotten) : 0);
  if (left > 0 && eraseEvents(env, number, left) < left) {
    env.remove("doomed", numberKey(number));
    return false;
  }
  env.put("doomed", numberKey(number), new Uint8Array(0));
  return true;
}

/** Go on with the first session that was noted. @returns whether there may be more to do */
export function eraseNext(env: LmdbEnv): boolean {
  for (const key of env.keys("doomed", { start: numberKey(0), end: Buffer.of(0xff), limit: 1 })) {
    const number = numberOf(key);
    if (number < 0) env.remove("doomed", key); // not a key of ours: there is nothing to erase, and it must not come first for ever
    else erase(env, number);
    return true;
  }
  return false;
}
