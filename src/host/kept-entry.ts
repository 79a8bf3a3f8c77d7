/** What main knows of a live session because it is kept in a store. */
import type { LruNode } from "../core/lru-list.ts";
import type { SessionEntry } from "./session-entry.ts";

export class KeptEntry implements LruNode<KeptEntry> {
  readonly entry: SessionEntry;
  /** Fencing number under which its lane owns it. */
  readonly epoch: number;
  /** It stays alive between turns: it is not put to sleep. */
  readonly isHostMode: boolean;
  /** Epoch milliseconds. */
  lastUsedMs: number;
  newer: KeptEntry | undefined;
  older: KeptEntry | undefined;

  constructor(entry: SessionEntry, at: { epoch: number; isHostMode: boolean }, nowMs: number) {
    this.entry = entry;
    this.epoch = at.epoch;
    this.isHostMode = at.isHostMode;
    this.lastUsedMs = nowMs;
  }
}
