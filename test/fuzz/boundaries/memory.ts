/** Shared memory with arbitrary words, and what is kept of staged context. */
import { SLOT_INTS } from "../../../src/core/slot-layout.ts";
import { readSummary, writeSummary } from "../../../src/core/slot-summary.ts";
import { SlotTable } from "../../../src/core/slot-table.ts";
import { SystemContextLedger } from "../../../src/core/system-context.ts";
import type { Boundary } from "../boundary.ts";
import { expectThat } from "../boundary.ts";
import * as make from "../generate.ts";

const summary: Boundary<{ readonly words: Int32Array }> = {
  name: "summary in shared memory",
  make: (random) => ({
    words: Int32Array.from({ length: SLOT_INTS }, () => random.pick([0, -1, 1, 2 ** 31 - 1, -(2 ** 31), random.u32() | 0])),
  }),
  check: ({ words }) => {
    const table = new SlotTable();
    table.addSegment();
    table.words(3).set(words, table.base(3));
    const read = readSummary(table, 3);
    for (const value of [read.updatedAt, read.messageCount, ...Object.values(read.usage)])
      expectThat(Number.isFinite(value), `${value} is no number`);
    writeSummary(table, 3, { updatedAt: 5, messageCount: 6, usage: { inputTokens: 7, outputTokens: 8 } });
    expectThat(readSummary(table, 3).messageCount === 6, "the next summary is read");
    return "accepted";
  },
};

const ledger: Boundary<{
  readonly taken: number;
  readonly context: ReturnType<typeof make.contextOf>;
  readonly requests: readonly object[];
}> = {
  name: "staged context",
  make: (random) => ({
    taken: random.pick([0, 1, 5, 1000, random.below(400)]),
    context: make.contextOf(random),
    requests: make.appendsOf(random),
  }),
  check: ({ taken, context, requests }) => {
    const kept = SystemContextLedger.from(context, taken);
    for (const request of requests as { text: string }[]) {
      const outcome = kept.check(request, 1);
      if (outcome.status !== "staged") continue;
      const stored = kept.storedWith(outcome.append);
      kept.add(outcome.append);
      const { pending, seen } = kept.snapshot();
      expectThat(
        stored.pending.length === pending.length && Object.keys(stored.seen).length === Object.keys(seen).length,
        "what is stored is what is kept",
      );
    }
    const { pending } = kept.snapshot();
    kept.taken(taken);
    expectThat(kept.snapshot().pending.length === Math.max(0, pending.length - taken), "as many are left as were not taken");
    return "accepted";
  },
};

export const MEMORY: readonly Boundary<never>[] = [summary, ledger] as readonly Boundary[] as readonly Boundary<never>[];
