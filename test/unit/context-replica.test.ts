import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { SystemContextLedger } from "../../src/core/system-context.ts";
import { ContextReplica } from "../../src/lane/context-replica.ts";

describe("ContextReplica", () => {
  test("what is fed is pending, and is taken once; the host is told how many", () => {
    const told: number[] = [];
    const replica = new ContextReplica((count) => told.push(count));
    replica.feed({ text: "a" });
    replica.feed({ text: "b", source: "s" });
    expect(replica.pending).toEqual([{ text: "a" }, { text: "b", source: "s" }]);
    expect(replica.takePending()).toEqual([{ text: "a" }, { text: "b", source: "s" }]);
    expect(replica.takePending()).toEqual([]);
    expect(replica.pending).toEqual([]);
    expect(told).toEqual([2]);
  });

  test("rendering takes: the next prompt is without the blocks", () => {
    const told: number[] = [];
    const replica = new ContextReplica((count) => told.push(count));
    replica.feed({ text: "a" });
    expect(replica.render("prompt")).toBe("prompt\n\n---\n\n[Runtime System Context]\n\na");
    expect(replica.render("prompt")).toBe("prompt");
    expect(told).toEqual([1]);
  });

  test("a list handed out earlier does not change under its reader", () => {
    const replica = new ContextReplica(() => {});
    replica.feed({ text: "a" });
    const { pending } = replica;
    replica.feed({ text: "b" });
    replica.takePending();
    expect(pending).toEqual([{ text: "a" }]);
  });

  test("with the host's ledger behind it, every text is taken once and both agree on what is pending", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("stage", "stage", "take"), { maxLength: 40 }), (sequence) => {
        const ledger = new SystemContextLedger();
        const replica = new ContextReplica((count) => ledger.taken(count));
        const taken: string[] = [];
        let count = 0;
        for (const step of sequence) {
          if (step === "stage") {
            const outcome = ledger.stage({ text: `t${count++}` }, 0);
            if (outcome.status === "staged") replica.feed(outcome.append);
          } else taken.push(...replica.takePending().map(({ text }) => text));
          expect(replica.pending).toEqual(ledger.snapshot().pending);
        }
        taken.push(...replica.takePending().map(({ text }) => text));
        expect(taken).toEqual(Array.from({ length: count }, (_, n) => `t${n}`));
      }),
    );
  });
});
