/**
 * Turns of a session by their idempotency keys, for whoever asks for one once more: in its store, or, for a session that is in none, in its
 * lane's memory. Nothing is made for a session none of whose turns had a key.
 *
 *   Q1. What a store remembers is asked of it, once for a session that wakes, and then only for a key that may be one of those: a key that is
 *       new costs no call.
 *   Q2. A lane holds REMEMBERED_BYTES_MAX of results at most; those of the oldest turns go first, of whatever session.
 */
import { LruList } from "../core/lru-list.ts";
import type { LruNode } from "../core/lru-list.ts";
import { KEYED_TURNS_MAX, KEYED_TURN_KEPT_MS } from "../protocol/stored-session.ts";
import type { KeyedTurn } from "../protocol/stored-session.ts";
import type { StoreClient } from "../transport/store-client.ts";

/** Bytes of results that a lane remembers, roughly. */
const REMEMBERED_BYTES_MAX = 16 * 1024 * 1024;

export interface KeyedTurns {
  /** @returns the turn; a promise when a store has to be asked, which rejects with StoreError */
  find(key: string, now: number): KeyedTurn | undefined | Promise<KeyedTurn | undefined>;
  /** A turn has ended well, and was saved, if its session is kept. */
  add(turn: KeyedTurn): void;
  /** Those in memory, oldest first. */
  readonly all: readonly KeyedTurn[];
  /** The session leaves its lane. */
  clear(): void;
}

interface Remembered extends LruNode<Remembered> {
  readonly turn: KeyedTurn;
  readonly bytes: number;
  /** That it is one of. */
  readonly among: Map<string, Remembered>;
}

/** What a lane remembers of sessions that are in no store (Q2). */
export class RememberedTurns {
  readonly #oldestFirst = new LruList<Remembered>();
  #bytes = 0;

  /** @returns the turns of one session */
  ofSession(): KeyedTurns {
    const turns = new Map<string, Remembered>();
    return {
      find: (key, now) => {
        const found = turns.get(key)?.turn;
        return found === undefined || isOver(found, now) ? undefined : found;
      },
      add: (turn) => this.#add(turns, turn),
      get all() {
        return [...turns.values()].map(({ turn }) => turn);
      },
      clear: () => {
        for (const remembered of turns.values()) this.#remove(remembered);
      },
    };
  }

  #add(among: Map<string, Remembered>, turn: KeyedTurn): void {
    const before = among.get(turn.key);
    if (before !== undefined) this.#remove(before);
    const remembered: Remembered = { turn, among, bytes: bytesOf(turn), newer: undefined, older: undefined };
    among.set(turn.key, remembered);
    this.#oldestFirst.touch(remembered);
    this.#bytes += remembered.bytes;
    const [first] = among.values();
    if (among.size > KEYED_TURNS_MAX && first !== undefined) this.#remove(first);
    for (const oldest of this.#oldestFirst) {
      if (this.#bytes <= REMEMBERED_BYTES_MAX && !isOver(oldest.turn, turn.at)) return;
      this.#remove(oldest);
    }
  }

  #remove(remembered: Remembered): void {
    remembered.among.delete(remembered.turn.key);
    this.#oldestFirst.remove(remembered);
    this.#bytes -= remembered.bytes;
  }
}

const isOver = ({ at }: KeyedTurn, now: number): boolean => at + KEYED_TURN_KEPT_MS <= now;

/** What one of them costs beside its texts. */
const ENTRY_BYTES = 512;

function bytesOf({ key, result }: KeyedTurn): number {
  const { text, structuredOutput, schemaWarnings, skillDiagnostics } = result;
  const hasMore = structuredOutput !== undefined || schemaWarnings !== undefined || skillDiagnostics !== undefined;
  const more = hasMore ? JSON.stringify([structuredOutput, schemaWarnings, skillDiagnostics]).length : 0;
  return ENTRY_BYTES + 2 * (key.length + text.length + more);
}

/** Turns of a session that is kept in a store which remembers them. */
export class StoredKeys implements KeyedTurns {
  readonly all: readonly KeyedTurn[] = [];
  readonly #store: StoreClient;
  readonly #id: string;
  /** Of every key that may be stored; undefined: not known. */
  #marks: Set<number> | undefined;

  /** @param isNew - the store has none of the session's yet */
  constructor(store: StoreClient, id: string, isNew: boolean) {
    this.#store = store;
    this.#id = id;
    if (isNew) this.#marks = new Set();
  }

  find(key: string, now: number): undefined | Promise<KeyedTurn | undefined> {
    if (this.#marks === undefined) return this.#findFirst(key, now);
    return this.#marks.has(markOf(key)) ? this.#ask(key, now) : undefined;
  }

  /** Q1. Both are in one frame. */
  async #findFirst(key: string, now: number): Promise<KeyedTurn | undefined> {
    const [keys, found] = await Promise.all([this.#store.call("turnKeys", this.#id), this.#ask(key, now)]);
    this.#marks = new Set(keys.map(markOf));
    return found;
  }

  async #ask(key: string, now: number): Promise<KeyedTurn | undefined> {
    return (await this.#store.call("keyedTurn", this.#id, key, now)) ?? undefined;
  }

  add({ key }: KeyedTurn): void {
    // Those that the store has forgotten are still among them: they are asked for anew now and then.
    if ((this.#marks?.size ?? 0) >= 2 * KEYED_TURNS_MAX) this.#marks = undefined;
    this.#marks?.add(markOf(key));
  }

  clear(): void {}
}

/** A number that is small enough to be held without an object of its own; of two keys the same one costs a call, and nothing else. */
function markOf(key: string): number {
  let mark = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) mark = Math.imul(mark ^ key.charCodeAt(at), 0x01000193);
  return mark >>> 2;
}
