/** The lane's replica of a session's staged system context: the host feeds it, the agent takes from it, and main is told. */
import { withBlocks } from "../core/system-context.ts";
import type { SystemContextState } from "../protocol/agent.ts";
import type { PendingSystemContextAppend } from "../protocol/session-model.ts";

const NONE: readonly PendingSystemContextAppend[] = Object.freeze([]);

export class ContextReplica implements SystemContextState {
  readonly #onTaken: (count: number) => void;
  #pending: readonly PendingSystemContextAppend[] = NONE;

  constructor(onTaken: (count: number) => void) {
    this.#onTaken = onTaken;
  }

  get pending(): readonly PendingSystemContextAppend[] {
    return this.#pending;
  }

  /** From the host. */
  feed(append: PendingSystemContextAppend): void {
    this.#pending = [...this.#pending, append];
  }

  takePending(): PendingSystemContextAppend[] {
    const taken = [...this.#pending];
    if (taken.length > 0) {
      this.#pending = NONE;
      this.#onTaken(taken.length);
    }
    return taken;
  }

  render(systemPrompt: string): string {
    return withBlocks(systemPrompt, this.takePending());
  }
}
