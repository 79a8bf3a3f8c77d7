/** Views of a live session, from shared memory and main's record of it. They never wait. */
import { readSummary } from "../core/slot-summary.ts";
import type { SlotTable } from "../core/slot-table.ts";
import { lockHolder } from "../core/turn-lock.ts";
import type { SessionSummary, SessionView } from "../protocol/views.ts";
import type { SessionEntry } from "./session-entry.ts";

/** A turn is admitted or runs. */
export function isActive(table: SlotTable, entry: SessionEntry): boolean {
  return lockHolder(table, entry.slot) > 0;
}

export function viewOf(table: SlotTable, entry: SessionEntry): SessionView {
  const { updatedAt, messageCount, usage } = readSummary(table, entry.slot);
  const state: SessionView["state"] = {
    sessionId: entry.id,
    createdAt: entry.createdAt,
    updatedAt,
    messageCount,
    isActive: isActive(table, entry),
    labels: { ...entry.labels },
  };
  if (entry.lastAssistantText !== undefined) state.lastAssistantText = entry.lastAssistantText;
  return { state, billing: { totalTokens: usage.inputTokens + usage.outputTokens, usage } };
}

export function summaryOf(table: SlotTable, entry: SessionEntry): SessionSummary {
  const { updatedAt, messageCount, usage } = readSummary(table, entry.slot);
  return {
    sessionId: entry.id,
    createdAt: entry.createdAt,
    updatedAt,
    messageCount,
    totalTokens: usage.inputTokens + usage.outputTokens,
    isActive: isActive(table, entry),
    labels: { ...entry.labels },
  };
}
