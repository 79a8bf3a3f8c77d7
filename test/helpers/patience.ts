/** Waiting for what must end, on a machine that may do other things, or stand still for a while. */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Settle like `work`, or fail when it hangs. Seconds are counted one by one, so that a machine which stood still has used up only one of them.
 *
 * @param what - says what hangs
 */
export async function patiently<T>(work: Promise<T>, seconds: number, what: () => string): Promise<T> {
  const over = new AbortController();
  const hanging = (async (): Promise<never> => {
    for (let i = 0; i < seconds; i++) await sleep(1000, undefined, { signal: over.signal });
    throw new Error(`${what()} hangs`);
  })();
  hanging.catch(() => {}); // over
  try {
    return await Promise.race([work, hanging]);
  } finally {
    over.abort();
  }
}
