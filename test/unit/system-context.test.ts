import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { BLOCK_SEPARATOR, CONTEXT_KEYS_MAX, SystemContextLedger, renderBlocks, withBlocks } from "../../src/core/system-context.ts";

const NOW = 1_700_000_000_000;

describe("staging", () => {
  test("an append waits, trimmed and stamped, and its key is taken", () => {
    const ledger = new SystemContextLedger();
    const outcome = ledger.stage({ text: "  hello \n", source: "ops", idempotencyKey: "k" }, NOW);
    const append = { text: "hello", source: "ops", idempotencyKey: "k", acceptedAt: NOW };
    expect(outcome).toEqual({ status: "staged", append });
    expect(ledger.snapshot()).toEqual({ pending: [append], seen: { k: { text: "hello", source: "ops", state: "pending" } } });
  });

  test.each(["", "   ", "\n\t"])("text %j is empty and stages nothing, also under a key", (text) => {
    const ledger = new SystemContextLedger();
    expect(ledger.stage({ text, idempotencyKey: "k" }, NOW)).toEqual({ status: "empty" });
    expect(ledger.snapshot()).toEqual({ pending: [], seen: {} });
  });

  test("without a key every append is staged", () => {
    const ledger = new SystemContextLedger();
    ledger.stage({ text: "same" }, NOW);
    ledger.stage({ text: "same" }, NOW);
    expect(ledger.snapshot().pending).toHaveLength(2);
  });

  test.each([
    ["the same text and source", { text: " a ", source: "s" }, "duplicate"],
    ["another text", { text: "b", source: "s" }, "conflict"],
    ["another source", { text: "a", source: "t" }, "conflict"],
    ["no source", { text: "a" }, "conflict"],
  ])("a known key with %s", (_, request, status) => {
    for (const isApplied of [false, true]) {
      const ledger = new SystemContextLedger();
      ledger.stage({ text: "a", source: "s", idempotencyKey: "k" }, NOW);
      if (isApplied) ledger.taken(1);
      const state = isApplied ? "applied" : "pending";
      const outcome = ledger.stage({ ...request, idempotencyKey: "k" }, NOW + 1);
      expect(outcome).toEqual(status === "conflict" ? { status, existing: { text: "a", source: "s", state } } : { status });
      expect(ledger.snapshot().pending).toHaveLength(isApplied ? 0 : 1);
    }
  });

  test.each(["__proto__", "constructor"])("a key may be %s", (idempotencyKey) => {
    const ledger = new SystemContextLedger();
    expect(ledger.stage({ text: "a", idempotencyKey }, NOW).status).toBe("staged");
    expect(ledger.stage({ text: "a", idempotencyKey }, NOW).status).toBe("duplicate");
    expect(Object.getOwnPropertyDescriptor(ledger.snapshot().seen, idempotencyKey)?.value).toEqual({ text: "a", state: "pending" });
  });

  test("what a snapshot holds may be changed without changing the ledger", () => {
    const ledger = new SystemContextLedger();
    ledger.stage({ text: "a", idempotencyKey: "k" }, NOW);
    const { pending, seen } = ledger.snapshot();
    (pending[0] as { text: string }).text = "changed";
    (seen["k"] as { state: string }).state = "applied";
    expect(ledger.snapshot()).toMatchObject({ pending: [{ text: "a" }], seen: { k: { state: "pending" } } });
  });
});

describe("taking", () => {
  test("the oldest are taken first, and their keys stay known as applied", () => {
    const ledger = new SystemContextLedger();
    for (const key of ["a", "b", "c"]) ledger.stage({ text: key, idempotencyKey: key }, NOW);
    ledger.taken(2);
    expect(ledger.snapshot().pending.map(({ text }) => text)).toEqual(["c"]);
    expect(Object.values(ledger.snapshot().seen).map(({ state }) => state)).toEqual(["applied", "applied", "pending"]);
  });

  test("staging and taking in any order gives every text to exactly one take, in order", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant("stage" as const), fc.nat(4)), { maxLength: 60 }), (sequence) => {
        const ledger = new SystemContextLedger();
        const model: string[] = [];
        let count = 0;
        for (const step of sequence) {
          if (step === "stage") {
            ledger.stage({ text: `t${++count}` }, NOW);
            model.push(`t${count}`);
          } else {
            ledger.taken(step);
            model.splice(0, step);
          }
          expect(ledger.snapshot().pending.map(({ text }) => text)).toEqual(model);
        }
      }),
    );
  });
});

describe("bounds", () => {
  test("with CONTEXT_KEYS_MAX appends pending the next is refused until some are taken", () => {
    const ledger = new SystemContextLedger();
    for (let i = 0; i < CONTEXT_KEYS_MAX; i++) expect(ledger.stage({ text: "t", idempotencyKey: `k${i}` }, NOW).status).toBe("staged");
    expect(ledger.stage({ text: "t" }, NOW).status).toBe("full");
    expect(ledger.stage({ text: "t", idempotencyKey: "k0" }, NOW).status).toBe("duplicate");
    ledger.taken(1);
    expect(ledger.stage({ text: "t" }, NOW).status).toBe("staged");
  });

  test("of more keys than that the oldest applied one is forgotten, never a pending one", () => {
    const ledger = new SystemContextLedger();
    ledger.stage({ text: "t", idempotencyKey: "first" }, NOW);
    for (let i = 0; i < CONTEXT_KEYS_MAX - 1; i++) ledger.stage({ text: "t", idempotencyKey: `k${i}` }, NOW);
    ledger.taken(2);
    ledger.stage({ text: "t", idempotencyKey: "new" }, NOW);
    const { seen } = ledger.snapshot();
    expect(Object.keys(seen)).toHaveLength(CONTEXT_KEYS_MAX);
    expect(["first" in seen, "k0" in seen, "new" in seen]).toEqual([false, true, true]);
  });
});

describe("rendering", () => {
  test("a block is its heading, its source if it has one, a blank line, its text", () => {
    expect(renderBlocks([{ text: " a " }, { text: "b", source: "ops" }])).toBe(
      `[Runtime System Context]\n\na${BLOCK_SEPARATOR}[Runtime System Context]\nsource: ops\n\nb`,
    );
  });

  test.each([
    ["", [], ""],
    ["prompt", [], "prompt"],
    ["", [{ text: "a" }], "[Runtime System Context]\n\na"],
    ["prompt", [{ text: "a" }], "prompt\n\n---\n\n[Runtime System Context]\n\na"],
  ])("prompt %j with %j", (prompt, appends, expected) => {
    expect(withBlocks(prompt, appends)).toBe(expected);
  });
});
