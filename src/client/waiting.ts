/** Waiting that can be given up: pauses between attempts, and signals that follow others without holding on to them. */

/** Milliseconds. */
const FIRST_MS = 200;
const LONGEST_MS = 10_000;

/**
 * @param attempt - 0 for the first pause
 * @param atLeastMs - what the server asked for
 * @returns milliseconds: twice as long each time, up to 10 s, and by chance up to a half less, so that many clients do not come at once
 */
export function backOffMs(attempt: number, atLeastMs = 0): number {
  const ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.max(atLeastMs, ms * (0.5 + Math.random() / 2));
}

/** Rejects with the signal's reason when it aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/** Settles like `work`, or rejects with the signal's reason when that aborts first. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let stop!: () => void;
  const aborted = new Promise<never>((_, reject) => (stop = () => reject(signal.reason as Error)));
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A controller that aborts when `signal` does, until it is let go: a long-lived signal keeps nothing of calls that are over. */
export class LinkedAbort {
  readonly #controller = new AbortController();
  readonly #source: AbortSignal | undefined;
  readonly #follow = (): void => this.#controller.abort(this.#source?.reason);

  constructor(source: AbortSignal | undefined) {
    this.#source = source;
    if (source?.aborted) this.#follow();
    else source?.addEventListener("abort", this.#follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.letGo();
    this.#controller.abort(reason);
  }

  letGo(): void {
    this.#source?.removeEventListener("abort", this.#follow);
  }
}
