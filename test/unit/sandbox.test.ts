/** The sandbox alone: what programs see, what they cannot do, and what is left after they fail. */
import { describe, expect, test } from "vitest";
import { SANDBOX_PRELUDE } from "../../src/agents/sandbox-prelude.ts";
import { OUTPUT_LIMIT_BYTES } from "../../src/agents/sandbox.ts";
import { newSession } from "../helpers/sandbox-session.ts";

describe("state", () => {
  test("what a program declares at the top lives on", async () => {
    const { run } = await newSession();
    run("var a = 1; let b = 2; const c = 3; class D { n = 4 } function sum() { return a + b + c + new D().n; }");
    expect(run("a = 10; b = 20; sum()")).toBe("37");
  });

  test("a second let of a name is an ordinary error", async () => {
    const { run, failure } = await newSession();
    run("let x = 1");
    expect(failure("let x = 2").message).toMatch(/^SyntaxError: /);
    expect(run("x += 1")).toBe("2");
  });

  test("sandboxes share nothing", async () => {
    const [one, other] = [await newSession(), await newSession()];
    one.run("globalThis.secret = 1; Array.prototype.mine = 1");
    expect(other.run("[typeof secret, [].mine]")).toBe('["undefined", undefined]');
  });

  test("S1: nothing of the host is there", async () => {
    const { run, failure } = await newSession();
    const names = ["require", "process", "fetch", "setTimeout", "setInterval", "Buffer", "WebAssembly", "std", "os", "performance"];
    expect(run(`[${names.map((name) => `typeof ${name}`).join()}].every((type) => type === "undefined")`)).toBe("true");
    expect(failure("import('node:fs')").kind).toBe("program");
    expect(run("this.constructor.constructor('return typeof process')()")).toBe("undefined");
  });
});

describe("results", () => {
  test.each([
    ["'text'", "text"],
    ["undefined", ""],
    ["var x = 1", ""],
    ["null", "null"],
    ["-0", "-0"],
    ["123n", "123n"],
    ["Symbol('s')", "Symbol(s)"],
    ["(function name() {})", "[Function: name]"],
    ["(() => 1)", "[Function (anonymous)]"],
    ["(class A {})", "[class A]"],
    ["new RangeError('far')", "RangeError: far"],
    ["[1, 'a', , null, undefined]", '[1, "a", <empty>, null, undefined]'],
    ["({a: 1, 'b c': {d: [true]}})", '{a: 1, "b c": {d: [true]}}'],
    ["class P { x = 1 }; new P()", "P {x: 1}"],
    ["new Map([['k', {v: 1}]])", 'Map(1) {"k" => {v: 1}}'],
    ["new Set([1, 'a'])", 'Set(2) {1, "a"}'],
    ["new Uint8Array([1, 2])", "Uint8Array(2) [1, 2]"],
    ["new Date(0)", "1970-01-01T00:00:00.000Z"],
    ["/a+/gi", "/a+/gi"],
    ["({get x() { throw 1 }})", "{x: [Getter]}"],
    ["const c = {}; c.self = c; c", "{self: [Circular]}"],
    ["let z = []; for (let i = 0; i < 20; i++) z = [z]; z", "[[[[[[[[[Array]]]]]]]]]"],
    ["Array.from({length: 202}, () => 0)", `[${"0, ".repeat(200)}... 2 more]`],
    ["'a\\0b\\uFEFF'", "a\0b\uFEFF"],
    ["'\\uFEFF\\uD800'", "\uFEFF\uFFFD"],
    ["'\u00e9\u{1F600}'", "\u00e9\u{1F600}"],
  ])("%s reads %j", async (program, text) => {
    const { run } = await newSession();
    expect(run(program)).toBe(text);
  });

  test("a promise counts as what it settles to", async () => {
    const { run, failure } = await newSession();
    expect(run("(async () => { await null; return {ok: true}; })()")).toBe("{ok: true}");
    expect(failure("(async () => { await null; throw new TypeError('no'); })()").message).toBe("TypeError: no (line 1)");
    expect(failure("new Promise(() => {})").message).toContain("can never settle");
  });

  test("jobs a program starts run before the turn ends", async () => {
    const { run } = await newSession();
    run("var seen = []; Promise.resolve().then(() => seen.push(1)).then(() => seen.push(2)); 0");
    expect(run("seen")).toBe("[1, 2]");
  });

  test("P1: a program that replaces built-ins changes its own texts at most", async () => {
    const { run, printed } = await newSession();
    run(
      "Array.isArray = Object.keys = JSON.stringify = () => 'evil'; Function.prototype.call = String.prototype.slice = null; Map.prototype.forEach = null; 0",
    );
    expect(run("({m: new Map([[1, 'x']]), l: [1]})")).toBe('{m: Map(1) {1 => "x"}, l: [1]}');
    expect(printed("globalThis.Object = globalThis.Error = null; console.log([1])")).toBe("[1]\n");
  });
});

