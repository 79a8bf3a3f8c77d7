/** `warren sessions list`, `show` and `history`: what a store says of its sessions, as tables or as JSON. */
import type { Message } from "../protocol/session-model.ts";
import type { SessionHead } from "../protocol/stored-session.ts";
import { messageCountOf } from "../protocol/stored-session.ts";
import { UsageError } from "./command-io.ts";
import { labelsText } from "./message-text.ts";
import { printableLines } from "./printable.ts";
import type { SessionsCommand } from "./sessions-store.ts";
import { detailTable, messageBlock, summaryTable } from "./sessions-text.ts";
import { timeOf } from "./tables.ts";

/** Messages read at once. */
const PAGE = 100;

export interface ListOptions {
  readonly limit: number;
  readonly after?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly archived: boolean;
  readonly order: "id" | "updated";
  readonly json: boolean;
}

/** @throws UsageError */
export async function listSessions({ store, out, io }: SessionsCommand, options: ListOptions): Promise<void> {
  const { limit, after, label: labels, archived, order, json } = options;
  if (after !== undefined && order !== "id") throw new UsageError("option '--after <id>' goes with --order id");
  const found = await store.list({ labels, after, archived, order, limit: limit + 1 });
  const page = found.slice(0, limit);
  if (json) for (const row of page) await out.write(row);
  else await out.print(summaryTable(page.map((row) => ({ ...row, tokens: row.usage.inputTokens + row.usage.outputTokens }))));
  if (found.length <= limit || out.hasFailed) return;
  io.stderr.write(order === "id" ? `there are more: --after ${printableLines(page.at(-1)?.id ?? "")}\n` : "there are more: --limit\n");
}

export async function showSession({ store, out, complain }: SessionsCommand, id: string, { json }: { json: boolean }): Promise<void> {
  const head = await store.head(id);
  if (head === undefined) return complain(`there is no session ${id}`);
  if (json) return out.write({ ...head, messageCount: messageCountOf(head) });
  const context = await store.context(id);
  const staged = context === undefined ? 0 : context.staged - head.contextTaken;
  await out.print(detailTable([...described(head), ["staged context", String(staged)]]));
}

export interface HistoryOptions {
  readonly offset: number;
  readonly limit?: number;
  readonly json: boolean;
}

/** Messages by their numbers from 0 on, the leading system message among them. */
export async function showHistory({ store, out, complain }: SessionsCommand, id: string, options: HistoryOptions): Promise<void> {
  const { offset, limit = Infinity, json } = options;
  const head = await store.head(id);
  if (head === undefined) return complain(`there is no session ${id}`);
  const ahead: Message[] = head.system === undefined ? [] : [{ role: "system", content: head.system }];
  const end = Math.min(messageCountOf(head), offset + limit);
  for (let at = offset; at < end && !out.hasFailed;) {
    const wanted = Math.min(PAGE, end - at);
    const page = at < ahead.length ? ahead : ((await store.messages(id, at - ahead.length, wanted)) ?? []);
    if (page.length === 0) break; // it became shorter meanwhile
    for (const message of page) {
      await (json ? out.write({ index: at, ...message }) : out.print(messageBlock(at, message)));
      at++;
    }
  }
}

function described(head: SessionHead): [name: string, value: string][] {
  const { id, agent, createdAt, updatedAt, usage, labels, isArchived, version, lastSeq, lastAssistantText = "" } = head;
  return [
    ["id", id],
    ["agent", agent],
    ["state", isArchived ? "archived" : "stored"],
    ["created", timeOf(createdAt)],
    ["updated", timeOf(updatedAt)],
    ["messages", String(messageCountOf(head))],
    ["tokens", `${usage.inputTokens} in, ${usage.outputTokens} out`],
    ["labels", labelsText(labels)],
    ["last event", String(lastSeq)],
    ["writes", String(version)],
    ["last text", lastAssistantText],
  ];
}
