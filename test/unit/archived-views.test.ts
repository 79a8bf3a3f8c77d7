import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ArchivedViews } from "../../src/host/archived-views.ts";
import type { SessionView } from "../../src/protocol/views.ts";

const view = (sessionId: string, messageCount = 0): SessionView => ({
  state: { sessionId, createdAt: 1, updatedAt: 2, messageCount, isActive: false, labels: {} },
  billing: { totalTokens: 0, usage: { inputTokens: 0, outputTokens: 0 } },
});

describe("ArchivedViews", () => {
  test("the newest so many are kept, the oldest goes first", () => {
    const views = new ArchivedViews(2);
    for (const id of ["a", "b", "c"]) views.put(view(id));
    expect([views.has("a"), views.has("b"), views.has("c"), views.size]).toEqual([false, true, true, 2]);
  });

  test("a session archived again is the newest", () => {
    const views = new ArchivedViews(2);
    for (const id of ["a", "b", "a", "c"]) views.put(view(id));
    expect([views.has("a"), views.has("b"), views.has("c")]).toEqual([true, false, true]);
  });

  test("a refresh replaces a view that is there and brings none back", () => {
    const views = new ArchivedViews(1);
    views.put(view("a", 1));
    views.refresh(view("a", 2));
    expect(views.get("a")?.state.messageCount).toBe(2);
    views.put(view("b"));
    views.refresh(view("a", 3));
    expect(views.get("a")).toBeUndefined();
  });

  test("a host that keeps none keeps none", () => {
    const views = new ArchivedViews(0);
    views.put(view("a"));
    expect([views.size, views.get("a")]).toEqual([0, undefined]);
  });

  test("over any puts, refreshes and drops it holds what an array would", () => {
    const steps = fc.array(fc.tuple(fc.constantFrom("put", "put", "refresh", "drop"), fc.constantFrom("a", "b", "c", "d")), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(fc.nat(3), steps, (max, sequence) => {
        const views = new ArchivedViews(max);
        let model: SessionView[] = [];
        for (const [count, [kind, id]] of sequence.entries()) {
          const without = model.filter(({ state }) => state.sessionId !== id);
          if (kind === "put") {
            views.put(view(id, count));
            model = [...without, view(id, count)].slice(-max || model.length + 1);
          } else if (kind === "refresh") {
            views.refresh(view(id, count));
            model = model.map((old) => (old.state.sessionId === id ? view(id, count) : old));
          } else {
            views.drop(id);
            model = without;
          }
          for (const name of ["a", "b", "c", "d"]) expect(views.get(name)).toEqual(model.find(({ state }) => state.sessionId === name));
          expect(views.size).toBe(model.length);
        }
      }),
    );
  });
});