describe("console", () => {
  test("arguments are formatted, joined by a space and end a line", async () => {
    const { printed } = await newSession();
    expect(
      printed(
        "console.log('a', 1, {b: 'c'}, [1]); console.warn(null); console.error(); console.info('\\0'); console.debug(new Error('e'))",
      ),
    ).toBe('a 1 {b: "c"} [1]\nnull\n\n\0\nError: e\n');
  });

  test("output comes while the program runs, also before it fails", async () => {
    const { sandbox } = await newSession();
    const seen: string[] = [];
    expect(() => sandbox.run("console.log('before'); throw 1", { write: (text) => seen.push(text), isInterrupted: () => false })).toThrow(
      "Uncaught 1",
    );
    expect(seen).toEqual(["before\n"]);
  });

  test("P2: characters outside the basic plane survive the cut into chunks", async () => {
    const { printed } = await newSession();
    expect(printed("console.log('x' + '\\u{1F600}'.repeat(50000))")).toBe(`x${"\u{1F600}".repeat(50000)}\n`);
  });

  test("too much output ends the turn, whatever the program catches", async () => {
    const { failure, run } = await newSession();
    const error = failure(
      "var caught = 0; for (;;) { try { console.log('spam'.repeat(100)); } catch { caught++; } finally { if (caught) throw 1; } }",
    );
    expect(error).toMatchObject({ kind: "output-limit" });
    expect(error.message).toContain(String(OUTPUT_LIMIT_BYTES));
    expect(run("caught")).toBe("0");
  });

  test("the result counts as output", async () => {
    const { failure, run } = await newSession();
    expect(run(`'y'.repeat(${OUTPUT_LIMIT_BYTES})`).length).toBe(OUTPUT_LIMIT_BYTES);
    expect(failure(`'y'.repeat(${OUTPUT_LIMIT_BYTES} + 1)`).kind).toBe("output-limit");
  });

  test("what the host's write throws stops the program and comes out of run", async () => {
    const { sandbox, run } = await newSession();
    const broken = () => {
      throw new Error("closed");
    };
    expect(() => sandbox.run("try { console.log(1) } catch {}; for (;;);", { write: broken, isInterrupted: () => false })).toThrow(
      "closed",
    );
    expect(run("1 + 1")).toBe("2");
  });
});

