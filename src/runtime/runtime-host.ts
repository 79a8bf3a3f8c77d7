/** What the runtime needs of the service it belongs to, and of its store. */
import type { InputId, SessionId } from "../protocol/ids.ts";
import type { StartTurnRequest } from "../protocol/requests.ts";
import type { AcceptedInput, RestingState } from "../protocol/stored-runtime.ts";
import type { RuntimeExecutor } from "./runtime-adapter.ts";

export interface RuntimeHost {
  /** @throws SessionError SESSION_NOT_FOUND when there is no session of that id that can run turns */
  assertExists(id: SessionId): Promise<void>;
  /** @throws SessionError INVALID_PARAMS */
  check(request: StartTurnRequest): void;
  readonly apply: RuntimeExecutor;
  /** Resolves when what keeps the session busy has ended; when nothing is known that does, after some milliseconds. Never rejects. */
  whenIdle(id: SessionId): Promise<void>;
}

/** Where runtimes and accepted inputs outlive the process. Every call rejects with a SessionError; they take effect in their order. */
export interface RuntimeRows {
  put(id: SessionId, state: RestingState): Promise<void>;
  addInput(id: SessionId, input: AcceptedInput): Promise<void>;
  removeInputs(id: SessionId, inputIds: readonly InputId[]): Promise<void>;
  /** With its inputs. */
  remove(id: SessionId): Promise<void>;
}
