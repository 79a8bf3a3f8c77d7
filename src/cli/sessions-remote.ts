/** `warren sessions … --url`: sessions of a server, printed as those of a store are. What is written as JSON has the same members, as far as a server tells. */
import type { WarrenClient } from "../client/index.ts";
import { WarrenClientError } from "../client/index.ts";
import type { SessionSummary } from "../protocol/views.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError } from "./command-io.ts";
import { labelsText } from "./message-text.ts";
import { printableLines } from "./printable.ts";
import type { RemoteOptions } from "./remote.ts";
import { openClient, remoteRefusal } from "./remote.ts";
import { ResultWriter } from "./result-writer.ts";
import type { HistoryOptions, ListOptions } from "./sessions-read.ts";
import { detailTable, messageBlock, summaryTable } from "./sessions-text.ts";
import { timeOf } from "./tables.ts";

/** What a command is given. */
export interface RemoteCommand {
  readonly client: WarrenClient;
  readonly io: CommandIo;
  /** To standard output. */
  readonly out: ResultWriter;
  /** Say what is wrong; the command goes on, and its exit code is EXIT.failed. */
  readonly complain: (problem: string) => void;
}

/** Asked for at once. */
const PAGE = 500;

/**
 * @param act - the command; an error of the server's that it rejects with ends it, and is told
 * @returns the exit code
 * @throws UsageError when the server cannot be reached, or does not let the caller in
 */
export async function withServer(options: RemoteOptions, io: CommandIo, act: (command: RemoteCommand) => Promise<void>): Promise<number> {
  let exitCode: number = EXIT.ok;
  const complain = (problem: string): void => {
    exitCode = EXIT.failed;
    io.stderr.write(`error: ${printableLines(problem)}\n`);
  };
  const client = openClient(options, io.env);
  const out = new ResultWriter(io.stdout, (error) => {
    exitCode = EXIT.failed;
    // A reader that has seen enough wants to hear no more.
    if (error.code !== "EPIPE") io.stderr.write(`error: cannot write standard output: ${error.message}\n`);
  });
  try {
    await act({ client, io, out, complain });
    await out.flush();
  } catch (error) {
    const refusal = remoteRefusal(error);
    if (refusal !== undefined) throw refusal;
    if (!(error instanceof WarrenClientError)) throw error;
    complain(error.message);
  }
  return exitCode;
}

/** @throws UsageError for what only a store can tell */
export async function listRemote({ client, out, io }: RemoteCommand, options: ListOptions): Promise<void> {
  const { limit, after, label: labels, archived, order, json } = options;
  if (archived) throw new UsageError("option '--archived' goes with --store: a server lists what is in service");
  if (order !== "id") throw new UsageError("option '--order <order>' goes with --store: a server lists by id");
  const page: SessionSummary[] = [];
  let more: string | undefined;
  for (let cursor = after; page.length < limit; cursor = more) {
    const { data, nextCursor } = await client.list({ labels, cursor, limit: Math.min(limit - page.length, PAGE) });
    page.push(...data);
    more = nextCursor;
    if (more === undefined) break;
  }
  if (json) for (const { sessionId: id, ...row } of page) await out.write({ id, ...row, isArchived: false });
  else await out.print(summaryTable(page.map(({ sessionId: id, totalTokens: tokens, ...row }) => ({ id, tokens, ...row }))));
  if (more !== undefined && !out.hasFailed) io.stderr.write(`there are more: --after ${printableLines(page.at(-1)?.sessionId ?? "")}\n`);
}

export async function showRemote({ client, out }: RemoteCommand, id: string, { json }: { json: boolean }): Promise<void> {
  const { state, billing } = await client.read(id);
  const { sessionId, createdAt, updatedAt, messageCount, isActive, labels, lastAssistantText = "" } = state;
  if (json)
    return out.write({ id: sessionId, createdAt, updatedAt, messageCount, isActive, usage: billing.usage, labels, lastAssistantText });
  await out.print(
    detailTable([
      ["id", sessionId],
      ["state", isActive ? "running a turn" : "idle"],
      ["created", timeOf(createdAt)],
      ["updated", timeOf(updatedAt)],
      ["messages", String(messageCount)],
      ["tokens", `${billing.usage.inputTokens} in, ${billing.usage.outputTokens} out`],
      ["labels", labelsText(labels)],
      ["last text", lastAssistantText],
    ]),
  );
}

export async function showRemoteHistory({ client, out }: RemoteCommand, id: string, options: HistoryOptions): Promise<void> {
  const { offset, limit = Infinity, json } = options;
  let at = offset;
  for await (const message of client.messages(id, { offset, limit: Math.min(limit, PAGE) })) {
    if (at - offset >= limit || out.hasFailed) break;
    await (json ? out.write({ index: at, ...message }) : out.print(messageBlock(at, message)));
    at++;
  }
}

/** Do something to each of several sessions, each for itself. @param done - what it is then: `archived` */
export async function changeEach(
  { out, complain }: RemoteCommand,
  ids: readonly string[],
  done: string,
  json: boolean,
  act: (id: string) => Promise<void>,
): Promise<void> {
  for (const id of new Set(ids)) {
    try {
      await act(id);
      await (json ? out.write({ id, outcome: done }) : out.print(`${done} ${printableLines(id)}\n`));
    } catch (error) {
      if (!(error instanceof WarrenClientError) || remoteRefusal(error) !== undefined) throw error;
      complain(`${id}: ${error.message}`);
    }
  }
}

export interface ForkOptions {
  readonly messages?: number;
  readonly label?: Readonly<Record<string, string>>;
  readonly json: boolean;
}

/** Prints the id of the new session. */
export async function forkRemote({ client, out }: RemoteCommand, id: string, { messages, label, json }: ForkOptions): Promise<void> {
  const { state } = await client.fork(id, { messages, ...(label && { labels: { ...label } }) });
  const { sessionId, ...rest } = state;
  await (json ? out.write({ id: sessionId, ...rest }) : out.print(`${sessionId}\n`));
}

export interface EventsOptions {
  readonly after?: string;
  readonly json: boolean;
}

/** Until the session is out of service, the reader leaves, or a signal comes. */
export async function followRemote(command: RemoteCommand, id: string, { after, json }: EventsOptions): Promise<void> {
  const { client, out, io } = command;
  await client.read(id); // it is there, and may be seen
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  io.signals.on("SIGINT", onSignal);
  io.signals.on("SIGTERM", onSignal);
  try {
    for await (const envelope of client.events(id, { after, signal: stop.signal })) {
      const { type, ...rest } = envelope.payload;
      await (json ? out.write(envelope) : out.print(`${envelope.seq} ${printableLines(type)} ${printableLines(JSON.stringify(rest))}\n`));
      if (out.hasFailed) break;
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    io.signals.off("SIGINT", onSignal);
    io.signals.off("SIGTERM", onSignal);
  }
}
