/** Groups of calls, over transactions that are only counted. */
import { describe, expect, test } from "vitest";

import { StoreError } from "../../src/protocol/store-error.ts";
import { GroupCommit } from "../../src/store/group-commit.ts";
import type { Transactions } from "../../src/store/group-commit.ts";

/** A list to write to; a transaction that throws takes back what was written in it. */
class List implements Transactions {
  items: string[] = [];
  commits: string[] = [];
  writes = 0;
  pendingBytes = 0;
  failCommit: (() => void) | undefined;

  put(item: string): void {
    this.writes++;
    this.pendingBytes += 1024;
    this.items.push(item);
  }

  transaction<T>(run: () => T): T {
    const before = [...this.items];
    this.pendingBytes = 0;
    try {
      const result = run();
      this.failCommit?.();
      this.commits.push(this.items.slice(before.length).join(" "));
      return result;
    } catch (error) {
      this.items = before;
      throw error;
    }
  }

  describe(error: unknown): StoreError {
    return error instanceof StoreError ? error : new StoreError("io", String(error));
  }
}

const refusal = new StoreError("version", "no");
const outcomes = async (calls: Promise<unknown>[]): Promise<unknown[]> =>
  (await Promise.allSettled(calls)).map((settled) =>
    settled.status === "fulfilled" ? settled.value : (settled.reason as StoreError).reason,
  );

function make(begin: () => void = () => {}): { list: List; write: (item: string) => Promise<string>; group: GroupCommit } {
  const list = new List();
  const group = new GroupCommit(list, begin);
  return {
    list,
    group,
    write: (item) =>
      group.call("write", () => {
        list.put(item);
        return item;
      }),
  };
}

describe("a group", () => {
  test("G1: calls of one moment are one transaction, in order, and reads see what came before them", async () => {
    const { list, write, group } = make();
    const calls = [write("a"), group.call("read", () => list.items.length), write("b"), group.call("read", () => list.items.length)];
    expect(await outcomes(calls)).toEqual(["a", 1, "b", 2]);
    expect(list.commits).toEqual(["a b"]);
  });

  test("G4: a read settles ahead of a group that writes nothing of its session, and behind one that does", async () => {
    const { list, group } = make();
    const settled: string[] = [];
    const call = (kind: "read" | "write", name: string, subject?: string): void => {
      const run = (): number => (kind === "write" ? list.put(name) : undefined, list.items.length);
      void group.call(kind, run, subject).then((seen) => settled.push(`${name} ${seen} ${list.commits.length}`));
    };
    call("write", "a", "A");
    call("read", "of A", "A");
    call("read", "of B", "B");
    call("read", "of all");
    call("write", "c");
    call("read", "of D", "D");
    await group.call("write", () => {});
    expect(settled).toEqual(["of B 0 0", "a 1 1", "of A 1 1", "of all 1 1", "c 2 1", "of D 2 1"]);
    expect(list.commits).toEqual(["a c"]);
  });

  test("G4: what is flushed between the two is not run again", async () => {
    const { list, write, group } = make();
    const calls = [write("a"), group.call("read", () => list.items.length, "B").then(() => group.flush()), write("b")];
    await Promise.all(calls);
    await new Promise(setImmediate);
    expect([list.items, list.commits]).toEqual([["a", "b"], ["a b"]]);
  });

  test("reads alone need no transaction", async () => {
    const { list, group } = make();
    expect(await group.call("read", () => 5)).toBe(5);
    expect(list.commits).toEqual([]);
  });

  test("G2: a refusal fails alone", async () => {
    const { list, write, group } = make();
    const refused = (): Promise<never> =>
      group.call("write", () => {
        throw refusal;
      });
    expect(await outcomes([write("a"), refused(), write("b")])).toEqual(["a", "version", "b"]);
    expect(list.commits).toEqual(["a b"]);
  });

  test("G3: a call that fails after it wrote leaves nothing, and the others are written one by one", async () => {
    const { list, write, group } = make();
    const broken = (): Promise<never> =>
      group.call("write", () => {
        list.put("half");
        throw new TypeError("oops");
      });
    expect(await outcomes([write("a"), broken(), write("b")])).toEqual(["a", "io", "b"]);
    expect([list.items, list.commits]).toEqual([
      ["a", "b"],
      ["a", "b"],
    ]);
  });

  test("G3: a commit that fails fails those calls that fail by themselves", async () => {
    const { list, write, group } = make();
    list.failCommit = () => {
      if (list.items.includes("large")) throw new StoreError("full", "no room");
    };
    const calls = [write("a"), write("large"), write("b"), group.call("read", () => list.items.length)];
    expect(await outcomes(calls)).toEqual(["a", "full", "b", 2]);
    expect(list.items).toEqual(["a", "b"]);
  });

  test("what begins a transaction may refuse all that write, not those that read", async () => {
    const { list, write, group } = make(() => {
      throw new StoreError("in_use", "taken over");
    });
    expect(await outcomes([write("a"), group.call("read", () => list.items.length)])).toEqual(["in_use", 0]);
  });

  test("a large group is committed in parts, in order", async () => {
    const { list, write } = make();
    await Promise.all(Array.from({ length: 20_000 }, (_, n) => write(String(n))));
    expect(list.commits.length).toBe(2);
    expect(list.items).toEqual(Array.from({ length: 20_000 }, (_, n) => String(n)));
  });

  test("flush runs what is queued before it returns", async () => {
    const { list, write, group } = make();
    const call = write("a");
    group.flush();
    expect(list.items).toEqual(["a"]);
    expect(await call).toBe("a");
  });
});
