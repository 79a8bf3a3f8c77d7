/**
 * What a reload needs to show a session whose turn runs: its transcript waits for the turn, and events that were seen are not sent again
 * unless they are asked for. Kept in this tab, bounded.
 */
import type { EventCursor, Message } from "../client/index.ts";

const MESSAGES_MAX = 40;
const CHARS_MAX = 200_000;

export interface SavedTurn {
  readonly prompt: string;
  /** The event ahead of its first one; undefined: none has come. */
  readonly after?: EventCursor | undefined;
}

export interface SavedSession {
  /** The last messages before the turn, and how many there are in all. */
  readonly messages: readonly Message[];
  readonly messageCount: number;
  readonly turn: SavedTurn;
}

const nameOf = (id: string): string => `warren.session.${id}`;

export function saveSession(id: string, session: SavedSession): void {
  const messages = session.messages.slice(-MESSAGES_MAX);
  try {
    while (messages.length > 0 && JSON.stringify(messages).length > CHARS_MAX) messages.shift();
    sessionStorage.setItem(nameOf(id), JSON.stringify({ ...session, messages }));
  } catch {
    // The storage is full, or there is none: a reload shows what comes from then on.
  }
}

export function savedSession(id: string): SavedSession | undefined {
  try {
    const text = sessionStorage.getItem(nameOf(id));
    return text === null ? undefined : (JSON.parse(text) as SavedSession);
  } catch {
    return undefined; // as if nothing were saved
  }
}

export function forgetSession(id: string): void {
  sessionStorage.removeItem(nameOf(id));
}
