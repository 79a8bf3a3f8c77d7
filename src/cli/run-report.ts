/** Counts what a run does and says it in a table at its end. */
import type { Histogram } from "hdr-histogram-js";
import { build } from "hdr-histogram-js";

import type { HostSnapshot } from "../protocol/views.ts";
import { printable } from "./printable.ts";
import type { LineResult } from "./results.ts";
import { plainTable } from "./tables.ts";

/** Failures told in full. */
const FAILURES_SHOWN = 5;
/** Characters of a reason. */
const REASON_MAX = 160;
/** A day: what takes longer counts as that. */
const LATENCY_MAX_US = 86_400_000_000;

export interface RunCounts {
  /** Bytes of input. */
  bytes: number;
  /** Turns read. */
  read: number;
  /** Turns settled. */
  done: number;
  /** Of them: not a success, for whatever reason. */
  failed: number;
  /** Of the failed: not what was expected. */
  unmet: number;
  /** Of the failed: cut off by a signal. */
  interrupted: number;
  badLines: number;
  sessions: number;
  /** Lines whose results an earlier run has written. */
  earlier: number;
  /** Of them: not a success. */
  earlierFailed: number;
  /** Of the failed: to be run again. */
  undecided: number;
}

interface Failure {
  readonly line: number;
  readonly session: string;
  readonly reason: string;
}

export class RunReport {
  readonly counts: RunCounts = {
    bytes: 0,
    read: 0,
    done: 0,
    failed: 0,
    unmet: 0,
    interrupted: 0,
    badLines: 0,
    sessions: 0,
    earlier: 0,
    earlierFailed: 0,
    undecided: 0,
  };
  readonly #latencyUs: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MAX_US,
    numberOfSignificantValueDigits: 3,
  });
  readonly #failures: Failure[] = [];

  /** Whether everything so far was a success. */
  get isClean(): boolean {
    return this.counts.failed === 0 && this.counts.badLines === 0 && this.counts.earlierFailed === 0;
  }

  /** A line whose result an earlier run has written. */
  addEarlier(isGood: boolean): void {
    this.counts.earlier++;
    if (!isGood) this.counts.earlierFailed++;
  }

  add(result: LineResult): void {
    const { counts } = this;
    if (result.status === "bad_line") {
      counts.badLines++;
      this.#addFailure(result.record.line, "", result.problem);
      return;
    }
    const { status, record } = result;
    counts.done++;
    this.#latencyUs.recordValue(Math.min(Math.max(1, Math.round(record.durationMs * 1000)), LATENCY_MAX_US));
    if (status === "ok") return;
    counts.failed++;
    if (status === "unmet") counts.unmet++;
    if (status === "interrupted") counts.interrupted++;
    const cameOut = record.error ? `${record.error.code}: ${record.error.message}` : JSON.stringify(record.text);
    this.#addFailure(
      record.line,
      record.session,
      status === "unmet" ? `expected ${JSON.stringify(record.expected)}, got ${cameOut}` : cameOut,
    );
  }

  #addFailure(line: number, session: string, reason: string): void {
    if (this.#failures.length < FAILURES_SHOWN) this.#failures.push({ line, session, reason });
  }

  /**
   * The closing tables.
   *
   * @param host - as it is while its lanes still run
   * @param elapsedS - seconds the run took
   * @returns lines of text, the last one ended
   */
  render(host: HostSnapshot, elapsedS: number): string {
    const { read, done, failed, unmet, interrupted, badLines, sessions, earlier, earlierFailed, undecided } = this.counts;
    const totals = plainTable("turns", "sessions", "turns/s", "p50 ms", "p99 ms", "failed", "unmet", "bad lines");
    totals.push([done, sessions, rate(done, elapsedS), this.#latencyMs(50), this.#latencyMs(99), failed, unmet, badLines]);
    const lanes = plainTable("lane", "turns", "failed", "utilization");
    for (const { lane, settledTurns, failedTurns, utilization } of host.lanes) {
      lanes.push([lane, settledTurns, failedTurns, utilization === undefined ? "-" : `${(utilization * 100).toFixed(0)} %`]);
    }
    const parts = [totals.toString(), lanes.toString()];
    if (host.lanesLost > 0) parts.push(`lanes lost and replaced: ${host.lanesLost}; what a lost lane ran is not in the table above`);
    const strayErrors = host.lanes.reduce((sum, lane) => sum + lane.strayErrors, 0);
    if (strayErrors > 0) parts.push(`errors of agents that nobody awaited: ${strayErrors}`);
    if (interrupted > 0 || read > done) parts.push(`cut short: ${interrupted} turns interrupted, ${read - done} read and not run`);
    if (earlier > 0) parts.push(`done by earlier runs: ${earlier} turns, ${earlierFailed} of them failed`);
    if (undecided > 0) parts.push(`left to another run: ${undecided} turns that failed for no reason of their own`);
    if (this.#failures.length > 0) parts.push(this.#failureTable());
    return `${parts.join("\n")}\n`;
  }

  /** The same for programs. */
  summary(host: HostSnapshot, elapsedS: number): object {
    const { bytes: _bytes, read, done, ...counts } = this.counts;
    const latency = done === 0 ? {} : { p50Ms: Number(this.#latencyMs(50)), p99Ms: Number(this.#latencyMs(99)) };
    return {
      turns: done,
      notRun: read - done,
      ...counts,
      elapsedS,
      turnsPerS: Number(rate(done, elapsedS)),
      ...latency,
      lanesLost: host.lanesLost,
    };
  }

  #latencyMs(percentile: number): string {
    return this.counts.done === 0 ? "-" : (this.#latencyUs.getValueAtPercentile(percentile) / 1000).toFixed(2);
  }

  #failureTable(): string {
    const failures = plainTable("line", "session", "reason");
    for (const { line, session, reason } of this.#failures)
      failures.push([line, printable(session, REASON_MAX), printable(reason, REASON_MAX)]);
    const more = this.counts.failed + this.counts.badLines - this.#failures.length;
    return failures.toString() + (more > 0 ? `\nand ${more} more` : "");
  }
}

/** @returns turns per second, for people */
export function rate(turns: number, elapsedS: number): string {
  return (turns / Math.max(elapsedS, 0.001)).toFixed(1);
}
