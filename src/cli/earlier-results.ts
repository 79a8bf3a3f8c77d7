/**
 * What the output of an earlier run over the same lines says is done. A last line without its end was cut off by the death of that run,
 * and counts as not written.
 */
import { LineSplitter } from "./line-splitter.ts";

/** Bytes of a result: as much as a text of Node's may have in UTF-8. */
const RESULT_BYTES_MAX = 512 * 1024 * 1024;
const LF = 0x0a;
/** How a line begins that a run with a store writes: a turn's result, an event, what is said of a bad line. */
const BEGINNINGS = ['{"session":', '{"event":', '{"line":'].map((text) => Buffer.from(text));
const BEGINNING_BYTES = Math.max(...BEGINNINGS.map(({ length }) => length));

export interface EarlierResults {
  /** By id of a line that has its result: whether that was a success. */
  readonly done: ReadonlyMap<string, boolean>;
  /** What was said of bad lines, each with its number. */
  readonly badLines: ReadonlySet<string>;
  /** By session: how many turns of it have their results. */
  readonly turns: ReadonlyMap<string, number>;
  /** Sessions with a turn that gave a text: they are in the store. */
  readonly kept: ReadonlySet<string>;
  /** Bytes up to the end of the last whole line. */
  readonly bytes: number;
}

export const NO_RESULTS: EarlierResults = { done: new Map(), badLines: new Set(), turns: new Map(), kept: new Set(), bytes: 0 };

/** @throws Error when a line is none that a run with a store writes, or a last one without end cannot become one: the file is something else's */
export async function readEarlierResults(chunks: AsyncIterable<Buffer>): Promise<EarlierResults> {
  const done = new Map<string, boolean>();
  const badLines = new Set<string>();
  const turns = new Map<string, number>();
  const kept = new Set<string>();
  const splitter = new LineSplitter(RESULT_BYTES_MAX);
  let read = 0;
  let bytes = 0;
  let lines = 0;
  /** The beginning of the line that has not ended yet. */
  let begun: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(LF);
    if (end >= 0) bytes = read + end + 1;
    begun = Buffer.concat([end >= 0 ? Buffer.alloc(0) : begun, chunk.subarray(end + 1)].map((part) => part.subarray(0, BEGINNING_BYTES)));
    read += chunk.length;
    for (const line of splitter.push(chunk)) {
      lines = line.number;
      const record = "text" in line ? parsed(line.text) : undefined;
      if (record === undefined) throw new Error(`its line ${line.number} is no result of a run with --store`);
      const { id, session, turn, ok, text, error, event } = record;
      if (typeof id === "string" && typeof session === "string" && typeof turn === "number") {
        done.set(id, ok === true);
        turns.set(session, Math.max(turn, turns.get(session) ?? 0));
        if (text !== undefined) kept.add(session);
      } else if (typeof error?.message === "string" && session === undefined) badLines.add(error.message);
      else if (event === undefined) throw new Error(`its line ${line.number} has no id`);
    }
  }
  if (!isBeginning(begun)) throw new Error(`its line ${lines + 1} is no result of a run with --store`);
  return { done, badLines, turns, kept, bytes };
}

/** Whether bytes from a line's start on, however few, may be those of a result. */
function isBeginning(bytes: Buffer): boolean {
  return BEGINNINGS.some((whole) => {
    const length = Math.min(whole.length, bytes.length);
    return whole.subarray(0, length).equals(bytes.subarray(0, length));
  });
}

interface Record {
  readonly id?: unknown;
  readonly session?: unknown;
  readonly turn?: unknown;
  readonly ok?: unknown;
  readonly text?: unknown;
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
