/**
 * What the output of an earlier run over the same lines says is done. A last line without its end was cut off by the death of that run,
 * and counts as not written.
 */
import { LineSplitter } from "./line-splitter.ts";

/** Bytes of a result: as much as a text of Node's may have in UTF-8. */
const RESULT_BYTES_MAX = 512 * 1024 * 1024;
const LF = 0x0a;

export interface EarlierResults {
  /** By id of a line that has its result: whether that was a success. */
  readonly done: ReadonlyMap<string, boolean>;
  /** What was said of bad lines, each with its number. */
  readonly badLines: ReadonlySet<string>;
  /** By session: how many turns of it have their results. */
  readonly turns: ReadonlyMap<string, number>;
  /** Bytes up to the end of the last whole line. */
  readonly bytes: number;
}

export const NO_RESULTS: EarlierResults = { done: new Map(), badLines: new Set(), turns: new Map(), bytes: 0 };

/** @throws Error when a line is none that a run with a store writes: the file is something else's */
export async function readEarlierResults(chunks: AsyncIterable<Buffer>): Promise<EarlierResults> {
  const done = new Map<string, boolean>();
  const badLines = new Set<string>();
  const turns = new Map<string, number>();
  const splitter = new LineSplitter(RESULT_BYTES_MAX);
  let read = 0;
  let bytes = 0;
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(LF);
    if (end >= 0) bytes = read + end + 1;
    read += chunk.length;
    for (const line of splitter.push(chunk)) {
      const record = "text" in line ? parsed(line.text) : undefined;
      if (record === undefined) throw new Error(`its line ${line.number} is no result of a run with --store`);
      const { id, session, turn, ok, error, event } = record;
      if (typeof id === "string" && typeof session === "string" && typeof turn === "number") {
        done.set(id, ok === true);
        turns.set(session, Math.max(turn, turns.get(session) ?? 0));
      } else if (typeof error?.message === "string" && session === undefined) badLines.add(error.message);
      else if (event === undefined) throw new Error(`its line ${line.number} has no id`);
    }
  }
  return { done, badLines, turns, bytes };
}

interface Record {
  readonly id?: unknown;
  readonly session?: unknown;
  readonly turn?: unknown;
  readonly ok?: unknown;
  readonly event?: unknown;
  readonly error?: { readonly message?: unknown } | undefined;
}

function parsed(line: string): Record | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && ("ok" in value || "event" in value) ? value : undefined;
  } catch {
    return undefined;
  }
}
