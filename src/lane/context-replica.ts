/** The lane's replica of a session's staged system context: the host feeds it, the agent takes from it, and main is told. */
import { withBlocks } from "../core/system-context.ts";
import type { SystemContextState } from "../protocol/agent.ts";
import type { PendingSystemContextAppend } from "../protocol/session-model.ts";

const NONE: readonly PendingSystemContextAppend[] = Object.freeze([]);

export class ContextReplica implements SystemContextState {
  readonly #onTaken: (count: number) => void;
  #pending: readonly PendingSystemContextAppend[] = NONE;

  /** @param pending - what an agent before this one left */
  constructor(onTaken: (count: number) => void, pending: readonly PendingSystemContextAppend[] = NONE) {
    this.#onTaken = onTaken;
    this.#pending = pending;
  }

  get pending(): readonly PendingSystemContextAppend[] {
    return this.#pending;
  }

  /** From the host. */
  feed(append: PendingSystemContextAppend): void {
    this.#pending = [...this.#pending, append];
  }

  /** The agent that holds this replica is given up: it gets nothing more. @returns a replica for the next agent */
  succeed(): ContextReplica {
    const pending = this.#pending;
    this.#pending = NONE;
    return new ContextReplica(this.#onTaken, pending);
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
