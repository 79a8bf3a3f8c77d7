/** `warren sessions export` and `import`: stored sessions as JSON Lines, one session a line, in memory only as many as are written at once. */
import { realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { StoreError } from "../protocol/store-error.ts";
import type { StoredContext } from "../protocol/stored-session.ts";
import type { SessionStore } from "../store/session-store.ts";
import { UsageError, messageOf } from "./command-io.ts";
import type { Input } from "./files.ts";
import { openOutput } from "./files.ts";
import { LineSplitter } from "./line-splitter.ts";
import { ResultWriter } from "./result-writer.ts";
import type { SessionRecord } from "./session-record.ts";
import { newSessionOf, parseSessionRecord, readSession } from "./session-record.ts";
import { isDamage, isOfOneSession } from "./sessions-store.ts";
import type { SessionsCommand } from "./sessions-store.ts";

/** Ids listed at once. */
const PAGE = 500;
/** Sessions imported at once share their flushes to disk. */
const GROUP = { sessions: 64, bytes: 16 * 1024 * 1024 };
/** Bytes of a line. */
const LINE_BYTES_MAX = 512 * 1024 * 1024;

/** @param ids - undefined: all, archived ones last. @throws UsageError */
export async function exportSessions(
  { store, path, io, out, complain }: SessionsCommand,
  ids: readonly string[] | undefined,
  { output }: { output?: string },
): Promise<void> {
  // The database stands open; who overwrites it pulls the ground from under everybody who reads it.
  if (output !== undefined && isIn(output, path)) {
    throw new UsageError(`option '--output <file>': cannot write ${output}: it lies in the folder of the store`);
  }
  // On disk when the command ends: it may be all that is left of sessions that are purged then.
  const file = output === undefined ? undefined : await openOutput(output, { stats: undefined }, true);
  const writer = file === undefined ? out : new ResultWriter(file, (error) => complain(`cannot write ${output}: ${error.message}`));
  let exported = 0;
  for await (const id of ids ?? allIds(store)) {
    if (writer.hasFailed) break;
    try {
      const record = await readSession(store, id);
      if (record !== undefined) {
        await writer.write(record);
        exported++;
      } else if (ids !== undefined) complain(`there is no session ${id}`);
    } catch (error) {
      if (error instanceof RangeError) complain(`session ${id} is too large for a line: ${error.message}`);
      else if (isOfOneSession(error)) complain(error.message);
      else throw error;
    }
  }
  await (file === undefined ? writer.flush() : writer.end());
  if (!writer.hasFailed) io.stderr.write(`exported ${sessions(exported)}\n`);
}

async function* allIds(store: SessionStore): AsyncIterable<string> {
  for (const archived of [false, true]) {
    let after: string | undefined;
    do {
      const page = await store.list({ archived, after, limit: PAGE });
      for (const { id } of page) yield id;
      after = page.length < PAGE ? undefined : page.at(-1)?.id;
    } while (after !== undefined);
  }
}

interface Numbered {
  readonly line: number;
  readonly record: SessionRecord;
}

/** @throws StoreError when the store fails; what was imported before stays */
export async function importSessions(command: SessionsCommand, input: Input, { replace }: { replace: boolean }): Promise<void> {
  const { io, complain } = command;
  const counts = { imported: 0, replaced: 0, refused: 0 };
  const refuse = (line: number, problem: string): void => {
    counts.refused++;
    complain(`line ${line}: ${problem}`);
  };
  const lay = async ({ line, record }: Numbered): Promise<void> => {
    try {
      counts[await laySession(command.store, record, replace)]++;
    } catch (error) {
      if (!isOfOneSession(error)) throw error;
      refuse(line, error.message);
    }
  };
  let group = new Map<string, Numbered>();
  let bytes = 0;
  const layGroup = async (): Promise<void> => {
    const all = [...group.values()];
    group = new Map();
    bytes = 0;
    await Promise.all(all.map(lay));
  };
  try {
    for await (const line of linesOf(input)) {
      const parsed = "problem" in line ? line : line.text.trim() === "" ? undefined : parseSessionRecord(line.text);
      if (parsed === undefined) continue;
      if ("problem" in parsed) {
        refuse(line.number, parsed.problem);
        continue;
      }
      const { record } = parsed;
      if (group.has(record.id)) await layGroup();
      group.set(record.id, { line: line.number, record });
      bytes += line.bytes;
      if (group.size >= GROUP.sessions || bytes >= GROUP.bytes) await layGroup();
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    complain(`cannot read ${input.name}: ${messageOf(error)}`);
  }
  await layGroup();
  const refused = `refused ${counts.refused} ${counts.refused === 1 ? "line" : "lines"}`;
  io.stderr.write(`imported ${sessions(counts.imported)}, replaced ${counts.replaced}, ${refused}\n`);
}

async function* linesOf({ chunks }: Input) {
  const splitter = new LineSplitter(LINE_BYTES_MAX);
  for await (const chunk of chunks as AsyncIterable<Buffer>) yield* splitter.push(chunk);
  yield* splitter.end();
}

/** @throws StoreError */
async function laySession(store: SessionStore, record: SessionRecord, replace: boolean): Promise<"imported" | "replaced"> {
  const { id, context, isArchived } = record;
  const isStored = await isThere(store, id);
  if (isStored && !replace) throw new StoreError("exists", `session ${id} is stored already (--replace puts this one in its place)`);
  // Called without waiting in between, they share a transaction, unless that grows too large or fails. Replacing once more mends what a
  // death in between leaves.
  await Promise.all([
    isStored && store.remove(id),
    store.create(newSessionOf(record)),
    context && store.putContext(id, context as StoredContext),
    isArchived && store.archive(id, undefined),
  ]);
  return isStored ? "replaced" : "imported";
}

/** Also a session whose rows cannot be read, for which an import is the cure. */
async function isThere(store: SessionStore, id: string): Promise<boolean> {
  try {
    return (await store.head(id)) !== undefined;
  } catch (error) {
    if (isDamage(error)) return true;
    throw error;
  }
}

/** Whether the file stands, or would stand, directly in the folder. */
function isIn(file: string, folder: string): boolean {
  try {
    return realpathSync(dirname(resolve(file))) === realpathSync(folder);
  } catch {
    return false; // no such folder: opening the file says so
  }
}

const sessions = (count: number): string => `${count} ${count === 1 ? "session" : "sessions"}`;
