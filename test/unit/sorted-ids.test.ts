import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { SortedIds } from "../../src/core/sorted-ids.ts";

interface Item {
  readonly id: string;
  readonly mark: number;
}
const ids = fc.integer({ min: 0, max: 300 }).map((n) => `id-${String(n).padStart(3, "0")}`);
type Step = { kind: "add" | "remove" | "page"; id: string } | { kind: "clear" };
const stepKinds = fc.constantFrom("add", "add", "add", "add", "remove", "remove", "remove", "page" as const) as fc.Arbitrary<
  "add" | "remove" | "page"
>;

describe("SortedIds", () => {
  test("it behaves as a sorted array, with removals, re-adds and pages from any id on", () => {
    const steps: fc.Arbitrary<Step> = fc.oneof(
      { weight: 200, arbitrary: fc.record({ kind: stepKinds, id: ids }) },
      { weight: 1, arbitrary: fc.constant({ kind: "clear" as const }) },
    );
    fc.assert(
      fc.property(fc.array(steps, { minLength: 100, maxLength: 900, size: "max" }), (sequence) => {
        const sorted = new SortedIds<Item>();
        const model = new Map<string, Item>();
        const sizes: [number, number][] = [];
        const expected = (after?: string): Item[] =>
          [...model.values()].filter(({ id }) => after === undefined || id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
        for (const [mark, step] of sequence.entries()) {
          if (step.kind === "clear") {
            sorted.clear();
            model.clear();
          } else if (step.kind === "page") expect([...sorted.iterate(step.id)]).toEqual(expected(step.id));
          else if (step.kind === "remove") {
            sorted.remove(step.id);
            model.delete(step.id);
          } else if (!model.has(step.id)) {
            const item = { id: step.id, mark };
            sorted.add(item);
            model.set(step.id, item);
          }
          sizes.push([sorted.size, model.size]);
        }
        expect(sizes.filter(([actual, wanted]) => actual !== wanted)).toEqual([]);
        expect([...sorted.iterate()]).toEqual(expected());
        expect([...SortedIds.of(model.values()).iterate()]).toEqual(expected());
      }),
      { numRuns: 30 },
    );
  });

  test("ids that come in order, are removed in order, and come again: what is left stays in order", () => {
    const sorted = new SortedIds<Item>();
    const id = (n: number): string => String(n).padStart(5, "0");
    for (let n = 0; n < 1000; n++) sorted.add({ id: id(n), mark: n });
    for (let n = 0; n < 1000; n += 2) sorted.remove(id(n));
    for (let n = 0; n < 1000; n += 4) sorted.add({ id: id(n), mark: n });
    const left = Array.from({ length: 1000 }, (_, n) => n).filter((n) => n % 2 === 1 || n % 4 === 0);
    expect([...sorted.iterate()].map(({ mark }) => mark)).toEqual(left);
    expect(sorted.size).toBe(left.length);
  });

  test("thousands that come in any order, go in any order, and come again: what is there stays in order", () => {
    const id = (n: number): string => String(n).padStart(5, "0");
    const anyOrder = fc.shuffledSubarray(
      Array.from({ length: 3000 }, (_, n) => n),
      { minLength: 1500 },
    );
    fc.assert(
      fc.property(anyOrder, anyOrder, anyOrder, (added, removed, again) => {
        const sorted = new SortedIds<Item>();
        const there = new Set(added);
        for (const n of added) sorted.add({ id: id(n), mark: n });
        for (const n of removed) {
          sorted.remove(id(n));
          there.delete(n);
        }
        for (const n of again) {
          if (!there.has(n)) sorted.add({ id: id(n), mark: n });
          there.add(n);
        }
        const expected = [...there].sort((a, b) => a - b);
        expect([...sorted.iterate()].map(({ mark }) => mark)).toEqual(expected);
        expect([...sorted.iterate(id(1500))].map(({ mark }) => mark)).toEqual(expected.filter((n) => n > 1500));
        expect(sorted.size).toBe(there.size);
      }),
      { numRuns: 30 },
    );
  });

  test("removing an id that is not there, or twice, changes nothing", () => {
    const sorted = new SortedIds<Item>();
    sorted.add({ id: "b", mark: 1 });
    for (const id of ["a", "c", "b", "b"]) sorted.remove(id);
    expect([sorted.size, [...sorted.iterate()]]).toEqual([0, []]);
  });

  test("a page starts behind an id, whether that is there, was removed, or never was", () => {
    const sorted = new SortedIds<Item>();
    for (const id of ["a", "b", "d"]) sorted.add({ id, mark: 0 });
    sorted.remove("b");
    const after = (id: string): string[] => [...sorted.iterate(id)].map((item) => item.id);
    expect([after(""), after("a"), after("b"), after("c"), after("d"), after("e")]).toEqual([["a", "d"], ["d"], ["d"], ["d"], [], []]);
  });
});
