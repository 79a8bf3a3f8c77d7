/** Opens what a run reads and writes, and says in the caller's words what is wrong with it. */
import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, stat } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";

import { UsageError, messageOf } from "./command-io.ts";
import type { EarlierResults } from "./earlier-results.ts";
import { readEarlierResults } from "./earlier-results.ts";

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

/**
 * Create or empty the file.
 *
 * @param isFlushed - closing it waits for the disk, if it is a file on one
 * @throws UsageError when it cannot be written, or is the input
 */
export async function openOutput(file: string, input: Pick<Input, "stats">, isFlushed = false): Promise<Writable> {
  try {
    await assertNotInput(file, input);
    const handle = await open(file, "w");
    return handle.createWriteStream({ flush: isFlushed && (await handle.stat()).isFile() });
  } catch (error) {
    throw new UsageError(`option '--output <file>': cannot write ${file}: ${messageOf(error)}`);
  }
}

/**
 * Open the output of a run whose sessions are stored, to go on behind what earlier runs have written; a last line that was cut off is
 * taken away. Create the file if there is none.
 *
 * @throws UsageError when it cannot be written, is the input, or holds something else: then it is left as it was
 */
export async function openResults(file: string, input: Input): Promise<{ handle: FileHandle; earlier: EarlierResults }> {
  let handle: FileHandle | undefined;
  try {
    await assertNotInput(file, input);
    handle = await open(file, "a+");
    if (!(await handle.stat()).isFile()) throw new Error("it is no regular file, which a run with --store needs to go on from");
    const chunks = handle.createReadStream({ start: 0, autoClose: false, highWaterMark: CHUNK_BYTES });
    const earlier = await readEarlierResults(chunks as AsyncIterable<Buffer>);
    await handle.truncate(earlier.bytes);
    return { handle, earlier };
  } catch (error) {
    await handle?.close();
    throw new UsageError(`option '--output <file>': cannot go on with ${file}: ${messageOf(error)}`);
  }
}

/** @throws Error */
async function assertNotInput(file: string, input: Pick<Input, "stats">): Promise<void> {
  const there = await stat(file).catch(() => undefined); // most often there is none, and `open` says it better
  if (there?.isFile() && there.dev === input.stats?.dev && there.ino === input.stats.ino) throw new Error("it is the input");
}
