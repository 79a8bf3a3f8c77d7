/**
 * SIGINT and SIGTERM as two steps: the first asks to finish, the second to interrupt. After the second the process's default is back,
 * so a third ends it at once, should everything else be stuck. What was asked to finish may take so long; then it is interrupted as by
 * a second signal.
 */
import type { SignalSource } from "./command-io.ts";

/** Milliseconds within which a signal is the echo of the one before: a terminal sends it to us and to a parent that passes it on. */
const ECHO_MS = 100;
const SIGNALS = ["SIGINT", "SIGTERM"] as const;
type StopSignal = (typeof SIGNALS)[number];

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
  /** The first of them. */
  first: StopSignal | undefined;
  readonly #drainMs: number;
  #drain: NodeJS.Timeout | undefined;
  #isSettled = false;

  /**
   * Listens from now on.
   *
   * @param drainMs - milliseconds from the first signal until what still runs is interrupted
   * @param nowMs - a monotonic clock
   */
  constructor(source: SignalSource, steps: StopSteps, drainMs: number, nowMs: () => number = () => performance.now()) {
    this.#source = source;
    this.#drainMs = drainMs;
    this.#steps = steps;
    this.#nowMs = nowMs;
    for (const signal of SIGNALS) source.on(signal, this.#onSignal);
  }

  /** There is nothing left to interrupt. It goes on listening: one signal that comes late does not end a process that is about to end. */
  settled(): void {
    clearTimeout(this.#drain);
    this.#isSettled = true;
  }

  #remove(): void {
    clearTimeout(this.#drain);
    for (const signal of SIGNALS) this.#source.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: StopSignal): void => {
    const nowMs = this.#nowMs();
    const isEcho = nowMs - this.#lastMs < ECHO_MS;
    this.#lastMs = nowMs;
    if (isEcho) return;
    this.first ??= signal;
    if (++this.count > 1) this.#remove();
    if (this.#isSettled) return;
    if (this.count === 1) {
      this.#drain = setTimeout(() => this.#steps.interrupt(), this.#drainMs);
      this.#steps.finish();
    } else this.#steps.interrupt();
  };
}
