/** What main knows of a live session because it is kept in a store. */
import type { LruNode } from "../core/lru-list.ts";
import type { SessionEntry } from "./session-entry.ts";

export class KeptEntry implements LruNode<KeptEntry> {
  readonly entry: SessionEntry;
  /** Fencing number under which its lane owns it. */
  readonly epoch: number;
  /** How many staged appends its agent had taken when it was made live. */
  readonly contextTaken: number;
  /** It stays alive between turns: it is not put to sleep. */
  readonly isHostMode: boolean;
  /** Epoch milliseconds. */
  lastUsedMs: number;
  newer: KeptEntry | undefined;
  older: KeptEntry | undefined;

  constructor(entry: SessionEntry, at: { epoch: number; contextTaken: number; isHostMode: boolean }, nowMs: number) {
    this.entry = entry;
    this.epoch = at.epoch;
    this.contextTaken = at.contextTaken;
    this.isHostMode = at.isHostMode;
    this.lastUsedMs = nowMs;
  }
}
