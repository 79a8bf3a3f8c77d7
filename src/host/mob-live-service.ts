/** The facade over live sessions, which both services offer. What a service does with its store is its own. */
import { agentFailure } from "../protocol/errors.ts";
import type { TurnBoundary } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { InputId, RunId, SessionId } from "../protocol/ids.ts";
import { parseInput } from "../protocol/parse.ts";
import type { CallOptions, StartTurnRequest } from "../protocol/requests.ts";
import { SystemContextAppends } from "../protocol/requests.ts";
import type { CoreApplyOutput, RunApplyBoundary } from "../protocol/runtime.ts";
import type { PendingSystemContextAppend, Session } from "../protocol/session-model.ts";
import type {
  AgentExecutionSnapshot,
  AgentSnapshots,
  ExternalToolSurfaceSnapshot,
  PeerIngressRuntimeSnapshot,
  ToolScopeSnapshot,
} from "../protocol/snapshots.ts";
import { LiveSessionService } from "./live-session-service.ts";
import type { MobFacade } from "./mob-session-service.ts";
import { appendedOutput, receiptHead, turnOutput, unseenOutput } from "./runtime-outputs.ts";

/** Milliseconds a lane may take to say what its agent tells: whoever looks at a mob must not hang on one blocked member. */
const SNAPSHOT_MAX_MS = 1000;

export abstract class MobLiveService extends LiveSessionService implements MobFacade {
  abstract supportsPersistentSessions(): boolean;
  abstract loadPersistedSession(id: SessionId): Promise<Session | undefined>;
  abstract checkpointCommittedRuntimeSessionSnapshot(id: SessionId, snapshot: Uint8Array): Promise<void>;
  abstract cancelAllCheckpointers(): Promise<void>;
  abstract rearmAllCheckpointers(): Promise<void>;

  // ── what the agent tells ──

  async executionSnapshot(id: SessionId): Promise<AgentExecutionSnapshot | undefined> {
    return this.#snapshot(id, "executionSnapshot");
  }

  async toolScopeSnapshot(id: SessionId): Promise<ToolScopeSnapshot | undefined> {
    return this.#snapshot(id, "toolScopeSnapshot");
  }

  async externalToolSurfaceSnapshot(id: SessionId): Promise<ExternalToolSurfaceSnapshot | undefined> {
    return this.#snapshot(id, "externalToolSurfaceSnapshot");
  }

  async peerIngressRuntimeSnapshot(id: SessionId): Promise<PeerIngressRuntimeSnapshot | undefined> {
    return this.#snapshot(id, "peerIngressRuntimeSnapshot");
  }

  async #snapshot<K extends keyof AgentSnapshots>(id: SessionId, which: K): Promise<AgentSnapshots[K] | undefined> {
    this.host.assertOpen();
    const given = await this.use(id, async (entry) => {
      if (entry === undefined) return undefined;
      const { slot, generation } = entry;
      return this.host.queries.serve<AgentSnapshots[K] | null>(
        entry,
        (request) => [COMMANDS.AGENT_SNAPSHOT.op, slot, generation, request, which],
        SNAPSHOT_MAX_MS,
      );
    });
    // An unknown session is an error, one that is not live is not.
    if (given === undefined && which !== "peerIngressRuntimeSnapshot") await this.read(id);
    return given ?? undefined;
  }

  async sessionBelongsToMob(_id: SessionId, _mobId: string): Promise<boolean> {
    return false;
  }

  // ── turns and context with receipts ──

  async applyRuntimeTurn(
    id: SessionId,
    runId: RunId,
    request: StartTurnRequest,
    boundary: RunApplyBoundary,
    contributingInputIds: InputId[],
    options?: CallOptions,
  ): Promise<CoreApplyOutput> {
    const head = receiptHead(runId, boundary, contributingInputIds);
    const checked = this.checks.turn(request);
    if (checked.executionKind === undefined) {
      const details = { field: "request.executionKind" };
      throw agentFailure("internal_error", "runtime_execution_kind not set: request.executionKind must be named", {
        sessionId: id,
        details,
        disposition: "bug",
      });
    }
    let seen: TurnBoundary | undefined;
    const result = await this.start(id, checked, this.checks.callOptions(options), this.consumer(checked.onEvent), (at) => (seen = at));
    return seen === undefined ? unseenOutput(head, await this.#countOf(id), result) : turnOutput(head, seen, result);
  }

  /** As far as it is known now. */
  #countOf(id: SessionId): Promise<number> {
    return this.read(id).then(
      ({ state }) => state.messageCount,
      () => 0,
    );
  }

  applyRuntimeContextAppends(
    id: SessionId,
    runId: RunId,
    appends: PendingSystemContextAppend[],
    contributingInputIds: InputId[],
  ): Promise<CoreApplyOutput> {
    return this.applyRuntimeContextAppendsWithBoundary(id, runId, appends, "immediate", contributingInputIds);
  }

  async applyRuntimeContextAppendsWithBoundary(
    id: SessionId,
    runId: RunId,
    appends: PendingSystemContextAppend[],
    boundary: RunApplyBoundary,
    contributingInputIds: InputId[],
  ): Promise<CoreApplyOutput> {
    const head = receiptHead(runId, boundary, contributingInputIds);
    const checked = parseInput(SystemContextAppends, appends, "appends") as PendingSystemContextAppend[];
    this.host.assertOpen();
    return appendedOutput(head, await this.writeContext(id, checked, true));
  }

  async applyRuntimeSystemContextForTurn(id: SessionId, appends: PendingSystemContextAppend[]): Promise<void> {
    await this.applyRuntimeSystemContext(id, appends);
  }
}
