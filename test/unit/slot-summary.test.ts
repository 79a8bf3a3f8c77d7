import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { SUMMARY, SUMMARY_INTS, VERSION } from "../../src/core/slot-layout.ts";
import type { Summary } from "../../src/core/slot-summary.ts";
import { readSummary, writeSummary } from "../../src/core/slot-summary.ts";
import { SlotTable } from "../../src/core/slot-table.ts";

function oneSegment(): SlotTable {
  const table = new SlotTable();
  table.addSegment();
  return table;
}

const counts = fc.maxSafeNat();
const summaries: fc.Arbitrary<Summary> = fc.record({
  updatedAt: counts,
  messageCount: fc.nat(),
  usage: fc.record(
    { inputTokens: counts, outputTokens: counts, cacheCreationTokens: counts, cacheReadTokens: counts },
    { requiredKeys: ["inputTokens", "outputTokens"] },
  ) as fc.Arbitrary<Summary["usage"]>,
});

describe("summary", () => {
  test("what was written last is what is read, absent counts absent, up to the largest safe integer", () => {
    fc.assert(
      fc.property(fc.array(summaries, { minLength: 1, maxLength: 5 }), fc.nat(4095), (written, slot) => {
        const table = oneSegment();
        for (const summary of written) {
          writeSummary(table, slot, summary);
          expect(readSummary(table, slot)).toEqual(summary);
        }
      }),
    );
  });

  test("before the first write all counts are zero", () => {
    const { updatedAt, messageCount, usage } = readSummary(oneSegment(), 0);
    expect([updatedAt, messageCount, usage.inputTokens, usage.outputTokens]).toEqual([0, 0, 0, 0]);
  });

  test("a writer that died half-way leaves the last good summary in place", () => {
    fc.assert(
      fc.property(summaries, fc.nat(3), fc.nat(SUMMARY_INTS), (good, earlier, words) => {
        const table = oneSegment();
        for (let i = 0; i <= earlier; i++) writeSummary(table, 1, good);
        const memory = table.words(1);
        const version = memory[table.base(1) + VERSION] as number;
        // The next writer got through `words` words of the copy that does not count, and never to VERSION.
        const copy = table.base(1) + SUMMARY + ((version + 1) & 1) * SUMMARY_INTS;
        memory.fill(0x5555, copy, copy + words);
        expect(readSummary(table, 1)).toEqual(good);
      }),
    );
  });

  test("VERSION runs over from its last 31-bit value without losing a summary", () => {
    const table = oneSegment();
    table.words(0)[table.base(0) + VERSION] = 0x7ffffffe;
    for (let count = 1; count <= 4; count++) {
      const summary = { updatedAt: count, messageCount: count, usage: { inputTokens: count, outputTokens: 0 } };
      writeSummary(table, 0, summary);
      expect(readSummary(table, 0)).toEqual(summary);
    }
  });

  test("a slot's summary does not touch its neighbours", () => {
    const table = oneSegment();
    writeSummary(table, 1, { updatedAt: 2 ** 50, messageCount: 9, usage: { inputTokens: 9, outputTokens: 9, cacheReadTokens: 9 } });
    for (const slot of [0, 2]) {
      const base = table.base(slot);
      expect(
        table
          .words(slot)
          .subarray(base, base + 32)
          .every((word) => word === 0),
      ).toBe(true);
    }
  });
});
