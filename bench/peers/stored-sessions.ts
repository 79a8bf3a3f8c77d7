/** Sessions as they lie in a store: the same messages for Warren and for whatever it is measured beside. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import type { Message } from "../../src/index.ts";
import type { NewSession, SessionStore } from "../../src/store.ts";
import { openLmdbStore } from "../../src/store.ts";

/** A prompt, and the answer to it: what a turn says, 2 × 100 bytes. */
export const TEXT = "a question of a usual length, or the answer to it; ".padEnd(100, "of a hundred characters in all, ");

/** How many sessions of how many messages. */
export type Lengths = readonly { readonly sessions: number; readonly messages: number }[];

const USAGE = { inputTokens: 0, outputTokens: 0 };
/** Sessions laid down at once: in one transaction. */
const LOT_MESSAGES = 20_000;

export function sessionId(n: number): string {
  return `019a9f00-0000-7000-8000-${String(n).padStart(12, "0")}`;
}

/** @returns the messages of a turn, as the agent "noop" leaves them */
export function turnMessages(prompt: string): Message[] {
  return [
    { role: "user", content: prompt },
    { role: "assistant", content: prompt, toolCalls: [], stopReason: "end_turn", usage: USAGE },
  ];
}

/** @param count - even */
export function transcript(count: number): Message[] {
  return Array.from({ length: count / 2 }, () => turnMessages(TEXT)).flat();
}

function newSession(n: number, messages: readonly Message[]): NewSession {
  const nowMs = Date.now();
  const state = { updatedAt: nowMs, usage: USAGE, lastAssistantText: TEXT, metadata: {}, lastSeq: 0, contextTaken: 0 };
  return { id: sessionId(n), createdAt: nowMs, labels: {}, agent: "default", request: { prompt: "" }, state, messages };
}

/**
 * Lay sessions down in a folder that no host has open.
 *
 * @returns their ids, by the order of `lengths`
 */
export async function laySessions(path: string, lengths: Lengths): Promise<string[][]> {
  const store = await openLmdbStore({ path, durability: "commit" });
  let next = 0;
  try {
    const all: string[][] = [];
    for (const { sessions, messages } of lengths)
      all.push(await layOf(store, (next += sessions) - sessions, sessions, transcript(messages)));
    return all;
  } finally {
    await store.close();
  }
}

async function layOf(store: SessionStore, first: number, count: number, messages: readonly Message[]): Promise<string[]> {
  const ids: string[] = [];
  const lot = Math.ceil(LOT_MESSAGES / (messages.length + 1));
  while (ids.length < count) {
    const laid: Promise<number>[] = [];
    for (; laid.length < lot && ids.length < count; ids.push(sessionId(first + ids.length))) {
      laid.push(store.create(newSession(first + ids.length, messages)));
    }
    await Promise.all(laid);
  }
  return ids;
}

/** Write the n-th turn of a session that was laid down and not opened since. */
export function appendTurn(store: SessionStore, id: string, n: number): Promise<void> {
  const result = { text: TEXT, turns: 1, toolCalls: 0, usage: USAGE };
  const state = { updatedAt: Date.now(), usage: USAGE, lastAssistantText: TEXT, metadata: {}, lastSeq: 0, contextTaken: 0 };
  return store.append({
    id,
    epoch: 1,
    version: n,
    messages: turnMessages(TEXT),
    state: { ...state, lastTurn: { ticket: state.updatedAt + n, result } },
    ticket: state.updatedAt + n,
  });
}

/** @returns what a folder's files take */
export async function bytesIn(folder: string): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