describe("errors", () => {
  test("name, message and line are told, and the session goes on", async () => {
    const { failure, run } = await newSession();
    run("var kept = 1");
    expect(failure("var u;\n\nu.x")).toMatchObject({
      kind: "program",
      line: 3,
      message: expect.stringMatching(/^TypeError: .* \(line 3\)$/) as string,
    });
    expect(failure("\nlet 5x")).toMatchObject({ line: 2, message: expect.stringMatching(/^SyntaxError: .* \(line 2\)$/) as string });
    expect(failure("throw {code: 7}").message).toBe("Uncaught {code: 7}");
    expect(failure("throw null").message).toBe("Uncaught null");
    expect(run("kept")).toBe("1");
  });

  test("a line of an earlier program is told apart", async () => {
    const { failure, run } = await newSession();
    run("function fails() {\n  throw new Error('deep');\n}");
    expect(failure("1;\n2;\nfails()")).toMatchObject({
      line: 3,
      message: "Error: deep (line 2 of an earlier program, called from line 3)",
    });
  });

  test("what cannot be described is an error all the same", async () => {
    const { failure, run } = await newSession();
    expect(failure("throw new Proxy({}, { getPrototypeOf() { throw 1 } })").kind).toBe("program");
    expect(failure("throw Object.defineProperty(new Error('x'), 'message', { get() { throw 2 } })").kind).toBe("program");
    expect(run("1")).toBe("1");
  });
});

describe("interrupts", () => {
  test.each([
    ["a loop", "for (;;);"],
    ["a loop behind try, catch and finally", "for (;;) { try { for (;;); } catch { swallowed = 1; } finally { swallowed = 2; } }"],
    ["a finally after a loop", "try { for (;;); } finally { swallowed = 1; }"],
    ["a generator's clean-up", "function* g() { try { yield 1; } finally { swallowed = 1; for (;;); } } for (const x of g()) for (;;);"],
    [
      "an async function",
      "(async () => { try { for (;;); } catch { swallowed = 1; } finally { swallowed = 2; } })().catch(() => { swallowed = 3; }); 1",
    ],
    ["a job", "Promise.resolve().then(() => { for (;;); }).finally(() => { swallowed = 1; }); 1"],
    ["an endless chain of jobs", "(async () => { try { for (;;) await null; } finally { swallowed = 1; } })()"],
    ["a callback of sort", "[3, 2, 1].sort(() => { for (;;); })"],
    ["a callback of replace", "'a'.replace(/a/, () => { for (;;); })"],
    ["a reviver", "JSON.parse('[1]', () => { for (;;); })"],
    ["a regular expression", "/(a+)+$/.test('a'.repeat(40) + 'b')"],
    ["a proxy that is formatted", "new Proxy({}, { ownKeys() { for (;;); } })"],
    ["an error that is described", "throw Object.defineProperty(new Error(), 'message', { get() { for (;;); } })"],
  ])("S2: %s ends, and nothing swallows that", async (_name, program) => {
    const { run, interrupted } = await newSession();
    run("var swallowed = 0, before = 'kept'");
    expect(interrupted(program)).toBe("interrupted");
    expect(run("[swallowed, before]")).toBe('[0, "kept"]');
  });

  test("M1: disposing of after an interrupt leaves a sound interpreter behind", async () => {
    for (let i = 0; i < 10; i += 1) {
      const { sandbox, interrupted } = await newSession();
      interrupted("(async () => { const held = { list: [1, 2, 3] }; for (;;) { await null; held.list.map((x) => x); } })()");
      sandbox.dispose();
    }
    expect((await newSession()).run("1 + 1")).toBe("2");
  });
});

test("a program that is too long is refused", async () => {
  const { failure, run } = await newSession();
  expect(failure("1;".repeat(600_000)).message).toContain("at most");
  expect(run("2")).toBe("2");
});

test("dispose is idempotent, and a disposed sandbox does not run", async () => {
  const { sandbox, run } = await newSession();
  sandbox.dispose();
  sandbox.dispose();
  expect(() => run("1")).toThrow("disposed");
});

test("P3: describing a value calls no getter of the program's", async () => {
  const { run } = await newSession();
  expect(run("let calls = 0; ({ get x() { calls++; return 1; }, y: { get z() { calls++; throw calls; } } })")).toBe(
    "{x: [Getter], y: {z: [Getter]}}",
  );
  expect(run("console.log({ get x() { calls++; } }); calls")).toBe("0");
});

test("P4: the prelude holds nothing that ends or fills a template", () => {
  expect(SANDBOX_PRELUDE).not.toMatch(/`|\$\{/);
});
