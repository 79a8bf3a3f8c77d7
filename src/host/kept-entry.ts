/** What main knows of a live session because it is kept in a store. */
import type { LruNode } from "../core/lru-list.ts";
import type { PlacedRequest } from "../protocol/stored-session.ts";
import type { SessionEntry } from "./session-entry.ts";

export class KeptEntry implements LruNode<KeptEntry> {
  readonly entry: SessionEntry;
  /** Fencing number under which its lane owns it. */
  readonly epoch: number;
  /** Of its request, what a wake-up goes by. */
  readonly request: PlacedRequest;
  /** Epoch milliseconds. */
  lastUsedMs: number;
  newer: KeptEntry | undefined;
  older: KeptEntry | undefined;

  constructor(entry: SessionEntry, at: { epoch: number; request: PlacedRequest }, nowMs: number) {
    this.entry = entry;
    this.epoch = at.epoch;
    this.request = at.request;
    this.lastUsedMs = nowMs;
  }
}
