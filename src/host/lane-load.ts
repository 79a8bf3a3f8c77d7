/**
 * How busy a lane is, and with whom: the share of time its loop was busy, and what of that each session used, over the last rounds.
 *
 * A session's part is sampled (cpu-sampler.ts). In most rounds only what is synchronous is seen; where there are rounds in which everything
 * was, they alone say how the parts are.
 */
import type { SessionLoad } from "../protocol/views.ts";
import type { LoopTimes } from "./lane-thread.ts";
import type { SessionEntry } from "./session-entry.ts";

/** Rounds of the supervisor (250 ms) that count: two seconds. */
export const ROUNDS = 8;

interface Round {
  readonly activeMs: number;
  readonly idleMs: number;
  /** What came after an await was seen too. */
  readonly isWhole: boolean;
  /** Milliseconds that the samples stand for: fewer than the round has when main is late. */
  readonly sampledMs: number;
  /** Of them, by session. */
  readonly used: Map<SessionEntry, number>;
}

export class LaneLoad {
  /** The oldest first. */
  readonly #rounds: Round[] = [];
  #times: LoopTimes | undefined;
  #used = new Map<SessionEntry, number>();
  #sampledMs = 0;

  /**
   * A round is over.
   *
   * @param times - of the lane's loop since it started; undefined when it does not run
   * @param isWhole - the lane marked what came after an await too
   */
  round(times: LoopTimes | undefined, isWhole = false): void {
    const before = this.#times;
    this.#times = times;
    const used = this.#used;
    const sampledMs = this.#sampledMs;
    this.#used = new Map();
    this.#sampledMs = 0;
    if (times === undefined || before === undefined) return;
    this.#rounds.push({ activeMs: times.activeMs - before.activeMs, idleMs: times.idleMs - before.idleMs, isWhole, sampledMs, used });
    if (this.#rounds.length > ROUNDS) this.#rounds.shift();
  }

  /** A sample that stands for so many milliseconds. @param entry - whose code ran; undefined: none that is known */
  sampled(entry: SessionEntry | undefined, ms: number): void {
    this.#sampledMs += ms;
    if (entry === undefined) return;
    entry.cpuMs += ms;
    this.#used.set(entry, (this.#used.get(entry) ?? 0) + ms);
  }

  /** Share of time the loop was busy in the last round, 0..1; undefined before the first. */
  get lastShare(): number | undefined {
    return shareOf(this.#rounds.slice(-1));
  }

  /** As `lastShare`, over all rounds that count. */
  get share(): number | undefined {
    return shareOf(this.#rounds);
  }

  /** Whether as many rounds as count have been seen. */
  get isFull(): boolean {
    return this.#rounds.length === ROUNDS;
  }

  /** Sessions by their part, the largest first. */
  parts(): { entry: SessionEntry; share: number }[] {
    const sums = new Map<SessionEntry, number>();
    let lapsedMs = 0;
    const whole = this.#rounds.filter(({ isWhole }) => isWhole);
    for (const { activeMs, idleMs, sampledMs, used } of whole.length > 0 ? whole : this.#rounds) {
      lapsedMs += activeMs + idleMs;
      for (const [entry, ms] of used) sums.set(entry, (sums.get(entry) ?? 0) + (ms / sampledMs) * (activeMs + idleMs));
    }
    if (lapsedMs <= 0) return [];
    return [...sums].map(([entry, ms]) => ({ entry, share: Math.min(1, ms / lapsedMs) })).sort((a, b) => b.share - a.share);
  }

  busiest(count: number): SessionLoad[] {
    return this.parts()
      .slice(0, count)
      .map(({ entry: { id, cpuMs }, share }) => ({ sessionId: id, share, cpuMs }));
  }
}

function shareOf(rounds: readonly Round[]): number | undefined {
  let activeMs = 0;
  let idleMs = 0;
  for (const round of rounds) {
    activeMs += round.activeMs;
    idleMs += round.idleMs;
  }
  return activeMs + idleMs > 0 ? activeMs / (activeMs + idleMs) : undefined;
}
