/**
 * One run: reads lines, runs their turns, writes and counts what comes out. Owns the order of events from the first byte of the input to
 * the last settled turn; opening and closing of everything is its caller's.
 *
 *   B1. A turn's room in the look-ahead is free again only when its result was taken by the output: whoever reads slowly slows the input.
 *   B2. Every line read is accounted for: bad, done by an earlier run, settled, or (after a stop) not run.
 *   B3. Where sessions are stored, a line whose turn could not be decided is left to a later run, and with it the session's lines behind it.
 *   B4. Where sessions are stored, a session's next turn starts when the result of the one before is written: no line can ask otherwise.
 */
import { setMaxListeners } from "node:events";

import type { SessionService } from "../host/session-service.ts";
import { SessionError } from "../protocol/errors.ts";
import { messageOf } from "./command-io.ts";
import type { Input } from "./files.ts";
import type { EarlierResults } from "./earlier-results.ts";
import { NO_RESULTS } from "./earlier-results.ts";
import { LineIds } from "./line-ids.ts";
import type { Line } from "./line-splitter.ts";
import { LineSplitter } from "./line-splitter.ts";
import type { ResultSink } from "./result-writer.ts";
import type { LineResult } from "./results.ts";
import { badLine } from "./results.ts";
import type { RunReport } from "./run-report.ts";
import type { NumberedTurn } from "./session-runner.ts";
import { SessionRunner } from "./session-runner.ts";
import type { StoredNames } from "./stored-names.ts";
import { LINE_BYTES_MAX, isForBusy, parseTurnLine } from "./turn-line.ts";
import type { LookAhead } from "./turn-scheduler.ts";
import { TurnScheduler } from "./turn-scheduler.ts";

/** Enough to keep every lane busy and to have many waiting agents at once; small enough to forget. */
const LOOK_AHEAD: LookAhead = { turns: 1024, bytes: 2 * LINE_BYTES_MAX };

export interface StoredRun {
  readonly names: StoredNames;
  readonly earlier: EarlierResults;
  /** Live sessions at most; undefined: more than turns are looked ahead. Others sleep, so no line fails for want of room. */
  readonly maxSessions: number | undefined;
}

export interface BatchOptions {
  readonly input: Input;
  readonly service: SessionService;
  readonly writer: Pick<ResultSink, "write">;
  readonly report: RunReport;
  /** Milliseconds, for turns without their own. */
  readonly timeoutMs: number | undefined;
  /** Write events too. */
  readonly hasEvents: boolean;
  /** Where sessions outlive the run: their names, and what earlier runs have done. */
  readonly stored?: StoredRun | undefined;
}

export class Batch {
  readonly #input: Input;
  readonly #writer: Pick<ResultSink, "write">;
  readonly #report: RunReport;
  readonly #runner: SessionRunner;
  readonly #scheduler: TurnScheduler<NumberedTurn>;
  readonly #interrupt = new AbortController();
  readonly #ids: LineIds;
  readonly #earlier: EarlierResults;
  readonly #isStored: boolean;
  /** Sessions with a line that is left to a later run. */
  readonly #held = new Set<string>();
  #isStopped = false;
  #isAtEnd = false;

