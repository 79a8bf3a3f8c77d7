/**
 * Epochs that a store has issued and not written: one is issued at every wake-up, and the session's next write takes it along
 * (docs/decisions/0012-epochs-from-memory.md). Pure.
 *
 *   E1. No session has a lower epoch than that at which the run begins, which is above whatever a run that crashed has issued.
 *   E2. Of a session, an epoch is remembered until a write was committed that has it, or a newer one, in the session's row.
 *   E3. What is remembered has a bound; beyond it, and when numbers run out, an epoch is written before it is issued.
 */
import type { SessionId } from "../protocol/ids.ts";

/** Epochs that a run may issue. */
const RUN_EPOCHS = 2 ** 26;
/** Runs after this one issue nothing from memory: epochs have at most 15 digits (protocol/ids.ts). */
export const RUNS_MAX = 2 ** 23;
/** Sessions that were woken and have written nothing since. */
const REMEMBERED_MAX = 65_536;

export class IssuedEpochs {
  readonly #first: number;
  readonly #bySession = new Map<SessionId, number>();
  readonly #rememberedMax: number;
  #left: number;

  /** @param run - its number; undefined: the store is not open for writing, and epochs are what is written */
  constructor(run?: number, rememberedMax: number = REMEMBERED_MAX) {
    this.#first = (run ?? 0) * RUN_EPOCHS;
    this.#left = run === undefined || run >= RUNS_MAX ? 0 : RUN_EPOCHS;
    this.#rememberedMax = rememberedMax;
  }

  /** Whether the next one has to be written (E3). */
  get isSpent(): boolean {
    return this.#left <= 0 || this.#bySession.size >= this.#rememberedMax;
  }

  /** @param written - as the session's row says; 0: it has none. @returns the session's epoch */
  of(id: SessionId, written: number): number {
    return Math.max(written, this.#bySession.get(id) ?? this.#first);
  }

  /** The session has this epoch now. */
  issue(id: SessionId, epoch: number): void {
    this.#left--;
    this.#bySession.set(id, epoch);
  }

  /** @returns what is remembered of the session */
  remembered(id: SessionId): number | undefined {
    return this.#bySession.get(id);
  }

  /** Sessions of which something is remembered. */
  sessions(): Iterable<SessionId> {
    return this.#bySession.keys();
  }

  /** E2: a row that has this epoch, or that there is none any more, is committed. */
  committed(id: SessionId, epoch: number): void {
    if ((this.#bySession.get(id) ?? Infinity) <= epoch) this.#bySession.delete(id);
  }
}
