/**
 * The facade for a session service of somebody else's: what it does not bring answers as a service does that knows of no runtime. Extend
 * it and implement SessionService: `class Mine extends MobSessionServiceDefaults implements MobSessionService`.
 */
import { SessionError, agentFailure } from "../protocol/errors.ts";
import type { InputId, RunId, SessionId } from "../protocol/ids.ts";
import { parseInput } from "../protocol/parse.ts";
import type { AppendSystemContextRequest, CallOptions, ForkOptions, StartTurnRequest } from "../protocol/requests.ts";
import { SystemContextAppends } from "../protocol/requests.ts";
import type { CoreApplyOutput, RunApplyBoundary } from "../protocol/runtime.ts";
import type { PendingSystemContextAppend, Session } from "../protocol/session-model.ts";
import type {
  AgentExecutionSnapshot,
  ExternalToolSurfaceSnapshot,
  PeerIngressRuntimeSnapshot,
  ToolScopeSnapshot,
} from "../protocol/snapshots.ts";
import type { SessionView } from "../protocol/views.ts";
import type { MachineSessionControlAuthority } from "../runtime/machine-authority.ts";
import type { RuntimeAdapter } from "../runtime/runtime-adapter.ts";
import type { MachineFacade, MobFacade } from "./mob-session-service.ts";
import { receiptHead } from "./runtime-outputs.ts";

export abstract class MobSessionServiceDefaults implements MobFacade, MachineFacade {
  abstract appendSystemContext(id: SessionId, request: AppendSystemContextRequest): Promise<{ status: "applied" | "staged" | "duplicate" }>;

  abstract archive(id: SessionId): Promise<void>;

  async forkSession(id: SessionId, _options?: ForkOptions): Promise<SessionView> {
    throw new SessionError("SESSION_UNSUPPORTED", `unsupported: fork of session ${id}`, { sessionId: id });
  }

  supportsPersistentSessions(): boolean {
    return false;
  }

  runtimeAdapter(): RuntimeAdapter | undefined {
    return undefined;
  }

  async interruptWithMachineAuthority(id: SessionId, _authority: MachineSessionControlAuthority): Promise<void> {
    throw machineOwned("interrupt", id);
  }

  async cancelAfterBoundaryWithMachineAuthority(id: SessionId, _authority: MachineSessionControlAuthority): Promise<void> {
    throw machineOwned("cancel_after_boundary", id);
  }

  /** With an adapter, a service has to say itself how the runtime is retired. */
  async archiveWithMobLifecycleAuthority(id: SessionId): Promise<void> {
    if (this.runtimeAdapter() !== undefined) throw machineOwned("archive", id);
    await this.archive(id);
  }

  async executionSnapshot(_id: SessionId): Promise<AgentExecutionSnapshot | undefined> {
    return undefined;
  }

  async toolScopeSnapshot(_id: SessionId): Promise<ToolScopeSnapshot | undefined> {
    return undefined;
  }

  async externalToolSurfaceSnapshot(_id: SessionId): Promise<ExternalToolSurfaceSnapshot | undefined> {
    return undefined;
  }

  async peerIngressRuntimeSnapshot(_id: SessionId): Promise<PeerIngressRuntimeSnapshot | undefined> {
    return undefined;
  }

  async sessionBelongsToMob(_id: SessionId, _mobId: string): Promise<boolean> {
    return false;
  }

  async loadPersistedSession(_id: SessionId): Promise<Session | undefined> {
    return undefined;
  }

  async applyRuntimeTurn(
    id: SessionId,
    _runId: RunId,
    _request: StartTurnRequest,
    _boundary: RunApplyBoundary,
    _contributingInputIds: InputId[],
    _options?: CallOptions,
  ): Promise<CoreApplyOutput> {
    throw agentFailure("internal_error", "runtime-backed apply is unavailable for this session service", { sessionId: id });
  }

  async applyRuntimeContextAppends(
    id: SessionId,
    runId: RunId,
    appends: PendingSystemContextAppend[],
    contributingInputIds: InputId[],
  ): Promise<CoreApplyOutput> {
    return this.applyRuntimeContextAppendsWithBoundary(id, runId, appends, "immediate", contributingInputIds);
  }

  /** Staged one by one, up to the first that is refused. */
  async applyRuntimeContextAppendsWithBoundary(
    id: SessionId,
    runId: RunId,
    appends: PendingSystemContextAppend[],
    boundary: RunApplyBoundary,
    contributingInputIds: InputId[],
  ): Promise<CoreApplyOutput> {
    const head = receiptHead(runId, boundary, contributingInputIds);
    const checked = parseInput(SystemContextAppends, appends, "appends") as PendingSystemContextAppend[];
    try {
      for (const { text, source, idempotencyKey } of checked) await this.appendSystemContext(id, { text, source, idempotencyKey });
    } catch (error) {
      throw controlFailure(id, error);
    }
    return { receipt: { ...head, messageCount: 0, sequence: 0 } };
  }

  async applyRuntimeSystemContextForTurn(id: SessionId, _appends: PendingSystemContextAppend[]): Promise<void> {
    throw agentFailure("internal_error", "runtime-backed context staging is unavailable for this session service", { sessionId: id });
  }

  async checkpointCommittedRuntimeSessionSnapshot(_id: SessionId, _snapshot: Uint8Array): Promise<void> {}

  async discardLiveSession(_id: SessionId): Promise<void> {}

  async cancelAllCheckpointers(): Promise<void> {}

  async rearmAllCheckpointers(): Promise<void> {}
}

/** What staging refused is, for a runtime, a failure inside the session; everything else is what it was. */
function controlFailure(id: SessionId, error: unknown): unknown {
  const isControl = error instanceof SessionError && (error.code === "INVALID_PARAMS" || error.code === "SESSION_SYSTEM_CONTEXT_CONFLICT");
  return isControl ? agentFailure("internal_error", error.message, { sessionId: id, details: error.details }) : error;
}

/** What a service answers that leaves control of its sessions to a machine it does not have. */
function machineOwned(operation: "interrupt" | "cancel_after_boundary" | "archive", id: SessionId): SessionError {
  const text = `${operation} for runtime-backed mob session ${id} must be implemented by the machine-owned session service`;
  return new SessionError("SESSION_UNSUPPORTED", `unsupported: ${text}`, { sessionId: id });
}
