/**
 * Frames as bytes: a msgpack array of records, checked for shape when it is read. The only file that names msgpackr.
 *
 * Decoding never sets a prototype (`__proto__` is a key like any other, under another name) and never runs code of the sender. A frame that is not what the table says is a bug of ours, or
 * somebody wrote to the port: FrameError, and the frame as a whole is dropped by whoever reads. What is in a record's members is not looked
 * into: it is what the other thread said. Single values are looked at byte by byte first (msgpack-scan.ts): they come from a disk.
 */
import { Packr, RESET_BUFFER_MODE } from "msgpackr";

import type { RecordShape } from "../protocol/frames.ts";
import { problemOf } from "./msgpack-scan.ts";

/**
 * Plain msgpack, no record extension: a frame can be read without anything that was read before it. No references inside a value either:
 * a few bytes of those make a value that takes for ever to walk.
 */
const FORMAT = { useRecords: false, moreTypes: false, structuredClone: false, useToJSON: false };
const packr = new Packr({ ...FORMAT, copyBuffers: true });
/** What it reads has its bytes as views. */
const viewing = new Packr(FORMAT);

export class FrameError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FrameError";
  }
}

/** @returns the frame in a buffer of its own and of its exact size: posting a view would clone all of its backing buffer */
export function encodeFrame(records: readonly (readonly unknown[])[]): Uint8Array {
  // It is copied at once, so the next value may be packed where it was: each buffer of the packer's is memory outside the heap.
  return new Uint8Array(packr.pack(records, RESET_BUFFER_MODE));
}

/** @returns a value as msgpack; a view that stays as it is, into a buffer that other values share */
export function encodeValue(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** @returns plain data, dates and bytes among it. @throws FrameError for bytes that are not one whole value as `encodeValue` makes them */
export function decodeValue(bytes: Uint8Array): unknown {
  return decoded(bytes, false);
}

/** @returns the values that stand one behind the other. @throws as decodeValue */
export function decodeValues(bytes: Uint8Array): unknown[] {
  return bytes.length === 0 ? [] : (decoded(bytes, true) as unknown[]);
}

function decoded(bytes: Uint8Array, many: boolean): unknown {
  const problem = problemOf(bytes, many);
  if (problem !== undefined) throw new FrameError(`not msgpack of ours: ${problem}`);
  try {
    return many ? packr.unpackMultiple(bytes) : packr.unpack(bytes);
  } catch (error) {
    throw new FrameError(`not msgpack: ${String(error)}`); // e.g. a map whose key is a list
  }
}

/**
 * A reader for one direction.
 *
 * @param table - COMMANDS or REPORTS
 * @param bytes - what members that are bytes become: copies, or views that keep the whole frame in memory. A copy is a microsecond and an
 *   allocation outside the heap, which makes V8 collect; whoever asks for views copies what is to be kept
 * @returns a function from a frame's bytes to its records; it throws FrameError
 */
export function frameReader<R extends readonly unknown[]>(
  table: Readonly<Record<string, RecordShape>>,
  bytes: "copies" | "views" = "copies",
): (frame: Uint8Array) => R[] {
  const lengths = lengthsOf(table);
  const unpackr = bytes === "views" ? viewing : packr;
  return (frame) => {
    let records: unknown;
    try {
      records = unpackr.unpack(frame);
    } catch (error) {
      throw new FrameError(`not msgpack: ${String(error)}`);
    }
    if (!Array.isArray(records)) throw new FrameError("a frame is an array of records");
    for (const record of records as unknown[]) {
      if (!Array.isArray(record) || !fits(record, lengths)) {
        throw new FrameError(
          `no such record: opcode ${Array.isArray(record) && typeof record[0] === "number" ? record[0] : typeof record}`,
        );
      }
    }
    return records as R[];
  };
}

/** Fewest and most members of a record, by opcode; 0 where there is none of that opcode. */
interface Lengths {
  readonly least: readonly number[];
  readonly most: readonly number[];
}

function lengthsOf(table: Readonly<Record<string, RecordShape>>): Lengths {
  const shapes = Object.values(table);
  const most = Array.from({ length: Math.max(...shapes.map(({ op }) => op)) + 1 }, () => 0);
  const least = [...most];
  for (const { op, length, optional = 0 } of shapes) {
    most[op] = length;
    least[op] = length - optional;
  }
  return { least, most };
}

function fits(record: readonly unknown[], { least, most }: Lengths): boolean {
  const op = record[0];
  return typeof op === "number" && record.length <= (most[op] ?? 0) && record.length >= (least[op] as number);
}
