/**
 * SIGINT and SIGTERM as two steps: the first asks to finish, the second to interrupt. After the second the process's default is back,
 * so a third ends it at once, should everything else be stuck.
 */
import type { SignalSource } from "./command-io.ts";

/** Milliseconds within which a signal is the echo of the one before: a terminal sends it to us and to a parent that passes it on. */
const ECHO_MS = 100;
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export interface StopSteps {
  finish(): void;
  interrupt(): void;
}

export class StopSignals {
  readonly #source: SignalSource;
  readonly #steps: StopSteps;
  readonly #nowMs: () => number;
  #lastMs = -Infinity;
  /** Signals that came, without echoes. */
  count = 0;

  /** Listens from now on. @param nowMs - a monotonic clock */
  constructor(source: SignalSource, steps: StopSteps, nowMs: () => number = () => performance.now()) {
    this.#source = source;
    this.#steps = steps;
    this.#nowMs = nowMs;
    for (const signal of SIGNALS) source.on(signal, this.#onSignal);
  }

  /** Listen no more. */
  remove(): void {
    for (const signal of SIGNALS) this.#source.off(signal, this.#onSignal);
  }

  readonly #onSignal = (): void => {
    const nowMs = this.#nowMs();
    const isEcho = nowMs - this.#lastMs < ECHO_MS;
    this.#lastMs = nowMs;
    if (isEcho) return;
    if (++this.count === 1) {
      this.#steps.finish();
    } else {
      this.remove();
      this.#steps.interrupt();
    }
  };
}
