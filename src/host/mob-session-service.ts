/** The facade a multi-agent runtime drives sessions through. Errors are SessionError. What each member means is in docs/runtime.md. */
import type { InputId, RunId, SessionId } from "../protocol/ids.ts";
import type { CallOptions, StartTurnRequest } from "../protocol/requests.ts";
import type { CoreApplyOutput, RunApplyBoundary } from "../protocol/runtime.ts";
import type { PendingSystemContextAppend, Session } from "../protocol/session-model.ts";
import type {
  AgentExecutionSnapshot,
  ExternalToolSurfaceSnapshot,
  PeerIngressRuntimeSnapshot,
  ToolScopeSnapshot,
} from "../protocol/snapshots.ts";
import type { MachineSessionControlAuthority } from "../runtime/machine-authority.ts";
import type { RuntimeAdapter } from "../runtime/runtime-adapter.ts";
import type { SessionService } from "./session-service.ts";

/** What the facade adds to a session service. */
export interface MobFacade {
  /** Whether sessions outlive the process. */
  supportsPersistentSessions(): boolean;
  /**
   * What the agent tells of its run, of its tools, of the tools others offer it, of its inbox; undefined when it tells nothing or the
   * session is not live. Never waits for a turn; HOST_OVERLOADED when the session's lane does not answer within a second.
   */
  executionSnapshot(id: SessionId): Promise<AgentExecutionSnapshot | undefined>;
  toolScopeSnapshot(id: SessionId): Promise<ToolScopeSnapshot | undefined>;
  externalToolSurfaceSnapshot(id: SessionId): Promise<ExternalToolSurfaceSnapshot | undefined>;
  peerIngressRuntimeSnapshot(id: SessionId): Promise<PeerIngressRuntimeSnapshot | undefined>;
  /** Whether the session is one of that mob's. A service that knows of no mobs says false. */
  sessionBelongsToMob(id: SessionId, mobId: string): Promise<boolean>;
  /** The session as the store has it; undefined when it is not stored, or archived. */
  loadPersistedSession(id: SessionId): Promise<Session | undefined>;
  /**
   * Run a turn and say what the session was at its end, in one step: no other turn comes between. Waits for the turn. `executionKind` must
   * be named. A turn that found nothing to resume, or waits for a tool call's answer, is an output with that terminal; every other
   * failure is an error, and there is no receipt.
   *
   * @param contributingInputIds - echoed in the receipt
   */
  applyRuntimeTurn(
    id: SessionId,
    runId: RunId,
    request: StartTurnRequest,
    boundary: RunApplyBoundary,
    contributingInputIds: InputId[],
    options?: CallOptions,
  ): Promise<CoreApplyOutput>;
  /** As `applyRuntimeContextAppendsWithBoundary` at boundary "immediate". */
  applyRuntimeContextAppends(
    id: SessionId,
    runId: RunId,
    appends: PendingSystemContextAppend[],
    contributingInputIds: InputId[],
  ): Promise<CoreApplyOutput>;
  /** Write text into the system message for good, unless it is there, and say what the session is then. Waits for a running turn. */
  applyRuntimeContextAppendsWithBoundary(
    id: SessionId,
    runId: RunId,
    appends: PendingSystemContextAppend[],
    boundary: RunApplyBoundary,
    contributingInputIds: InputId[],
  ): Promise<CoreApplyOutput>;
  /** Write text into the system message for good: the next run has it. Waits for a running turn. */
  applyRuntimeSystemContextForTurn(id: SessionId, appends: PendingSystemContextAppend[]): Promise<void>;
  /**
   * Make a session what a snapshot says that was committed elsewhere: the stored session is replaced by it, and one that is live begins
   * again from there. Nothing is written when it is stored already. A service without a store does nothing.
   *
   * @param snapshot - as `sessionSnapshot` of an output. AGENT_ERROR internal_error when it is not one, or another session's
   */
  checkpointCommittedRuntimeSessionSnapshot(id: SessionId, snapshot: Uint8Array): Promise<void>;
  /** Write no checkpoint of the sessions that are live now. Resolves when none is being written. */
  cancelAllCheckpointers(): Promise<void>;
  /** Write checkpoints again. */
  rearmAllCheckpointers(): Promise<void>;
}

/** Of the facade, what the machine of a runtime asks. */
export interface MachineFacade {
  /** The runtimes of this service's sessions: one object for the life of the service. Undefined when it offers none. */
  runtimeAdapter(): RuntimeAdapter | undefined;
  /** `interrupt`, for who holds an authority of this service's runtime adapter. INVALID_PARAMS for any other value, before anything else. */
  interruptWithMachineAuthority(id: SessionId, authority: MachineSessionControlAuthority): Promise<void>;
  /** Likewise `cancelAfterBoundary`. */
  cancelAfterBoundaryWithMachineAuthority(id: SessionId, authority: MachineSessionControlAuthority): Promise<void>;
  /**
   * Retire the session's runtime, then archive the session. When one of them fails, the runtime is where it was and the session lives on:
   * AGENT_ERROR internal_error "machine archive retire failed: …", or what `archive` failed with. Ok for a session that is archived, so
   * that it may be tried again. Waits for queued inputs as `retire` does. Without a runtime adapter: `archive`.
   */
  archiveWithMobLifecycleAuthority(id: SessionId): Promise<void>;
}

export interface MobSessionService extends SessionService, MobFacade, MachineFacade {}
