/**
 * Gates of the sessions that are live in this host: whether their checkpoints are written. (That no checkpoint writes an archived session
 * back needs no gate: the store refuses the write, whichever comes first.)
 *
 *   J1. After `cancelAll` resolved, no checkpoint of a session that had a gate then is written until `rearmAll`.
 *   J2. A session that becomes live afterwards has an open gate.
 */
import type { SessionId } from "../protocol/ids.ts";

interface Gate {
  readonly epoch: number;
  isCancelled: boolean;
  /** Checkpoints being written. */
  writing: Promise<void> | undefined;
}

export class CheckpointGates {
  readonly #gates = new Map<SessionId, Gate>();

  /** The session is made live under that epoch. */
  open(id: SessionId, epoch: number): void {
    this.#gates.set(id, { epoch, isCancelled: false, writing: undefined });
  }

  /** The session sleeps, is archived or gone. @param epoch - under which it was live: it may be live again. Default: whichever */
  drop(id: SessionId, epoch = Infinity): void {
    if ((this.#gates.get(id)?.epoch ?? Infinity) <= epoch) this.#gates.delete(id);
  }

  /** Write a checkpoint, unless they are cancelled. @returns whether it was written; rejects when it could not be */
  async pass(id: SessionId, write: () => Promise<void>): Promise<boolean> {
    const gate = this.#gates.get(id);
    if (gate?.isCancelled === true) return false;
    const writing = write();
    if (gate !== undefined) hold(gate, writing);
    await writing;
    return true;
  }

  /** Resolves when no checkpoint is being written any more. */
  async cancelAll(): Promise<void> {
    for (const gate of this.#gates.values()) gate.isCancelled = true;
    for (const gate of this.#gates.values()) await gate.writing;
  }

  rearmAll(): void {
    for (const gate of this.#gates.values()) gate.isCancelled = false;
  }
}

/** Let go of again when it is done: outcomes must not pile up behind one another. */
function hold(gate: Gate, writing: Promise<unknown>): void {
  const all = Promise.allSettled([gate.writing, writing]).then(() => {
    if (gate.writing === all) gate.writing = undefined;
  });
  gate.writing = all;
}
