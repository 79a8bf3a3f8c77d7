import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { LruNode } from "../../src/core/lru-list.ts";
import { LruList } from "../../src/core/lru-list.ts";

class Item implements LruNode<Item> {
  readonly name: number;
  newer: Item | undefined;
  older: Item | undefined;
  constructor(name: number) {
    this.name = name;
  }
}

const items = (count: number): Item[] => Array.from({ length: count }, (_, name) => new Item(name));

describe("LruList", () => {
  test("whatever is used and removed, in any order and twice, it lists what is left, oldest first", () => {
    const step = fc.record({ at: fc.nat(7), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const all = items(8);
        const list = new LruList<Item>();
        let model: Item[] = [];
        for (const { at, remove } of steps) {
          const item = all[at] as Item;
          model = model.filter((other) => other !== item);
          if (remove) list.remove(item);
          else {
            list.touch(item);
            model.push(item);
          }
          expect([...list].map(({ name }) => name)).toEqual(model.map(({ name }) => name));
        }
      }),
    );
  });

  test("the item just given may be removed or used meanwhile, and nothing is passed over", () => {
    const all = items(6);
    const list = new LruList<Item>();
    for (const item of all) list.touch(item);
    const seen: number[] = [];
    for (const item of list) {
      seen.push(item.name);
      if (item.name % 2 === 0) list.remove(item);
      else if (item.name < 4) list.touch(item);
      if (seen.length > 20) break;
    }
    // Those that were used meanwhile come again, as the newest.
    expect(seen.slice(0, 6)).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...list].map(({ name }) => name).toSorted((a, b) => a - b)).toEqual([1, 3, 5]);
  });
});
