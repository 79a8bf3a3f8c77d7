/** Calls that must settle: what each ended with, in words, or that it did not. */
import { errorWords } from "./words.ts";

/** Milliseconds until a call is said not to settle, and until it is said so again after something was done about it. */
const SETTLE_MAX_MS = 10_000;

const LATE = Symbol("late");
export const HANGS = "NEVER SETTLES";

/** @returns `words` of the result, or those of the error; HANGS when it does not settle */
export async function attempt<T>(call: Promise<T>, words: (result: T) => string): Promise<string> {
  return bounded(call.then(words, errorWords));
}

/** Wait for `call`, and when it does not settle, do something about it and wait again. */
export async function bounded<T>(call: Promise<T>, remedy: () => unknown = () => {}, instead: unknown = HANGS): Promise<T> {
  for (const isLast of [false, true]) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<typeof LATE>((resolve) => (timer = setTimeout(resolve, SETTLE_MAX_MS, LATE)));
    const first = await Promise.race([call, late]);
    clearTimeout(timer);
    if (first !== LATE) return first;
    if (!isLast) await remedy();
  }
  return instead as T;
}
