/** What a lane has not taken yet, and when that is too much: B1, B2. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { LaneWords } from "../../src/core/lane-words.ts";
import { BYTES_MAX, LaneBacklog, RECORDS_MAX } from "../../src/host/lane-backlog.ts";

/** A lane's word and a clock that the test moves. */
class Bench {
  nowMs = 1000;
  /** As the lane's word: modulo 2^32, signed. */
  word: number;
  readonly backlog: LaneBacklog;

  constructor(word = 0) {
    this.word = word;
    this.backlog = new LaneBacklog({ taken: () => this.word }, () => this.nowMs);
  }

  take(frames: number): void {
    this.word = (this.word + frames) | 0;
  }
}

describe("lane-backlog", () => {
  test("B1: too many records", () => {
    const bench = new Bench();
    for (let n = 0; n < RECORDS_MAX / 512; n++) bench.backlog.sent(512, 1);
    expect(bench.backlog.isBehind).toBe(false);
    bench.backlog.sent(1, 1);
    expect(bench.backlog.isBehind).toBe(true);
    bench.take(RECORDS_MAX / 512 / 2);
    expect([bench.backlog.isBehind, bench.backlog.inspect().queuedRecords]).toEqual([true, RECORDS_MAX / 2 + 1]);
    bench.take(1);
    expect(bench.backlog.isBehind).toBe(false);
  });

  test("B1: too many bytes, of however few records", () => {
    const bench = new Bench();
    bench.backlog.sent(1, BYTES_MAX);
    expect(bench.backlog.isBehind).toBe(false);
    bench.backlog.sent(1, 1);
    expect([bench.backlog.isBehind, bench.backlog.inspect().queuedBytes]).toEqual([true, BYTES_MAX + 1]);
    bench.take(1);
    expect([bench.backlog.isBehind, bench.backlog.inspect().queuedBytes]).toEqual([false, 1]);
  });

  test("B2: whatever is sent and taken, what is left is what was sent and not taken, also across the wrap of the word", () => {
    const steps = fc.array(fc.record({ records: fc.integer({ min: 1, max: 512 }), bytes: fc.nat(1000), taken: fc.nat(4) }));
    fc.assert(
      fc.property(steps, (list) => {
        const bench = new Bench();
        const sent: { records: number; bytes: number }[] = [];
        let taken = 0;
        for (const step of list) {
          bench.backlog.sent(step.records, step.bytes);
          sent.push(step);
          const more = Math.min(step.taken, sent.length - taken);
          bench.take(more);
          taken += more;
          expect(bench.backlog.look()).toBe(sent.length - taken);
          const left = sent.slice(taken);
          expect(bench.backlog.inspect()).toEqual({
            queuedRecords: left.reduce((sum, { records }) => sum + records, 0),
            queuedBytes: left.reduce((sum, { bytes }) => sum + bytes, 0),
          });
        }
      }),
    );
    const words = new LaneWords();
    const atWrap = new LaneBacklog(words);
    for (let n = 0; n < 10; n++) {
      atWrap.sent(1, 1);
      words.take();
    }
    expect(atWrap.look()).toBe(0);
    const late = new Bench(0x7fff_fffe);
    late.backlog.sent(1, 1);
    late.take(0x7fff_fffe); // as a lane that has long been running; frames before this backlog are none of its
    for (let n = 0; n < 4; n++) late.backlog.sent(1, 1);
    const before = late.backlog.look();
    late.take(3);
    expect(late.backlog.look()).toBe(before - 3);
  });

  test("the advice follows the lane's pace, and is bounded", () => {
    const bench = new Bench();
    for (let n = 0; n < 300; n++) bench.backlog.sent(512, 1);
    bench.nowMs += 100;
    bench.take(20); // 10,240 records in 100 ms
    const excess = 280 * 512 - RECORDS_MAX / 2;
    expect(bench.backlog.retryAfterMs).toBe(Math.ceil(excess / 102.4));
    bench.nowMs += 60_000;
    expect(bench.backlog.retryAfterMs).toBe(10_000);
  });

  test("a lane that takes nothing: as long as it has done so", () => {
    const bench = new Bench();
    for (let n = 0; n < 300; n++) bench.backlog.sent(512, 1);
    bench.nowMs += 700;
    expect(bench.backlog.retryAfterMs).toBe(700);
  });
});
