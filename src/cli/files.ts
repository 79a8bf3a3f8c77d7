/** Opens what a run reads and writes, and says in the caller's words what is wrong with it. */
import type { Stats } from "node:fs";
import { open, stat } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";

import { UsageError, messageOf } from "./command-io.ts";

/** Bytes read at once. */
const CHUNK_BYTES = 256 * 1024;

export interface Input {
  /** For messages. */
  readonly name: string;
  readonly chunks: Readable;
  /** Of a regular file when it was opened; undefined: nobody knows. */
  readonly sizeBytes: number | undefined;
  /** Undefined for standard input. */
  readonly stats: Stats | undefined;
}

/** @param file - a path, or `-` for `stdin`. @throws UsageError when it cannot be opened */
export async function openInput(file: string, stdin: Readable): Promise<Input> {
  if (file === "-") return { name: "standard input", chunks: stdin, sizeBytes: undefined, stats: undefined };
  try {
    const handle = await open(file, "r");
    const stats = await handle.stat();
    if (stats.isDirectory()) {
      await handle.close();
      throw new Error("it is a directory");
    }
    return {
      name: file,
      chunks: handle.createReadStream({ highWaterMark: CHUNK_BYTES }),
      sizeBytes: stats.isFile() ? stats.size : undefined,
      stats,
    };
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${messageOf(error)}`);
  }
}

/** Create or empty the file. @throws UsageError when it cannot be written, or is the input */
export async function openOutput(file: string, input: Input): Promise<Writable> {
  try {
    const there = await stat(file).catch(() => undefined); // most often there is none, and `open` says it better
    if (there?.isFile() && there.dev === input.stats?.dev && there.ino === input.stats.ino) throw new Error("it is the input");
    return (await open(file, "w")).createWriteStream();
  } catch (error) {
    throw new UsageError(`option '--output <file>': cannot write ${file}: ${messageOf(error)}`);
  }
}
