/** What reaches the decoder of stored values: V1–V3. */
import { Packr } from "msgpackr";
import { describe, expect, test } from "vitest";

import { FrameError, decodeValue, decodeValues, encodeFrame, encodeValue, frameReader } from "../../src/transport/codec.ts";
import { DEPTH_MAX, problemOf } from "../../src/transport/msgpack-scan.ts";

const text = (value: string): number[] => [0xa0 + value.length, ...Buffer.from(value)];
const others = new Packr({ useRecords: true, moreTypes: true, structuredClone: true, useBigIntExtension: true });

describe("V1: what our encoder does not write is refused", () => {
  test.each<[string, number[] | Uint8Array]>([
    ["the byte that means nothing", [0xc1]],
    ["a record and its keys", others.pack({ a: 1, b: 2 })],
    ["a record of two bytes", [0xd5, 0x72, 0x40, 0, 0x91, ...text("a"), 1]],
    ["a set", others.pack(new Set([1]))],
    ["an error", others.pack(new TypeError("no"))],
    [
      "an error by the name of a method",
      [0xd4, 0x65, 0, 0x93, 0xb0, ...Buffer.from("__lookupGetter__"), 0xa9, ...Buffer.from("__proto__"), 0xc0],
    ],
    ["a pattern", others.pack(/(a+)+$/)],
    ["a typed array", others.pack(new Float64Array(2))],
    ["a number of a hundred bits", others.pack(1n << 100n)],
    ["a list that holds itself", [0xd6, 0x69, 0, 0, 0, 1, 0x91, 0xd6, 0x70, 0, 0, 0, 1]],
    ["an extension of nobody", [0xc7, 1, 0x55, 0]],
    ["an extension of 4 billion bytes", [0xc9, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ])("%s", (_, bytes) => {
    expect(() => decodeValue(Uint8Array.from(bytes))).toThrow(FrameError);
    expect(() => decodeValues(Uint8Array.from([1, ...bytes]))).toThrow(FrameError);
  });

  test("texts that lead the decoder back to where it was do not keep it there", () => {
    // Values one behind the other: it would read the same ones for ever.
    const back = [...text("a"), ...text("b"), 0xd6, 0x62, 0xff, 0xff, 0xff, 0xfa, 1];
    expect(() => decodeValues(Uint8Array.from(back))).toThrow(FrameError);
  });

  test("all that our encoder writes passes, dates and undefined among it", () => {
    const dates = [new Date(0), new Date(1_760_000_000_000), new Date(1_760_000_000_123), new Date(-5), new Date(Number.NaN)];
    const values = [
      null,
      true,
      -1,
      200,
      -200,
      70_000,
      2 ** 40,
      1.5,
      "",
      "é".repeat(200),
      "x".repeat(70_000),
      new Uint8Array(300),
      undefined,
      dates,
      5n,
      { a: [] },
    ];
    for (const value of [...values, values, Array(20).fill(values), Object.fromEntries(values.map((value, at) => [`key ${at}`, value]))]) {
      const bytes = encodeValue(value).slice();
      expect(problemOf(bytes, false)).toBeUndefined();
      expect(decodeValues(Uint8Array.from([...bytes, ...bytes]))).toHaveLength(2);
    }
    expect(decodeValue(encodeValue(dates))).toEqual(dates);
  });

  test("nesting ends at DEPTH_MAX", () => {
    const nested = (levels: number): Uint8Array => Uint8Array.from([...Array<number>(levels).fill(0x91), 0xc0]);
    expect(problemOf(nested(DEPTH_MAX), false)).toBeUndefined();
    expect(problemOf(nested(DEPTH_MAX + 1), false)).toMatch(/deeper/);
    expect(() => decodeValue(nested(1_000_000))).toThrow(FrameError);
  });
});

describe("V2: bytes and values end together", () => {
  test.each<[string, number[]]>([
    ["nothing", []],
    ["a list that wants more", [0x92, 1]],
    ["a map that wants more", [0x81, ...text("a")]],
    ["a list of 4 billion", [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ["a map of 4 billion", [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ["a text of 4 billion bytes", [0xdb, 0xff, 0xff, 0xff, 0xff]],
    ["half a length", [0xdd, 0]],
    ["half a number", [0xcb, 0, 0]],
    ["half a date", [0xd6, 0xff, 0]],
  ])("%s", (_, bytes) => {
    expect(() => decodeValue(Uint8Array.from(bytes))).toThrow(FrameError);
    expect(() => decodeValues(Uint8Array.from([1, ...bytes, ...(bytes.length === 0 ? [0xc1] : [])]))).toThrow(FrameError);
  });

  test("one value is one value, and several may be none", () => {
    expect(() => decodeValue(Uint8Array.of(1, 2))).toThrow(FrameError);
    expect(decodeValues(Uint8Array.of(1, 2))).toEqual([1, 2]);
    expect(decodeValues(Uint8Array.of())).toEqual([]);
  });

  test("a map whose key is a list is refused as everything else", () => {
    expect(() => decodeValue(Uint8Array.of(0x81, 0x91, 1, 2))).toThrow(FrameError);
  });
});

test("a frame in which parts are told by reference, each twice as large as the last, is refused", () => {
  const parts = [0xd6, 0x69, 0, 0, 0, 1, 0x91, 1];
  for (let n = 2; n <= 60; n++) {
    const last = [0xd6, 0x70, 0, 0, 0, n - 1];
    parts.push(0xd6, 0x69, 0, 0, 0, n, 0x92, ...last, ...last);
  }
  // A byte too many: whoever describes what was read would walk 2^60 members.
  const frame = Uint8Array.from([0x91, 0x92, 1, 0xdc, 0, 60, ...parts, 0]);
  expect(() => frameReader({ PAIR: { op: 1, length: 2 } })(frame)).toThrow(FrameError);
});

test("a member that is called toJSON is a member like any other", () => {
  for (const value of [{ toJSON: 1 }, { a: { toJSON: "text", b: [{ toJSON: null }] } }]) {
    expect(decodeValue(encodeValue(value))).toEqual(value);
    expect(frameReader({ PAIR: { op: 1, length: 2 } })(encodeFrame([[1, value]]))).toEqual([[1, value]]);
  }
});
