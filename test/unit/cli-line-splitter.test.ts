import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Line } from "../../src/cli/line-splitter.ts";
import { LineSplitter } from "../../src/cli/line-splitter.ts";

function split(input: Buffer | string, maxBytes = 1024, cuts: readonly number[] = []): Line[] {
  const bytes = Buffer.from(input);
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  const splitter = new LineSplitter(maxBytes);
  const lines: Line[] = [];
  let start = 0;
  for (const end of [...ends, bytes.length]) {
    // A copy that is wiped afterwards: what the splitter keeps must be its own.
    const chunk = Buffer.from(bytes.subarray(start, end));
    lines.push(...splitter.push(chunk));
    chunk.fill(0x21);
    start = end;
  }
  lines.push(...splitter.end());
  return lines;
}

const everyCut = (input: Buffer | string): number[] => Array.from({ length: Buffer.from(input).length }, (_, at) => at);

describe("line splitter", () => {
  test("numbers lines from 1, blank ones too, and gives their size without line end", () => {
    expect(split("one\n\nthree\r\nfour")).toEqual([
      { number: 1, bytes: 3, text: "one" },
      { number: 2, bytes: 0, text: "" },
      { number: 3, bytes: 5, text: "three" },
      { number: 4, bytes: 4, text: "four" },
    ]);
  });

  test("a line end at the end of the input begins no further line", () => {
    expect(split("a\n")).toEqual([{ number: 1, bytes: 1, text: "a" }]);
    expect(split("")).toEqual([]);
  });

  test("takes away one CR before LF, and none elsewhere", () => {
    expect(split("a\rb\r\r\nc\r")).toEqual([
      { number: 1, bytes: 4, text: "a\rb\r" },
      { number: 2, bytes: 1, text: "c" },
    ]);
  });

  test("takes away a byte order mark at the beginning of the input only, wherever chunks end", () => {
    const input = "\u{feff}a\n\u{feff}b\n";
    for (const cuts of [[], [1], [2], [1, 2, 3]]) {
      expect(split(input, 1024, cuts).map((line) => ("text" in line ? line.text : line.problem))).toEqual(["a", "\u{feff}b"]);
    }
  });

  test("L1: characters of several bytes survive every cut", () => {
    const input = "ä€😀\nзмея\n";
    expect(split(input, 1024, everyCut(input))).toEqual([
      { number: 1, bytes: 9, text: "ä€😀" },
      { number: 2, bytes: 8, text: "змея" },
    ]);
  });

  test("L1: where chunks end makes no difference", () => {
    const piece = fc.oneof(
      fc.constantFrom("\n", "\r\n", "\r", "\u{feff}", "", "ä", "😀", "x".repeat(40)),
      fc.string({ unit: "grapheme", maxLength: 30 }),
    );
    const bytes = fc.oneof(
      fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join(""))),
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(400), { maxLength: 40 }), fc.integer({ min: 1, max: 64 }), (input, cuts, maxBytes) => {
        expect(split(input, maxBytes, cuts)).toEqual(split(input, maxBytes));
      }),
      { seed: 20_26, numRuns: 500 },
    );
  });

  test("L1: a line of many chunks, longer than the first buffer", () => {
    const text = Array.from({ length: 60_000 }, (_, n) => n).join(" ");
    const cuts = Array.from({ length: 50 }, (_, n) => n * 7919);
    expect(split(`${text}\nshort`, 1_000_000, cuts)).toEqual([
      { number: 1, bytes: text.length, text },
      { number: 2, bytes: 5, text: "short" },
    ]);
  });

  test("its lines are those of a plain split", () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-zä€😀 ]{0,20}$/u), { maxLength: 20 }),
        fc.array(fc.nat(600), { maxLength: 30 }),
        (texts, cuts) => {
          const lines = split(texts.map((text) => `${text}\n`).join(""), 1024, cuts);
          expect(lines).toEqual(texts.map((text, index) => ({ number: index + 1, bytes: Buffer.byteLength(text), text })));
        },
      ),
      { seed: 20_26, numRuns: 300 },
    );
  });

  test.each([[[]], [[4]], [[3, 6]], [everyCut("x".repeat(16))]])(
    "L2: a line may be as long as the limit and no longer (chunks cut at %j)",
    (cuts) => {
      const tooLong = { problem: "is longer than 5 bytes", bytes: 0 };
      expect(split("12345\n123456\nab\r\n", 5, cuts)).toEqual([
        { number: 1, bytes: 5, text: "12345" },
        { number: 2, ...tooLong },
        { number: 3, bytes: 2, text: "ab" },
      ]);
      expect(split("12345\r\n", 5, cuts)).toEqual([{ number: 1, bytes: 5, text: "12345" }]);
      expect(split("\u{feff}12345\r\n", 5, cuts)).toEqual([{ number: 1, bytes: 5, text: "12345" }]);
      expect(split("a\n123456", 5, cuts).at(-1)).toEqual({ number: 2, ...tooLong });
    },
  );

  test("L2: an endless line is dropped as it comes and told once", () => {
    const splitter = new LineSplitter(1000);
    const chunk = Buffer.alloc(100_000, "x");
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 2000; i++) expect([...splitter.push(chunk)]).toEqual([]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000); // of 200 MB
    expect([...splitter.push(Buffer.from("\nnext\n"))]).toEqual([
      { number: 1, bytes: 0, problem: "is longer than 1000 bytes" },
      { number: 2, bytes: 4, text: "next" },
    ]);
  });

  test("L3: a line that is not UTF-8 is reported and its neighbours are not", () => {
    const input = Buffer.concat([
      Buffer.from("a\n"),
      Buffer.from([0x22, 0xff, 0x22, 0x0a]),
      Buffer.from([0xed, 0xa0, 0x80, 0x0a]),
      Buffer.from("b"),
    ]);
    expect(split(input).map((line) => ("text" in line ? line.text : line.problem))).toEqual([
      "a",
      "is not valid UTF-8",
      "is not valid UTF-8",
      "b",
    ]);
  });
});
