/**
 * From chunks of bytes to numbered lines of text, in bounded memory whatever the input.
 *
 *   L1. Where chunks end makes no difference to the lines.
 *   L2. A line longer than the limit is reported once, by its number; its bytes are dropped as they come.
 *   L3. Text is exactly what the bytes say: a line that is not UTF-8 is reported, never repaired.
 *
 * Lines end with LF or CRLF; the last one need not. A byte order mark at the very beginning is not part of the first line.
 */
import { isUtf8 } from "node:buffer";

/** A line: its number (1-based, blank lines count), its size without line end, and its text or what is wrong with it. */
export type Line =
  | { readonly number: number; readonly bytes: number; readonly text: string }
  | { readonly number: number; readonly bytes: number; readonly problem: string };

const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = Buffer.from("\u{feff}");
/** Bytes of a line that are not counted: its byte order mark and its CR. */
const UNCOUNTED_MAX = BYTE_ORDER_MARK.length + 1;
const FIRST_CAPACITY = 64 * 1024;

export class LineSplitter {
  readonly #maxBytes: number;
  /** The beginning of a line whose end has not come yet; one buffer that grows, so that tiny chunks cost no more than large ones. */
  #partial: Buffer = Buffer.alloc(0);
  #partialBytes = 0;
  #isOverlong = false;
  #lines = 0;

  /** @param maxBytes - of one line, without its end */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Lines that end in this chunk. Take them all before the next call: the chunk is read as they are taken. */
  *push(chunk: Buffer): Generator<Line> {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      const rest = chunk.subarray(start, end);
      start = end + 1;
      yield this.#complete(rest);
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  /** The input has ended: its last line, if that had no line end. */
  *end(): Generator<Line> {
    if (this.#partialBytes > 0 || this.#isOverlong) yield this.#complete(Buffer.alloc(0));
  }

  #keep(piece: Buffer): void {
    if (this.#isOverlong) return;
    const bytes = this.#partialBytes + piece.length;
    if (bytes > this.#maxBytes + UNCOUNTED_MAX) {
      this.#isOverlong = true;
      this.#partialBytes = 0;
      return;
    }
    if (bytes > this.#partial.length) {
      const grown = Buffer.allocUnsafe(Math.max(bytes, this.#partial.length * 2, FIRST_CAPACITY));
      this.#partial.copy(grown, 0, 0, this.#partialBytes);
      this.#partial = grown;
    }
    piece.copy(this.#partial, this.#partialBytes);
    this.#partialBytes = bytes;
  }

  /** @param rest - the line's bytes from where the kept ones end */
  #complete(rest: Buffer): Line {
    const number = ++this.#lines;
    let line = rest;
    if (this.#partialBytes > 0) {
      this.#keep(rest);
      line = this.#partial.subarray(0, this.#partialBytes);
    }
    const wasOverlong = this.#isOverlong;
    this.#isOverlong = false;
    this.#partialBytes = 0;
    if (number === 1 && line.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)) line = line.subarray(BYTE_ORDER_MARK.length);
    if (line.at(-1) === CR) line = line.subarray(0, -1);
    const bytes = line.length;
    if (wasOverlong || bytes > this.#maxBytes) return { number, bytes: 0, problem: `is longer than ${this.#maxBytes} bytes` };
    return isUtf8(line) ? { number, bytes, text: line.toString("utf8") } : { number, bytes, problem: "is not valid UTF-8" };
  }
}
