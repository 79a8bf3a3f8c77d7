import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { RequestTable } from "../../src/transport/request-table.ts";

const settled = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );

describe("request table", () => {
  test("Q1: a request settles by its reply", async () => {
    const table = new RequestTable<string>();
    const { id, reply } = table.open<number>("lane");
    table.resolve(id, 7);
    expect(await reply).toBe(7);
    expect(table.size).toBe(0);
  });

  test("Q1: a request settles by its error, which may name the owner", async () => {
    const table = new RequestTable<string>();
    const { id, reply } = table.open("lane");
    table.reject(id, (owner) => new Error(`lost: ${owner}`));
    await expect(reply).rejects.toThrow("lost: lane");
  });

  test("Q1: the loss of an owner rejects what it owed, and nothing else", async () => {
    const table = new RequestTable<string>();
    const lost = [table.open("a"), table.open("a")].map(({ reply }) => settled(reply));
    const kept = table.open("b");
    table.rejectAll("a", (owner) => `${owner} is gone`);
    expect(await Promise.all(lost)).toEqual([{ error: "a is gone" }, { error: "a is gone" }]);
    expect(table.size).toBe(1);
    table.resolve(kept.id, "answer");
    expect(await kept.reply).toBe("answer");
  });

  test("Q2: the end of one owner of many does not go through what the others owe", () => {
    const table = new RequestTable<object>();
    const owners = Array.from({ length: 100_000 }, () => ({}));
    for (const owner of owners) table.open(owner).reply.catch(() => {});
    // 10^10 steps if each went through all.
    for (const owner of owners) table.rejectAll(owner, () => new Error("gone"));
    expect(table.size).toBe(0);
  });

  test("Q1: whatever replies come, late, twice or to nobody, each request settles by the first that meant it", async () => {
    const owners = fc.constantFrom("a", "b");
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant("open" as const), owner: owners }),
        fc.record({ kind: fc.constant("resolve" as const), id: fc.nat(12) }),
        fc.record({ kind: fc.constant("reject" as const), id: fc.nat(12) }),
        fc.record({ kind: fc.constant("lose" as const), owner: owners }),
      ),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const table = new RequestTable<string>();
        const open = new Map<number, string>();
        const expected = new Map<number, unknown>();
        const actual = new Map<number, Promise<unknown>>();
        const settle = (id: number, outcome: unknown): void => {
          if (open.delete(id)) expected.set(id, outcome);
        };
        for (const [at, step] of sequence.entries()) {
          if (step.kind === "open") {
            const { id, reply } = table.open(step.owner);
            expect(actual.has(id)).toBe(false);
            open.set(id, step.owner);
            actual.set(id, settled(reply));
          } else if (step.kind === "resolve") {
            table.resolve(step.id, at);
            settle(step.id, { value: at });
          } else if (step.kind === "reject") {
            table.reject(step.id, () => at);
            settle(step.id, { error: at });
          } else {
            table.rejectAll(step.owner, () => at);
            for (const [id, owner] of open) if (owner === step.owner) settle(id, { error: at });
          }
          expect(table.size).toBe(open.size);
        }
        for (const [id, outcome] of expected) expect(await actual.get(id)).toEqual(outcome);
      }),
    );
  });
});
