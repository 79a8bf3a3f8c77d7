import fc from "fast-check";
import * as z from "zod";
import { describe, expect, test } from "vitest";

import { json } from "../../src/protocol/json-schema.ts";
import { JSON_DEPTH_MAX, NotJsonError, approximateBytes, cloneJson } from "../../src/protocol/json.ts";
import { encodeFrame } from "../../src/transport/codec.ts";

/** @returns what `cloneJson` says against a value: the path of the offender and the reason */
function refusal(value: unknown): { path: readonly (string | number)[]; reason: string } {
  try {
    cloneJson(value);
  } catch (error) {
    if (error instanceof NotJsonError) return { path: error.path, reason: error.message };
    throw error;
  }
  throw new Error("the value was accepted");
}

function nested(levels: number): unknown {
  let value: unknown = 0;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/** Any JSON whose keys are not `__proto__`, which JSON text may say and we refuse. */
const jsonValues = fc.jsonValue({ noUnicodeString: false }).filter((value) => !JSON.stringify(value).includes("__proto__"));

describe("cloneJson", () => {
  test("a copy equals its original and shares no object with it", () => {
    fc.assert(
      fc.property(jsonValues, (value) => {
        const copy = cloneJson(value);
        expect(copy).toEqual(value);
        if (typeof value === "object" && value !== null) expect(copy).not.toBe(value);
      }),
    );
  });

  test("a later change of the original does not reach the copy", () => {
    const original = { list: [1, { deep: "before" }] as unknown[] };
    const copy = cloneJson(original);
    (original.list[1] as { deep: string }).deep = "after";
    original.list.push(2);
    expect(copy).toEqual({ list: [1, { deep: "before" }] });
  });

  test("members that are undefined are left out, as JSON.stringify does", () => {
    expect(Object.keys(cloneJson({ a: undefined, b: null }) as object)).toEqual(["b"]);
  });

  test.each([
    ["a function", { f: () => 1 }, ["f"], "must be JSON, not function"],
    ["a symbol", [Symbol("s")], [0], "must be JSON, not symbol"],
    ["a bigint", { a: { b: 1n } }, ["a", "b"], "must be JSON, not bigint"],
    ["undefined at the root", undefined, [], "must be JSON, not undefined"],
    ["undefined in an array", [1, undefined], [1], "must be JSON, not undefined"],
    ["a hole in an array", Array(1), [0], "must be JSON, not undefined"],
    ["NaN", { x: [NaN] }, ["x", 0], "must be a finite number, not NaN"],
    ["Infinity", -Infinity, [], "must be a finite number, not -Infinity"],
    ["a date", { at: new Date(0) }, ["at"], "must be a plain object"],
    ["a map", new Map(), [], "must be a plain object"],
    ["a boxed string", [Object("text")], [0], "must be a plain object"],
    ["an error", new Error("e"), [], "must be a plain object"],
    ["an own __proto__ key", JSON.parse('{"a":{"__proto__":{"admin":true}}}'), ["a", "__proto__"], "must not be a key"],
  ])("%s is refused with its path", (_, value, path, reason) => {
    expect(refusal(value)).toEqual({ path, reason });
  });

  test("an object without prototype, and one of another realm, are plain", () => {
    const bare = Object.assign(Object.create(null) as object, { a: 1 });
    const foreign = Object.assign(Object.create(Object.create(null) as object) as object, { b: 2 });
    expect(cloneJson([bare, foreign])).toEqual([{ a: 1 }, { b: 2 }]);
  });

  test("a copy's prototype is the ordinary one, whatever keys the original has", () => {
    const copy = cloneJson({ constructor: 1, prototype: 2, toString: 3 }) as object;
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(Object.keys(copy)).toEqual(["constructor", "prototype", "toString"]);
  });

  test("JSON_DEPTH_MAX levels pass, one more is refused", () => {
    expect(cloneJson(nested(JSON_DEPTH_MAX))).toEqual(nested(JSON_DEPTH_MAX));
    expect(refusal(nested(JSON_DEPTH_MAX + 1)).path).toHaveLength(JSON_DEPTH_MAX);
  });

  test("a cycle is refused", () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    expect(refusal(cycle).reason).toBe(`nests deeper than ${JSON_DEPTH_MAX} levels or is cyclic`);
  });
});

describe("json()", () => {
  const Holder = z.object({ build: json() });

  test("the output is a copy", () => {
    const build = { a: [1] };
    const parsed = Holder.parse({ build });
    expect(parsed).toEqual({ build: { a: [1] } });
    expect(parsed.build).not.toBe(build);
  });

  test("an issue names the path from the root of the whole input", () => {
    const parsed = Holder.safeParse({ build: { a: [0, NaN] } });
    expect(parsed.error?.issues.map(({ path, message }) => ({ path, message }))).toEqual([
      { path: ["build", "a", 1], message: "must be a finite number, not NaN" },
    ]);
  });

  test("a getter that throws is an issue, not an exception", () => {
    const thrower = {
      get secret(): never {
        throw new Error("no entry");
      },
    };
    const parsed = Holder.safeParse({ build: { thrower } });
    expect(parsed.error?.issues[0]?.message).toBe("cannot be read: Error: no entry");
  });

  test("a getter that throws what cannot be described is an issue too", () => {
    const thrower = {
      get secret(): never {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        throw proxy;
      },
    };
    expect(Holder.safeParse({ build: { thrower } }).error?.issues[0]?.path).toEqual(["build"]);
  });

  test("a missing member is refused unless it is optional", () => {
    expect(Holder.safeParse({}).success).toBe(false);
    expect(z.object({ build: json().optional() }).parse({})).toEqual({});
  });
});

describe("approximateBytes", () => {
  test("a string of ASCII text counts exactly, with its quotes", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9 .]*$/), (text) => {
        expect(approximateBytes(text)).toBe(Buffer.byteLength(JSON.stringify(text)));
      }),
    );
  });

  test("what crosses a port is at most three times as large", () => {
    fc.assert(
      fc.property(jsonValues, (value) => {
        expect(encodeFrame([[value]]).byteLength).toBeLessThanOrEqual(3 * approximateBytes(value) + 8);
      }),
    );
  });
});
