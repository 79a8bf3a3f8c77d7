/** Sessions whose creators gave up on them, each until its lane has forgotten it: its id is free only then. */
import type { SessionId } from "../protocol/ids.ts";
import type { SessionEntry } from "./session-entry.ts";

interface Leaving {
  readonly over: Promise<void>;
  readonly onOver: () => void;
}

export class Abandoned {
  /** Few at a time, and of one id there may be several: sessions that are resumed. */
  readonly #leaving = new Map<SessionEntry, Leaving>();

  begin(entry: SessionEntry): void {
    let onOver!: () => void;
    const over = new Promise<void>((resolve) => (onOver = resolve));
    this.#leaving.set(entry, { over, onOver });
  }

  /** It has left its lane. */
  end(entry: SessionEntry): void {
    const leaving = this.#leaving.get(entry);
    if (leaving === undefined) return;
    this.#leaving.delete(entry);
    leaving.onOver();
  }

  /** Resolves when one of that id has left its lane; undefined: there is none. Never rejects. */
  of(id: SessionId): Promise<void> | undefined {
    for (const [entry, { over }] of this.#leaving) if (entry.id === id) return over;
    return undefined;
  }
}
