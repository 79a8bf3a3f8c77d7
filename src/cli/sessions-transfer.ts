/** `warren sessions export` and `import`: stored sessions as JSON Lines, one session a line, in memory only as many as are written at once. */
import type { SessionStore } from "../store/session-store.ts";
import type { StoreReason } from "../protocol/store-error.ts";
import { STORE_REASONS, StoreError } from "../protocol/store-error.ts";
import type { StoredContext } from "../protocol/stored-session.ts";
import { messageOf } from "./command-io.ts";
import type { Input } from "./files.ts";
import { openOutput } from "./files.ts";
import { LineSplitter } from "./line-splitter.ts";
import { ResultWriter } from "./result-writer.ts";
import type { SessionRecord } from "./session-record.ts";
import { newSessionOf, parseSessionRecord, readSession } from "./session-record.ts";
import type { SessionsCommand } from "./sessions-store.ts";

/** Ids listed at once. */
const PAGE = 500;
/** Sessions imported at once share their flushes to disk. */
const GROUP = { sessions: 64, bytes: 16 * 1024 * 1024 };
/** Bytes of a line. */
const LINE_BYTES_MAX = 512 * 1024 * 1024;

/** @param ids - undefined: all, archived ones last. @throws UsageError */
export async function exportSessions(
  { store, io, out, complain }: SessionsCommand,
  ids: readonly string[] | undefined,
  { output }: { output?: string },
): Promise<void> {
  const file = output === undefined ? undefined : await openOutput(output, { stats: undefined });
  let hasFailed = false;
  const failed = (error: Error): void => {
    hasFailed = true;
    complain(`cannot write ${output}: ${error.message}`);
  };
  const writer = file === undefined ? out : new ResultWriter(file, failed);
  let exported = 0;
  for await (const id of ids ?? allIds(store)) {
    if (hasFailed || io.stdout.destroyed) break;
    try {
      const record = await readSession(store, id);
      if (record !== undefined) {
        await writer.write(record);
        exported++;
      } else if (ids !== undefined) complain(`there is no session ${id}`);
    } catch (error) {
      if (!isOfOneSession(error)) throw error;
      complain(error.message);
    }
  }
  await (file === undefined ? writer.flush() : writer.end());
  io.stderr.write(`exported ${exported} sessions\n`);
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
  io.stderr.write(`imported ${counts.imported} sessions, replaced ${counts.replaced}, refused ${counts.refused} lines\n`);
}

async function* linesOf({ chunks }: Input) {
  const splitter = new LineSplitter(LINE_BYTES_MAX);
  for await (const chunk of chunks as AsyncIterable<Buffer>) yield* splitter.push(chunk);
  yield* splitter.end();
}

/** @throws StoreError */
async function laySession(store: SessionStore, record: SessionRecord, replace: boolean): Promise<"imported" | "replaced"> {
  const { id, context, isArchived } = record;
  const isStored = (await store.head(id)) !== undefined;
  if (isStored && !replace) throw new StoreError("exists", `session ${id} is stored already (--replace puts this one in its place)`);
  // Called without waiting in between, they are one transaction.
  await Promise.all([
    isStored && store.remove(id),
    store.create(newSessionOf(record)),
    context && store.putContext(id, context as StoredContext),
    isArchived && store.archive(id, undefined),
  ]);
  return isStored ? "replaced" : "imported";
}

/** What concerns one session only: the others go on. */
function isOfOneSession(error: unknown): error is StoreError {
  const own: readonly StoreReason[] = ["corrupt", "schema", "invalid"];
  return error instanceof StoreError && (STORE_REASONS[error.reason].isRefusal || own.includes(error.reason));
}
