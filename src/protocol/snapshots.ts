/**
 * Views of what goes on inside an agent, as the seeds' runtime reads them. The agent gives them, and they reach the caller unchanged:
 * the host checks that they are JSON and looks no further. All can be read while a turn runs.
 */
import type { JsonValue } from "./json.ts";

/** More than is named here may be there. */
interface Open {
  readonly [member: string]: unknown;
}

/** The agent's loop and the turn in it. */
export interface AgentExecutionSnapshot extends Open {
  readonly loopState?: string;
  readonly turnPhase?: string;
  readonly activeRunId?: string;
  readonly primitiveKind?: string;
  readonly admittedContentShape?: string;
  readonly visionEnabled?: boolean;
  readonly imageToolResultsEnabled?: boolean;
  readonly toolCallsPending?: number;
  readonly pendingOperationIds?: string[];
  readonly barrierOperationIds?: string[];
  readonly hasBarrierOps?: boolean;
  readonly barrierSatisfied?: boolean;
  readonly boundaryCount?: number;
  readonly cancelAfterBoundary?: boolean;
  readonly terminalOutcome?: string;
  readonly terminalCauseKind?: string;
  readonly extractionAttempts?: number;
  readonly maxExtractionRetries?: number;
  readonly appliedCursor?: number;
}

/** Which tools the agent shows to its model, and why. */
export interface ToolScopeSnapshot extends Open {
  readonly knownBaseNames?: string[];
  readonly visibleNames?: string[];
  readonly capabilityBaseFilter?: JsonValue;
  readonly baseFilter?: JsonValue;
  readonly activeExternalFilter?: JsonValue;
  readonly activeTurnAllow?: string[];
  readonly activeTurnDeny?: string[];
  readonly activeRevision?: number;
  readonly stagedExternalFilter?: JsonValue;
  readonly stagedRevision?: number;
}

export interface ExternalToolSurfaceEntry extends Open {
  readonly surfaceId: string;
  readonly visible?: boolean;
  readonly baseState?: "absent" | "active" | "removing" | "removed";
  readonly hasRemovalTiming?: boolean;
  readonly pendingOp?: "none" | "add" | "reload";
  readonly stagedOp?: "none" | "add" | "remove" | "reload";
  readonly stagedIntentSequence?: number;
  readonly pendingTaskSequence?: number;
  readonly pendingLineageSequence?: number;
  readonly inflightCallCount?: number;
  readonly lastDeltaOperation?: string;
  readonly lastDeltaPhase?: "none" | "pending" | "applied" | "draining" | "failed" | "forced";
}

/** Tools that servers outside the agent offer it, and what is changing about them. */
export interface ExternalToolSurfaceSnapshot extends Open {
  readonly phase?: "operating" | "shutdown";
  readonly snapshotEpoch?: number;
  readonly snapshotAlignedEpoch?: number;
  readonly entries?: ExternalToolSurfaceEntry[];
}

/** What waits in the inbox of an agent's line to its peers. */
export interface PeerIngressRuntimeSnapshot extends Open {
  readonly selfPeerId?: string;
  readonly authRequired?: boolean;
  readonly authorityPhase?: "absent" | "received" | "dropped" | "delivered";
  readonly trustedPeers?: readonly JsonValue[];
  readonly submissionQueueLen?: number;
  readonly queue?: unknown;
}

/** By the name of the agent's member that gives it. The last one is its comms runtime's. */
export interface AgentSnapshots {
  executionSnapshot: AgentExecutionSnapshot;
  toolScopeSnapshot: ToolScopeSnapshot;
  externalToolSurfaceSnapshot: ExternalToolSurfaceSnapshot;
  peerIngressRuntimeSnapshot: PeerIngressRuntimeSnapshot;
}
