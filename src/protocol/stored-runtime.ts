/** What a store keeps of a session's runtime, as it crosses to the store thread and back. */
import type { InputId, RunId, SessionId } from "./ids.ts";
import type { StartTurnRequest } from "./requests.ts";
import type { RunApplyBoundary } from "./runtime.ts";

/** Where a runtime stands when nothing of it is in memory. */
export type RestingState = "idle" | "retired" | "stopped";

/** An input that was accepted: what it was given, with every default filled in. */
export interface AcceptedInput {
  readonly inputId: InputId;
  readonly runId: RunId;
  readonly boundary: RunApplyBoundary;
  /** Names the input's id as its idempotency key. */
  readonly request: Omit<StartTurnRequest, "onEvent" | "onBusy" | "idempotencyScope">;
}

export interface StoredRuntime {
  readonly id: SessionId;
  readonly state: RestingState;
  /** Not settled yet, in the order in which they were accepted. */
  readonly inputs: readonly AcceptedInput[];
}

export interface RuntimePage {
  readonly runtimes: readonly StoredRuntime[];
  readonly next?: string | undefined;
}
