/** Sessions as text for people, the same whether a store or a server tells of them. */
import type { Message } from "../protocol/session-model.ts";
import { labelsText, messageText } from "./message-text.ts";
import { printable, printableLines } from "./printable.ts";
import { plainTable, timeOf } from "./tables.ts";

const CELL_MAX = 60;

export interface SummaryRow {
  readonly id: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly messageCount: number;
  readonly tokens: number;
  readonly labels: Readonly<Record<string, string>>;
}

export function summaryTable(rows: readonly SummaryRow[]): string {
  const table = plainTable("id", "created", "updated", "messages", "tokens", "labels");
  for (const { id, createdAt, updatedAt, messageCount, tokens, labels } of rows) {
    table.push([
      printable(id, CELL_MAX),
      timeOf(createdAt),
      timeOf(updatedAt),
      messageCount,
      tokens,
      printable(labelsText(labels), CELL_MAX),
    ]);
  }
  return `${table.toString()}\n`;
}

/** What is known of one thing, a row each. */
export function detailTable(rows: readonly (readonly [name: string, value: string])[]): string {
  const table = plainTable();
  for (const [name, value] of rows) table.push([name, printable(value, 4 * CELL_MAX)]);
  return `${table.toString()}\n`;
}

/** @param at - its number in the session, from 0 on */
export function messageBlock(at: number, message: Message): string {
  return `[${at}] ${message.role}\n${printableLines(messageText(message))}\n\n`;
}
