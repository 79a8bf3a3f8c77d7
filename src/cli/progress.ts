/**
 * Shows on stderr how far a run is: a bar on a terminal, otherwise a plain line now and then. Says nothing that anybody should parse.
 */
import { SingleBar } from "cli-progress";

import type { Terminal } from "./command-io.ts";
import type { RunCounts } from "./run-report.ts";
import { rate } from "./run-report.ts";

const BAR_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 2000;
const TURNS = "{done} of {read} turns read | {rate} turns/s";

export type ProgressStyle = "bar" | "plain" | "none";

export interface ProgressOptions {
  readonly stream: Terminal;
  readonly style: ProgressStyle;
  readonly counts: Readonly<RunCounts>;
  /** Of the input; undefined: nobody knows, and the bar is only its text. */
  readonly totalBytes: number | undefined;
}

/** A bar needs stderr for itself: results printed to the same terminal would run through it, and are progress enough. */
export function progressStyle(isQuiet: boolean, stderrIsTerminal: boolean, resultsAreSeen: boolean): ProgressStyle {
  if (isQuiet) return "none";
  if (!stderrIsTerminal) return "plain";
  return resultsAreSeen ? "none" : "bar";
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #startedMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #bar: SingleBar | undefined;

  constructor(options: ProgressOptions) {
    this.#options = options;
    if (options.style === "bar") this.#startBar();
    if (options.style === "plain") this.#timer = setInterval(() => this.#printLine(), PLAIN_INTERVAL_MS);
  }

  /** Seconds since the start. */
  get elapsedS(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  /** Show nothing any more, and clear the bar away. */
  stop(): void {
    clearInterval(this.#timer);
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #startBar(): void {
    const { stream, totalBytes } = this.#options;
    const bar = new SingleBar({
      stream,
      format: totalBytes === undefined ? TURNS : `[{bar}] {percentage} % | ${TURNS}`,
      clearOnComplete: true,
      gracefulExit: false, // signals are the command's
    });
    this.#bar = bar;
    bar.start(totalBytes ?? 1, 0, this.#payload());
    this.#timer = setInterval(() => bar.update(this.#doneBytes(), this.#payload()), BAR_INTERVAL_MS);
  }

  /** Bytes of the input whose turns have settled, as far as it can be told: what was read, less the share of turns still to come. */
  #doneBytes(): number {
    const { counts, totalBytes } = this.#options;
    if (totalBytes === undefined || counts.read === 0) return 0;
    return Math.min(counts.bytes, totalBytes) * Math.min(1, counts.done / counts.read);
  }

  #payload(): { done: number; read: number; rate: string } {
    const { done, read } = this.#options.counts;
    return { done, read, rate: rate(done, this.elapsedS) };
  }

  #printLine(): void {
    const { done, read, rate: perSecond } = this.#payload();
    this.#options.stream.write(`${done} of ${read} turns read, ${perSecond} turns/s\n`);
  }
}
