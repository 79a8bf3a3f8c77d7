/** Runtimes and accepted inputs in the store of a service. */
import type { InputId, SessionId } from "../protocol/ids.ts";
import type { AcceptedInput, RestingState, StoredRuntime } from "../protocol/stored-runtime.ts";
import type { RuntimeRows } from "../runtime/runtime-host.ts";
import type { StoredSessions } from "./stored-sessions.ts";

export class StoredRuntimes implements RuntimeRows {
  readonly #stored: StoredSessions;

  constructor(stored: StoredSessions) {
    this.#stored = stored;
  }

  put(id: SessionId, state: RestingState): Promise<void> {
    return this.#stored.ask(id, "putRuntime", id, state);
  }

  addInput(id: SessionId, input: AcceptedInput): Promise<void> {
    return this.#stored.ask(id, "addInput", id, input);
  }

  removeInputs(id: SessionId, inputIds: readonly InputId[]): Promise<void> {
    return this.#stored.ask(id, "removeInputs", id, inputIds);
  }

  async remove(id: SessionId): Promise<void> {
    await this.#stored.ask(id, "removeRuntime", id);
  }

  /** Every runtime that is stored. */
  async *all(): AsyncGenerator<StoredRuntime> {
    for (let from: string | undefined; ;) {
      const { runtimes, next } = await this.#stored.ask(undefined, "runtimes", from);
      yield* runtimes;
      if (next === undefined) return;
      from = next;
    }
  }
}