  constructor({ input, service, writer, report, timeoutMs, hasEvents, stored }: BatchOptions) {
    this.#input = input;
    this.#writer = writer;
    this.#report = report;
    this.#isStored = stored !== undefined;
    this.#ids = new LineIds(this.#isStored);
    this.#earlier = stored?.earlier ?? NO_RESULTS;
    this.#runner = new SessionRunner({
      service,
      timeoutMs,
      onEvent: hasEvents ? (record) => writer.write(record) : undefined,
      names: stored?.names,
      earlier: this.#earlier,
      signal: this.#interrupt.signal,
    });
    setMaxListeners(0, this.#interrupt.signal); // every running turn listens
    const turns = Math.min(LOOK_AHEAD.turns, stored?.maxSessions ?? Infinity);
    this.#scheduler = new TurnScheduler({ ...LOOK_AHEAD, turns }, (turn) => this.#run(turn));
  }

  /** Turns running now. */
  get running(): number {
    return this.#scheduler.running;
  }

  /** Whether everything the input holds was run to its end, as far as signals are concerned. */
  get isComplete(): boolean {
    const { read, done, interrupted } = this.#report.counts;
    return this.#isAtEnd && read === done && interrupted === 0;
  }

  /**
   * Run everything.
   *
   * @returns what went wrong with the input, when it could not be read to its end; what was read has been run then
   */
  async run(): Promise<string | undefined> {
    const problem = await this.#read();
    await this.#scheduler.idle();
    return problem;
  }

  /** Read no more and start no more; running turns finish. */
  stop(): void {
    this.#isStopped = true;
    this.#scheduler.stop();
    this.#input.chunks.destroy();
  }

  /** As stop, and running turns are interrupted. */
  interrupt(): void {
    this.stop();
    this.#interrupt.abort(new SessionError("HOST_CLOSED", "the run was interrupted"));
  }

  async #read(): Promise<string | undefined> {
    const splitter = new LineSplitter(LINE_BYTES_MAX);
    try {
      for await (const chunk of this.#input.chunks as AsyncIterable<Buffer>) {
        this.#report.counts.bytes += chunk.length;
        for (const line of splitter.push(chunk)) if (!(await this.#take(line))) return undefined;
      }
      for (const line of splitter.end()) if (!(await this.#take(line))) return undefined;
      this.#isAtEnd = !this.#isStopped;
    } catch (error) {
      // After a stop the stream has been destroyed under the loop, which says so.
      if (!this.#isStopped) return `cannot read ${this.#input.name}: ${messageOf(error)}`;
    }
    return undefined;
  }

  /** @returns whether to go on reading */
  async #take(line: Line): Promise<boolean> {
    if (this.#isStopped) return false;
    const parsed = "problem" in line ? line : parseTurnLine(line.text);
    if (parsed === undefined) return true;
    if ("problem" in parsed) return this.#refuse(line, parsed.problem);
    // B4
    if (this.#isStored && isForBusy(parsed.turn)) return this.#refuse(line, "onBusy: is not for a run with a store");
    const named = this.#ids.take(line.number, parsed.turn);
    if ("problem" in named) return this.#refuse(line, named.problem);
    const wasGood = named.id === undefined ? undefined : this.#earlier.done.get(named.id);
    if (wasGood !== undefined) {
      this.#report.addEarlier(wasGood);
      return true;
    }
    this.#report.counts.read++;
    const turn = { line: line.number, id: named.id, turn: parsed.turn };
    return this.#scheduler.add(parsed.turn.session, line.bytes, turn, isForBusy(parsed.turn));
  }

  async #refuse(line: Line, problem: string): Promise<true> {
    await this.#settle(badLine(line.number, problem));
    return true;
  }

  async #run(turn: NumberedTurn): Promise<void> {
    if (this.#held.has(turn.turn.session)) return; // B3
    const result = await this.#runner.run(turn);
    if (result.status === "bad_line") this.#report.counts.read--; // it was taken for a turn until its session was known
    await this.#settle(result);
  }

  async #settle(result: LineResult): Promise<void> {
    this.#report.add(result);
    this.#report.counts.sessions = this.#runner.sessions;
    if (this.#isStored && this.#isLeft(result)) return;
    await this.#writer.write(result.record); // B1
  }

  /** Whether nothing is written of a line: it is to be run again (B3), or what is wrong with it stands in the output already. */
  #isLeft(result: LineResult): boolean {
    if (result.status === "bad_line") return this.#earlier.badLines.has(result.record.error.message);
    if (result.isUndecided !== true) return false;
    this.#held.add(result.record.session);
    this.#report.counts.undecided++;
    return true;
  }
}
