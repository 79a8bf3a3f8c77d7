/** Views of sessions: live ones from shared memory and main's record of them, stored ones from what the store has. Nothing here waits. */
import { readSummary } from "../core/slot-summary.ts";
import type { SlotTable } from "../core/slot-table.ts";
import { lockHolder } from "../core/turn-lock.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { Message } from "../protocol/session-model.ts";
import type { SessionHead, StoredSummary } from "../protocol/stored-session.ts";
import { messageCountOf } from "../protocol/stored-session.ts";
import type { SessionHistoryPage, SessionSummary, SessionView } from "../protocol/views.ts";
import type { SessionEntry } from "./session-entry.ts";

/** A turn is admitted or runs. */
export function isActive(table: SlotTable, entry: SessionEntry): boolean {
  return lockHolder(table, entry.slot) > 0;
}

/** @param isAwaited - a turn waits for the session, which is on its way */
export function viewOf(table: SlotTable, entry: SessionEntry, isAwaited = false): SessionView {
  const { updatedAt, messageCount, usage } = readSummary(table, entry.slot);
  const state: SessionView["state"] = {
    sessionId: entry.id,
    createdAt: entry.createdAt,
    updatedAt,
    messageCount,
    isActive: isAwaited || isActive(table, entry),
    labels: { ...entry.labels },
  };
  if (entry.lastAssistantText !== undefined) state.lastAssistantText = entry.lastAssistantText;
  return { state, billing: { totalTokens: usage.inputTokens + usage.outputTokens, usage } };
}

/** @param isAwaited - as for `viewOf` */
export function summaryOf(table: SlotTable, entry: SessionEntry, isAwaited = false): SessionSummary {
  const { updatedAt, messageCount, usage } = readSummary(table, entry.slot);
  return {
    sessionId: entry.id,
    createdAt: entry.createdAt,
    updatedAt,
    messageCount,
    totalTokens: usage.inputTokens + usage.outputTokens,
    isActive: isAwaited || isActive(table, entry),
    labels: { ...entry.labels },
  };
}

/** @param isActive - a turn waits for the session's wake-up, or has not ended since it left */
export function storedView(head: SessionHead, isActive: boolean): SessionView {
  const { id, createdAt, updatedAt, lastAssistantText, labels, usage } = head;
  const state: SessionView["state"] = {
    sessionId: id,
    createdAt,
    updatedAt,
    messageCount: messageCountOf(head),
    isActive,
    labels: { ...labels },
  };
  if (lastAssistantText !== undefined) state.lastAssistantText = lastAssistantText;
  return { state, billing: { totalTokens: usage.inputTokens + usage.outputTokens, usage: { ...usage } } };
}

export function storedSummary(stored: StoredSummary, isActive: boolean): SessionSummary {
  const { id, createdAt, updatedAt, messageCount, usage, labels } = stored;
  const totalTokens = usage.inputTokens + usage.outputTokens;
  return { sessionId: id, createdAt, updatedAt, messageCount, totalTokens, isActive, labels: { ...labels } };
}

/** @param messages - those of the page */
export function historyPage(
  sessionId: SessionId,
  messageCount: number,
  messages: Message[],
  { offset, limit }: { offset: number; limit?: number | undefined },
): SessionHistoryPage {
  const start = Math.min(offset, messageCount);
  const page: SessionHistoryPage = { sessionId, messageCount, offset: start, hasMore: start + messages.length < messageCount, messages };
  if (limit !== undefined) page.limit = limit;
  return page;
}
