import fc from "fast-check";
import { Packr } from "msgpackr";
import { beforeEach, describe, expect, test } from "vitest";

import { COMMANDS, REPORTS } from "../../src/protocol/frames.ts";
import { FrameError, encodeFrame, frameReader } from "../../src/transport/codec.ts";

const TABLE = { PAIR: { op: 1, length: 2 }, ALONE: { op: 9, length: 1 } };
const read = frameReader(TABLE);
const loosePackr = new Packr({ useRecords: false, moreTypes: true });

// As JSON has it: without −0, which msgpack does not tell from 0.
const values = fc
  .jsonValue()
  .map((value): unknown => JSON.parse(JSON.stringify(value)))
  .filter((value) => !JSON.stringify(value).includes("__proto__"));
const frames = fc.array(
  fc.oneof(
    values.map((value) => [1, value]),
    fc.constant([9]),
  ),
);

/** @returns the frame's records, or undefined when it was refused with a FrameError; anything else thrown fails the test */
function tryRead(frame: Uint8Array): unknown[] | undefined {
  try {
    return read(frame);
  } catch (error) {
    if (error instanceof FrameError) return undefined;
    throw error;
  }
}

describe("round trip", () => {
  test("what is encoded is what is read", () => {
    fc.assert(
      fc.property(frames, (records) => {
        expect(read(encodeFrame(records))).toEqual(records);
      }),
    );
  });

  test("any well-formed text survives", () => {
    // Through a buffer and back: lone surrogates, which no encoding can say, are replaced.
    const texts = fc.array(fc.nat(0xffff)).map((units) => Buffer.from(String.fromCharCode(...units)).toString());
    fc.assert(
      fc.property(texts, (text) => {
        expect(read(encodeFrame([[1, text]]))).toEqual([[1, text]]);
      }),
      { examples: [["\u0000"], ["\u{1f600}".repeat(40)], ["é".repeat(70_000)]] },
    );
  });

  test("undefined members keep their place, so that a tuple keeps its length", () => {
    expect(read(encodeFrame([[1, undefined]]))).toEqual([[1, undefined]]);
  });

  test("integers up to the largest safe one, which tickets are, stay numbers", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (number) => {
        expect(read(encodeFrame([[1, number]]))).toEqual([[1, number]]);
      }),
      { examples: [[Number.MAX_SAFE_INTEGER], [2 ** 32], [-(2 ** 31) - 1]] },
    );
  });

  test("a frame has a buffer of its own and of its size", () => {
    const first = encodeFrame([[1, "first"]]);
    const kept = first.slice();
    encodeFrame([[1, "other"]]);
    expect(first).toEqual(kept);
    expect([first.byteOffset, first.buffer.byteLength]).toEqual([0, first.byteLength]);
  });

  test("frames are independent of each other: any one can be read first, twice or never", () => {
    const parts = Array.from({ length: 5 }, (_, n) => encodeFrame([[1, { sameKeys: n, everyTime: "x" }]]));
    const reader = frameReader(TABLE);
    for (const at of [4, 0, 2, 2]) expect(reader(parts[at] as Uint8Array)).toEqual([[1, { sameKeys: at, everyTime: "x" }]]);
  });
});

describe("what is no frame", () => {
  test.each<[string, unknown]>([
    ["a number", 5],
    ["a map", { a: 1 }],
    ["a list of numbers", [1, 2]],
    ["a list of maps", [{ 0: 9, length: 1 }]],
    ["an empty record", [[]]],
    ["an unknown opcode", [[7, 1]]],
    ["a record that is too short", [[1]]],
    ["a record that is too long", [[9, 1]]],
    ["an opcode as text", [["9"]]],
    ["an opcode that is a list", [[[9]]]],
    ["an opcode that cannot be made text", [[{ toString: 1, valueOf: 1 }]]],
    ["one bad record among good ones", [[9], [1, 2], [1, 2, 3]]],
  ])("%s is refused", (_, value) => {
    expect(() => read(loosePackr.pack(value))).toThrow(FrameError);
  });

  test.each<[string, number[]]>([
    ["nothing", []],
    ["half a frame", [...encodeFrame([[1, "text"]])].slice(0, -2)],
    ["bytes behind a frame", [...encodeFrame([[9]]), 0x91]],
    ["an array said to have 4 billion members", [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ["a string said to have 4 billion bytes", [0x91, 0x92, 0x01, 0xdb, 0xff, 0xff, 0xff, 0xff]],
    ["a binary said to have 4 billion bytes", [0x91, 0x92, 0x01, 0xc6, 0xff, 0xff, 0xff, 0xff]],
    ["a million nested arrays", Array<number>(1_000_000).fill(0x91)],
  ])("%s is refused", (_, bytes) => {
    expect(() => read(Uint8Array.from(bytes))).toThrow(FrameError);
  });
});

describe("garbage", () => {
  beforeEach(() => {
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test("random bytes give a FrameError or records of the table, and the next good frame is read as ever", () => {
    const good = encodeFrame([[1, { a: [1, "x"] }]]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        for (const record of tryRead(bytes) ?? [])
          expect([
            [1, 2],
            [9, 1],
          ]).toContainEqual([(record as number[])[0], (record as number[]).length]);
        expect(read(good)).toEqual([[1, { a: [1, "x"] }]]);
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  test("a frame with some bytes changed does no harm either", () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(frames, changes, (records, changed) => {
        const bytes = encodeFrame([...records, [9]]);
        for (const [at, byte] of changed) bytes[at % bytes.length] = byte;
        tryRead(bytes);
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  test.each(["__proto__", "constructor", "prototype"])("a map with the key %s gives an object with the ordinary prototype", (key) => {
    // {[key]: {admin: true}} as a map of one, spelled out.
    const name = Buffer.from(key);
    const bytes = Uint8Array.from([0x91, 0x92, 0x01, 0x81, 0xa0 + name.length, ...name, 0x81, 0xa5, ...Buffer.from("admin"), 0xc3]);
    const payload = (read(bytes) as unknown[][])[0]?.[1] as object;
    expect(Object.getPrototypeOf(payload)).toBe(Object.prototype);
    expect("admin" in payload).toBe(false);
    expect("admin" in {}).toBe(false);
  });
});

test("the last optional members of a record may be left off, no others", () => {
  const readReports = frameReader(REPORTS);
  const { op, length, optional } = REPORTS.RESULT;
  for (let members = 1; members <= length + 1; members++) {
    const frame = encodeFrame([[op, ...Array<number>(members - 1).fill(0)]]);
    if (members > length || members < length - optional) expect(() => readReports(frame)).toThrow(FrameError);
    else expect(readReports(frame)[0]).toHaveLength(members);
  }
});

describe.each([
  ["COMMANDS", COMMANDS],
  ["REPORTS", REPORTS],
])("the table %s", (_, table) => {
  test("opcodes are used once", () => {
    const opcodes = Object.values(table).map(({ op }) => op);
    expect(new Set(opcodes).size).toBe(opcodes.length);
  });
});
