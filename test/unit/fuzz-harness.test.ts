/** The fuzzer finds what it is there to find: bugs that are planted in decoders of the test's own. */
import { Packr } from "msgpackr";
import { afterEach, describe, expect, test } from "vitest";

import { FrameError, decodeValue, encodeValue } from "../../src/transport/codec.ts";
import type { Boundary, Verdict } from "../fuzz/boundary.ts";
import { attempt, expectThat } from "../fuzz/boundary.ts";
import * as make from "../fuzz/generate.ts";
import { tokensOf } from "../fuzz/msgpack-tokens.ts";
import { mutateOne } from "../fuzz/mutate-bytes.ts";
import { notPlain } from "../fuzz/prototypes.ts";
import { Random, caseSeed } from "../fuzz/random.ts";
import type { Finding } from "../fuzz/run-cases.ts";
import { runCases } from "../fuzz/run-cases.ts";
import { addUp, casesOf } from "../fuzz/tally.ts";

const SEED = 7;
const samples = make.samplesOf(50, (random) => Uint8Array.from(encodeValue(make.recordOf(random, 4, () => make.jsonOf(random)))));

/** A boundary whose product is the given decoder. It is held to what every decoder is held to. */
function planted(decode: (bytes: Uint8Array) => unknown): Boundary<never> {
  const boundary: Boundary<Uint8Array> = {
    name: "planted",
    make: (random) => mutateOne(random, samples),
    check: (bytes): Verdict => {
      const decoded = attempt(
        () => decode(bytes),
        (error) => error instanceof FrameError,
      );
      if (decoded === undefined) return "refused";
      const problem = notPlain(decoded.value, 2 * bytes.length + 8);
      expectThat(problem === undefined, `no plain data: ${problem}`);
      return "accepted";
    },
  };
  return boundary as Boundary as Boundary<never>;
}

const find = async (decode: (bytes: Uint8Array) => unknown, cases = 20_000): Promise<Finding | undefined> =>
  (await runCases(planted(decode), { seed: SEED, from: 0, to: cases })).finding;
const bytesOf = ({ input }: Finding): number => Number(/^(\d+) bytes/.exec(input)?.[1]);

describe("a decoder that is planted", () => {
  afterEach(() => {
    Reflect.deleteProperty(Object.prototype, "admin");
  });

  test("and is right is not found", async () => {
    expect(await find(decodeValue, 3000)).toBeUndefined();
  });

  test("and changes the prototype of all objects", async () => {
    const merge = (into: Record<string, unknown>, from: object): object => {
      for (const [key, value] of Object.entries(from)) {
        const name = key === "__proto_" ? "__proto__" : key; // as the bytes have it
        if (typeof value === "object" && value !== null && typeof into[name] === "object" && into[name] !== null)
          merge(into[name] as Record<string, unknown>, value);
        else if (name !== "__proto__") into[name] = value;
      }
      return into;
    };
    const finding = await find((bytes) => {
      const value = decodeValue(bytes);
      return typeof value === "object" && value !== null && !Array.isArray(value) ? merge({}, value) : value;
    });
    expect(finding?.error).toMatch(/prototype was changed/);
    expect(Reflect.ownKeys(Object.prototype)).not.toContain("admin");
  });

  test("and allocates what a length says before it looks for it", async () => {
    const finding = await find((bytes) => {
      const [, ...length] = bytes;
      if (bytes[0] === 0xdd && length.length >= 4) Array.from({ length: Math.min(Buffer.from(length).readUInt32BE(), 5_000_000) });
      return decodeValue(bytes);
    });
    expect(finding?.error).toMatch(/bytes were allocated for an input of/);
    expect(bytesOf(finding as Finding)).toBeLessThan(20);
  });

  test("and allocates buffers outside the heap", async () => {
    const finding = await find((bytes) => {
      if (bytes[0] === 0xc6 && bytes.length >= 5) new Uint8Array(Math.min(Buffer.from(bytes).readUInt32BE(1), 50_000_000)).fill(1);
      return decodeValue(bytes);
    });
    expect(finding?.error).toMatch(/bytes were allocated for an input of/);
  });

  test("and knows more than plain data", async () => {
    const packr = new Packr({ useRecords: false });
    const finding = await find((bytes) => {
      try {
        return packr.unpack(bytes) as unknown;
      } catch (error) {
        throw new FrameError(String(error));
      }
    });
    expect(finding?.error).toMatch(/no plain data/);
    expect(bytesOf(finding as Finding)).toBeLessThan(12);
  });

  test("and throws what is not documented", async () => {
    const finding = await find((bytes) => JSON.stringify((decodeValue(bytes) as { key: unknown }).key));
    expect(finding?.error).toMatch(/^TypeError/);
    expect(bytesOf(finding as Finding)).toBe(1);
  });

  test("and is right until something has happened to it: the finding says so", async () => {
    let wasHit = 0;
    const finding = await find((bytes) => {
      if (bytes[0] === 0xc1) wasHit++;
      if (wasHit === 3) {
        wasHit++;
        return () => {};
      }
      return decodeValue(bytes);
    });
    expect(finding).toMatchObject({ needsHistory: true });
  });
});

describe("cases", () => {
  test("follow from seed, boundary and number", () => {
    const inputOf = (index: number): string => {
      const random = new Random(caseSeed(SEED, "planted", index));
      return Buffer.from(mutateOne(random, samples)).toString("hex");
    };
    const all = Array.from({ length: 200 }, (_, index) => inputOf(index));
    expect(Array.from({ length: 200 }, (_, index) => inputOf(index))).toEqual(all);
    expect(new Set(all).size).toBeGreaterThan(100);
  });

  test("are shared by weight, and each thread has its own", () => {
    const jobs = casesOf([{ name: "a", weight: 3 }, { name: "b" }], 800, 2, undefined);
    expect(jobs).toEqual([
      [{ name: "a", from: 0, to: 300 }, { name: "b", from: 0, to: 100 }],
      [{ name: "a", from: 300, to: 600 }, { name: "b", from: 100, to: 200 }],
    ]); // prettier-ignore
    const outcomes = [1, 2].map((refused) => ({ name: "a", accepted: 1, refused, ms: 5 }));
    expect(addUp(outcomes)).toEqual([{ name: "a", accepted: 2, refused: 3, ms: 10 }]);
  });
});

test("tokens: each value from its first byte to its last, also where lengths take two or four bytes", () => {
  for (const value of [
    { a: [1, "text", { b: null }] },
    Array(20).fill("x".repeat(300)),
    "y".repeat(70_000),
    new Uint8Array(70_000),
    [1.5, -70_000, undefined, new Date(0)],
  ]) {
    const bytes = Uint8Array.from(encodeValue(value));
    const tokens = tokensOf(bytes);
    expect(tokens[0]).toMatchObject({ start: 0, end: bytes.length });
    for (const { start, end } of tokens) expect(() => decodeValue(bytes.subarray(start, end))).not.toThrow();
  }
});
