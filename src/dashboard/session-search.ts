/** Finding sessions: by labels, which the server looks for; by a whole id; by any part of an id or label, in a bounded number of pages. */
import type { SessionPage, SessionSummary, WarrenClient } from "../client/index.ts";
import { statusOf } from "./connection.ts";
import { parseLabels } from "./labels.ts";

export const PAGE = 50;
const SCAN_PAGE = 500;
const SCAN_PAGES = 20;
const WHOLE_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export interface Found extends SessionPage {
  /** Not all sessions were looked at. */
  readonly isPartial?: boolean;
}

export async function findSessions(client: WarrenClient, text: string, cursor: string | undefined): Promise<Found> {
  const { labels, rest } = parseLabels(text);
  if (rest === "") return client.list({ labels, limit: PAGE, cursor });
  if (WHOLE_ID.test(rest)) return { data: await byId(client, rest) };
  const needle = rest.toLowerCase();
  const data: SessionSummary[] = [];
  let next = cursor;
  for (let pages = 0; pages < SCAN_PAGES; pages++) {
    const page = await client.list({ labels, limit: SCAN_PAGE, cursor: next });
    data.push(...page.data.filter((summary) => textOf(summary).includes(needle)));
    next = page.nextCursor;
    if (next === undefined) return { data };
    if (data.length >= PAGE) break;
  }
  return { data, isPartial: true, ...(next !== undefined && { nextCursor: next }) };
}

async function byId(client: WarrenClient, id: string): Promise<SessionSummary[]> {
  try {
    const { state, billing } = await client.read(id.toLowerCase());
    return [{ ...state, totalTokens: billing.totalTokens }];
  } catch (error) {
    if (statusOf(error) === 404) return [];
    throw error;
  }
}

function textOf({ sessionId, labels }: SessionSummary): string {
  const named = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return [sessionId, ...named].join("\n").toLowerCase();
}
