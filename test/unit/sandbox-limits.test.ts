/** The sandbox's limits: what memory and stack a program can take, and what is left after it took too much. */
import { describe, expect, test } from "vitest";
import { loadSandboxModule, MEMORY_LIMIT_BYTES, Sandbox } from "../../src/agents/sandbox.ts";
import { newSession } from "../helpers/sandbox-session.ts";

describe("memory", () => {
  test("what a session keeps is bounded, whatever it is made of", { timeout: 30_000 }, async () => {
    const hoards = [
      "for (;;) hoard.push(new ArrayBuffer(100000))",
      "for (let i = 0; ; i++) hoard.push('x'.repeat(1000) + i)",
      "const m = new Map(); hoard.push(m); for (let i = 0; ; i++) m.set(i, 'y'.repeat(500) + i)",
      "for (let i = 0n; ; i++) hoard.push(2n ** 80000n + i)",
      "for (;;) hoard.push({ a: [], b: () => 1 })",
    ];
    for (const program of hoards) {
      const { sandbox, failure } = await newSession();
      expect(failure(`var hoard = []; ${program}`)).toMatchObject({
        kind: "memory-limit",
        message: expect.stringContaining("32 MiB") as string,
      });
      expect(sandbox.memoryBytes).toBeLessThanOrEqual(MEMORY_LIMIT_BYTES + 10 * 1024 * 1024);
    }
  });

  test("32 MiB can be used", async () => {
    const { run } = await newSession();
    run("var kept = []; for (let i = 0; i < 31; i++) kept.push(new Uint8Array(1 << 20).fill(i)); 0");
    expect(run("kept.length + kept[30][5]")).toBe("61");
  });

  test("S3: what is freed again leaves the session usable", async () => {
    const { run, failure, sandbox } = await newSession();
    run("var kept = 'here'; function gorge() { const all = []; for (;;) all.push(new Array(1000).fill(1)); }");
    expect(failure("gorge()").kind).toBe("memory-limit");
    expect(run("try { gorge(); } catch (error) { error.message }")).toContain("out of memory");
    expect([sandbox.isLost, run("kept")]).toEqual([false, "here"]);
  });

  test("S3: a session that stays full says that its globals are lost", async () => {
    const { failure, sandbox } = await newSession();
    expect(failure("var all = []; try { for (;;) all.push(new ArrayBuffer(50000)); } catch { 'caught' }").message).toContain(
      "globals are lost",
    );
    expect(sandbox.isLost).toBe(true);
  });

  test("sandboxes that come and go do not grow the memory", async () => {
    const sizes = new Set<number>();
    for (let i = 0; i < 300; i += 1) {
      const sandbox = await Sandbox.create(await loadSandboxModule());
      sandbox.run("var list = Array.from({ length: 20000 }, (_, i) => ({ i })); list.length", {
        write: () => undefined,
        isInterrupted: () => false,
      });
      sizes.add(sandbox.memoryBytes);
      sandbox.dispose();
    }
    expect([...sizes]).toEqual([16 * 1024 * 1024]);
  });
});

describe("recursion", () => {
  const nested = (open_: string, n = 100_000) => `eval(${JSON.stringify(open_)}.repeat(${n}))`;
  test.each([
    ["a function", "function f() { return f() + 1; } f()"],
    ["many arguments", "function f(...a) { return f(...a); } f(...Array(500).fill(1))"],
    ["a getter", "const o = { get x() { return this.x; } }; o.x"],
    ["a constructor", "class A { constructor() { new A(); } } new A()"],
    ["toString", "const o = { toString() { return '' + this; } }; '' + o"],
    ["sort", "function f() { [2, 1].sort(f); } f()"],
    ["map", "function f() { return [1].map(f); } f()"],
    ["replace", "function f() { 'aaa'.replace(/a/g, f); } f()"],
    ["a reviver", "function f() { JSON.parse('[1, 2]', f); } f()"],
    ["toJSON", "function f() { return JSON.stringify({ toJSON: f }); } f()"],
    ["JSON.stringify", "let a = []; for (let i = 0; i < 20000; i++) a = [a]; JSON.stringify(a)"],
    ["JSON.parse", "JSON.parse('['.repeat(100000))"],
    ["a proxy chain", "let p = {}; for (let i = 0; i < 100000; i++) p = new Proxy(p, {}); p.x"],
    ["join", "let a = [1]; for (let i = 0; i < 100000; i++) a = [a]; String(a)"],
    ["flat", "let a = [1]; for (let i = 0; i < 100000; i++) a = [a]; a.flat(Infinity)"],
    ["a generator", "function* g() { yield* g(); } [...g()]"],
    ["eval", "function f() { return eval('f()'); } f()"],
    ["parentheses", nested("(")],
    ["brackets", nested("[")],
    ["blocks", nested("{")],
    ["functions", nested("function f(){", 20_000)],
    ["arrows", nested("()=>")],
    ["templates", nested("`${")],
    ["a pattern", "new RegExp('(?:'.repeat(100000) + ')'.repeat(100000))"],
    [
      "a proxy that is formatted",
      "function deep() { return new Proxy({}, { ownKeys() { deep().x; return Object.keys(deep()); } }); } deep()",
    ],
  ])("S4: without end through %s is an error of the program", async (_name, program) => {
    const { run, failure, sandbox } = await newSession();
    run("var before = 1");
    expect(failure(program)).toMatchObject({ kind: "program", message: expect.not.stringContaining("lost") as string });
    expect([sandbox.isLost, run("before")]).toEqual([false, "1"]);
  });

  test("the program itself can catch it", async () => {
    const { run } = await newSession();
    expect(run("function f() { return f() + 1; } try { f(); } catch (error) { error.message }")).toBe("stack overflow");
  });
});
